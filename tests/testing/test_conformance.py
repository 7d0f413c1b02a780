"""The conformance checks over every registered model, with no exceptions; those of ELSEWHERE are in files of their own, so that
two processes share the work.
"""

from zoo.testing.suite import pytest_generate_tests, test_conformance  # noqa: F401

GENERATIVE = ("autoencoder", "vae", "gan")
ACTING = ("ppo", "a2c", "reinforce", "dqn", "sac")
ELSEWHERE = (*GENERATIVE, *ACTING)


def belongs(name: str) -> bool:
    return name not in ELSEWHERE
