"""Eleven conformance checks on synthetic data for built-in models and your own.

Run the checks as tests, for a class or a registered name:

    pytest --zoo-model=my_package.my_module:MyModel

``check_model(MyModel)`` raises a ConformanceError for the first check that fails, with advice how to fix it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from zoo.exceptions import ConformanceError

if TYPE_CHECKING:
    from zoo.testing.checklist import check_model

__all__ = ["ConformanceError", "check_model"]


def __getattr__(name: str) -> Any:
    if name == "check_model":  # imports torch
        return importlib.import_module("zoo.testing.checklist").check_model
    raise AttributeError(f"module 'zoo.testing' has no attribute {name!r}")
