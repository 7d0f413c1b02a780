"""The contract over the models that act in environments, which test_contract.py leaves."""

from test_contract import ACTING

from zoo.testing.suite import pytest_generate_tests, test_contract  # noqa: F401


def belongs(name: str) -> bool:
    return name in ACTING
