"""The options that a class or a function declares in its signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


def parameters(factory: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return what a model class or a loading function takes; a constructor's ``**options`` are its base class's."""
    if not isinstance(factory, type):
        return dict(inspect.signature(factory).parameters)
    collected: dict[str, inspect.Parameter] = {}
    for cls in factory.__mro__:
        if "__init__" not in vars(cls):
            continue
        declared = dict(list(inspect.signature(cls.__init__).parameters.items())[1:])  # type: ignore[misc]
        handed_on = [name for name, p in declared.items() if p.kind is inspect.Parameter.VAR_KEYWORD]
        for name in handed_on:
            del declared[name]
        collected = {**declared, **collected}
        if not handed_on:
            break
    return collected


def signature(factory: Callable[..., Any]) -> dict[str, Any]:
    """Return the options that a model class or a loading function takes, with their defaults ("???": has none)."""
    defaults = {name: parameter.default for name, parameter in parameters(factory).items()}
    return {name: "???" if value is inspect.Parameter.empty else value for name, value in defaults.items()}
