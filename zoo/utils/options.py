"""The options that classes and functions declare, and their names in other libraries."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from zoo.exceptions import ZooError, unknown


@functools.cache
def meanings() -> dict[str, list[str]]:
    """Return the equivalent options of each name in ``options.yaml``."""
    import yaml  # needed only for error messages

    table = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())
    return {name: options.split(" | ") for name, options in table.items()}


def meaning(key: str, known: Collection[str]) -> str | None:
    """Return the option in ``known`` that is equivalent to a name, or None.

    ``known`` contains dotted keys, or plain names of a model's or a command's options. The result can also be a
    command, such as ``zoo lr-find``.
    """
    name = key.lower().lstrip("+~").replace("-", "_")
    group, _, leaf = name.rpartition(".")
    for word in dict.fromkeys((name, leaf)):
        candidates = meanings().get(word, [])
        for option in sorted(candidates, key=lambda option: not option.startswith(f"{group}.")):  # same group first
            bare = option.partition(".")[2]
            if option != key and (option in known or option.startswith("zoo ")):
                return option
            if bare and bare != key and bare in known:
                return bare
    return None


def unknown_option(owner: str, key: str, known: Collection[str]) -> ZooError:
    """Return the error for an unknown option of ``owner``, with the equivalent option or the nearest spelling."""
    if (option := meaning(key, known)) is not None:
        return ZooError(f"unknown option {key!r} of {owner}: use {option}")
    return unknown(f"option of {owner}", key, known)


def parameters(factory: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return the parameters of a model class or a loading function; ``**options`` adds those of the base class."""
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
    """Return the options of a model class or a loading function with their defaults ("???" for a required option)."""
    defaults = {name: parameter.default for name, parameter in parameters(factory).items()}
    return {name: "???" if value is inspect.Parameter.empty else value for name, value in defaults.items()}


def call(owner: str, factory: Callable[..., Any], options: Mapping[str, Any]) -> Any:
    """Return ``factory(**options)``.

    Raises:
        ZooError: an option that ``factory`` does not declare.
    """
    known = signature(factory)
    for key in options:
        if key not in known:
            raise unknown_option(owner, key, known)
    return factory(**options)
