"""Options that classes and functions declare, and the names that users of other libraries type for them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from zoo.exceptions import ZooError, unknown


@functools.cache
def meanings() -> dict[str, list[str]]:
    """Return the options that each name of ``options.yaml`` can mean."""
    import yaml  # read only after a mistake

    table = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())
    return {name: options.split(" | ") for name, options in table.items()}


def meaning(key: str, known: Collection[str]) -> str | None:
    """Return the option of ``known`` that a name means, or None.

    ``known`` are dotted keys, or the bare names of a model's or a command's options. A command stands for itself.
    """
    name = key.lower().lstrip("+~").replace("-", "_")
    group, _, leaf = name.rpartition(".")
    for word in dict.fromkeys((name, leaf)):
        candidates = meanings().get(word, [])
        for option in sorted(candidates, key=lambda option: not option.startswith(f"{group}.")):  # of its group first
            bare = option.partition(".")[2]
            if option != key and (option in known or option.startswith("zoo ")):
                return option
            if bare and bare != key and bare in known:
                return bare
    return None


def unknown_option(owner: str, key: str, known: Collection[str]) -> ZooError:
    """Return the error for a key that is no option of ``owner``: with the option that it means, or is spelled like."""
    if (option := meaning(key, known)) is not None:
        return ZooError(f"unknown option {key!r} of {owner}: use {option}")
    return unknown(f"option of {owner}", key, known)


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


def call(owner: str, factory: Callable[..., Any], options: Mapping[str, Any]) -> Any:
    """Return ``factory(**options)``.

    Raises:
        ZooError: one that it does not declare.
    """
    known = signature(factory)
    for key in options:
        if key not in known:
            raise unknown_option(owner, key, known)
    return factory(**options)
