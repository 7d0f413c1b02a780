"""Datasets: one function per built-in dataset, plus support for your own arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.registry import data_entry
from zoo.utils.options import call

if TYPE_CHECKING:
    from zoo.data.dataset import Dataset


def load(name: str, **options: Any) -> Dataset:
    """Return the dataset registered under ``name``.

    Raises:
        ZooError: if the name or an option is unknown, an option is out of range, or a file is missing or corrupt.
    """
    loaded: Dataset = call(f"data {name}", data_entry(name).load, options)
    return loaded
