"""A ready-made table in a model's own numbers: its categories, imputed values and offsets rather than those of the set."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from zoo.data.dataset import Dataset, Split
from zoo.data.inputs import encode
from zoo.data.table.spec import TableSpec

CODES = ("columns", "categories", "impute_values", "missing_indicators")  # which decide what a number in a row means


def translate(dataset: Dataset, spec: TableSpec) -> Dataset:
    """Return a data set whose rows a model of ``spec`` reads, as it is where both number values alike.

    Raises:
        ZooError: columns that the model reads are missing.
    """
    source = dataset.spec
    assert isinstance(source, TableSpec)
    if not _unlike(source, spec):
        return dataset
    parts = [_table(getattr(dataset, part), source, spec) for part in ("train", "val", "test")]
    same = ("input_shape", "mean", "std", "bin_edges", "target_offset", "reading", *CODES)
    renumbered = {name: getattr(spec, name) for name in same}
    return replace(dataset, spec=replace(source, **renumbered), train=parts[0], val=parts[1], test=parts[2])


def _unlike(source: TableSpec, spec: TableSpec) -> bool:
    """Tell whether numbers in two tables' rows mean different things."""
    offsets = [(one.reading.offsets, one.target_offset) for one in (source, spec)]
    return offsets[0] != offsets[1] or any(getattr(source, name) != getattr(spec, name) for name in CODES)


def _table(split: Split, source: TableSpec, spec: TableSpec) -> Split:
    x = split["x"]
    assert isinstance(x, Tensor)
    numbered = {**split, "x": encode(spec, _frame(source, x))["x"]}
    shift = source.target_offset - spec.target_offset
    if shift:
        y = split["y"]
        assert isinstance(y, Tensor)
        numbered["y"] = (y.double() + shift).float()
    return numbered


def _frame(spec: TableSpec, x: Tensor) -> Any:
    """Return encoded rows as the frame that they were read from."""
    columns = {}
    offsets = spec.reading.offsets or (0.0,) * len(spec.columns)
    for number, name in enumerate(spec.columns):
        values = x[:, number].double().numpy() + offsets[number]
        known = spec.categories[number] if spec.categories else ()
        if known:
            columns[name] = np.array([None, *(text or None for text in known)], dtype=object)[values.astype(int)]
        elif name in spec.missing_indicators:
            flag = x[:, len(spec.columns) + spec.missing_indicators.index(name)].numpy() > 0
            columns[name] = np.where(flag, np.nan, values)
        else:
            columns[name] = values
    return pd.DataFrame(columns)
