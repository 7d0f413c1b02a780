"""Data sets: a function per ready-made set, and arrays of the user's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.registry import data_entry, signature
from zoo.utils.meanings import unknown_option

if TYPE_CHECKING:
    from zoo.data.dataset import Dataset


def load(name: str, **options: Any) -> Dataset:
    """Return the data set registered under ``name``.

    Raises:
        ZooError: unknown name or option, a missing or damaged file, an option outside its limits.
    """
    function = data_entry(name).load
    known = signature(function)
    for key in options:
        if key not in known:
            raise unknown_option(f"data {name}", key, known)
    loaded: Dataset = function(**options)
    return loaded
