"""Data sets: a function per ready-made set, and arrays of the user's own."""

from __future__ import annotations

from typing import Any

from zoo.data.dataset import Card, Dataset, Splits
from zoo.errors import unknown
from zoo.registry import data_entry, signature

__all__ = ["Card", "Dataset", "Splits", "load"]


def load(name: str, **options: Any) -> Dataset:
    """Return the data set registered under ``name``.

    Raises:
        ZooError: unknown name or option, a missing or damaged file, an option outside its limits.
    """
    function = data_entry(name).load
    known = signature(function)
    for key in options:
        if key not in known:
            raise unknown(f"option of data {name}", key, known)
    return function(**options)
