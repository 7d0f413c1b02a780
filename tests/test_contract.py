"""The contract over every registered model, with no exceptions; those of GENERATIVE are in a file of their own, so that
two processes share the work.
"""

from zoo.contract.suite import pytest_generate_tests, test_contract  # noqa: F401

GENERATIVE = ("autoencoder", "vae", "gan")


def belongs(name: str) -> bool:
    return name not in GENERATIVE
