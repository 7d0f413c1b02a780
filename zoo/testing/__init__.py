"""Conformance checks: eleven checks that every model of the zoo passes, registered or your own, on generated data.

    pytest --zoo-model=my_package.my_module:MyModel      (or a registered name)

runs them as tests. ``check_model(MyModel)`` raises the first broken promise, as a ConformanceError that says how to fix it.
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
