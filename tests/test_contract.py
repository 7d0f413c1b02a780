"""The contract over every registered model, with no exceptions."""

from zoo.contract.suite import pytest_generate_tests, test_contract  # noqa: F401
