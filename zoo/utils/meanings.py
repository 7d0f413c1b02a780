"""Names that users of other libraries type, and the names that this project had before: which option each means."""

from __future__ import annotations

import functools
from collections.abc import Collection
from pathlib import Path

from zoo.exceptions import ZooError, unknown


@functools.cache
def meanings() -> dict[str, list[str]]:
    """Return the options that each name of ``meanings.yaml`` can mean."""
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
