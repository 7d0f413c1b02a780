"""Data sets: a function per ready-made set, and arrays of the user's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.registry import data_entry
from zoo.utils.options import call

if TYPE_CHECKING:
    from zoo.data.dataset import Dataset


def load(name: str, **options: Any) -> Dataset:
    """Return the data set registered under ``name``.

    Raises:
        ZooError: unknown name or option, a missing or damaged file, an option outside its limits.
    """
    loaded: Dataset = call(f"data {name}", data_entry(name).load, options)
    return loaded
