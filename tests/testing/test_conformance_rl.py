"""The conformance checks over the models that act in environments, which test_conformance.py leaves."""

from test_conformance import ACTING

from zoo.testing.suite import pytest_generate_tests, test_conformance  # noqa: F401


def belongs(name: str) -> bool:
    return name in ACTING
