"""What every model of the zoo keeps to, registered or your own: eleven checks, on small data that the zoo generates.

    pytest --zoo-model=my_package.my_module:MyModel      (or a registered name)

runs them as tests. ``check_model(MyModel)`` raises the first broken promise, as a ConformanceError that says what to do.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.testing.checklist import check_model

__all__ = ["ConformanceError", "check_model"]


class ConformanceError(AssertionError):
    """A promise that a model breaks: what was seen, and what to do about it."""


def __getattr__(name: str) -> Any:
    if name == "check_model":
        return importlib.import_module("zoo.testing.checklist").check_model
    raise AttributeError(f"module 'zoo.testing' has no attribute {name!r}")
