"""A ready-made data set in a model's own numbers: its categories, fills and tokens rather than those of the set."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.data.dataset import Dataset, Split, Windows
from zoo.data.spec import UNKNOWN, DataSpec
from zoo.data.text.tokenizer import token_ids
from zoo.exceptions import ZooError

TABLES = ("columns", "categories", "impute_values", "missing_indicators")  # which decide what a number in a row means


def translated(dataset: Dataset, spec: DataSpec) -> Dataset:
    """Return a data set whose rows a model of ``spec`` reads, as it is where both number values alike.

    Raises:
        ZooError: columns that the model reads are missing, or its texts are cut into other tokens.
    """
    theirs = dataset.spec
    if theirs.modality != spec.modality or theirs.task != spec.task:
        return dataset  # which the caller refuses by its shape, or the objective does not look at
    if spec.modality == "table" and _unlike(theirs, spec):
        parts = [_table(getattr(dataset, part), theirs, spec) for part in ("train", "val", "test")]
        same = ("input_shape", "mean", "std", "bin_edges", "target_offset", "reading", *TABLES)
        renumbered = {name: getattr(spec, name) for name in same}
        return replace(dataset, spec=replace(theirs, **renumbered), train=parts[0], val=parts[1], test=parts[2])
    if spec.modality == "text" and theirs.vocabulary != spec.vocabulary:
        if theirs.tokenizer != spec.tokenizer:
            raise ZooError(f"{theirs.name}: is cut into {theirs.tokenizer}; the model reads {spec.tokenizer}")
        known = token_ids(spec.vocabulary)
        table = torch.tensor([known.get(token, UNKNOWN) for token in theirs.vocabulary], dtype=torch.int32)
        parts = [_text(getattr(dataset, part), table, spec) for part in ("train", "val", "test")]
        texts = replace(theirs, vocabulary=spec.vocabulary, input_shape=spec.input_shape)
        return replace(dataset, spec=texts, train=parts[0], val=parts[1], test=parts[2])
    return dataset


def _unlike(theirs: DataSpec, spec: DataSpec) -> bool:
    """Tell whether numbers in two tables' rows mean different things."""
    offsets = [(one.reading.offsets, one.target_offset) for one in (theirs, spec)]
    return offsets[0] != offsets[1] or any(getattr(theirs, name) != getattr(spec, name) for name in TABLES)


def _table(split: Split, theirs: DataSpec, spec: DataSpec) -> Split:
    from zoo.data.inputs import encode

    x = split["x"]
    assert isinstance(x, Tensor)
    numbered = {**split, "x": encode(spec, _frame(theirs, x))["x"]}
    shift = theirs.target_offset - spec.target_offset
    if shift:
        y = split["y"]
        assert isinstance(y, Tensor)
        numbered["y"] = (y.double() + shift).float()
    return numbered


def _frame(spec: DataSpec, x: Tensor) -> Any:
    """Return encoded rows as the frame that they were read from."""
    import pandas as pd

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


def _text(split: Split, table: Tensor, spec: DataSpec) -> Split:
    """Return a split's tokens in other numbers; labelled texts are cut to the model's length."""
    if all(isinstance(value, Windows) for value in split.values()):
        windows: dict[str, Any] = dict(split)
        return {
            key: Windows(table[value.base.long()], value.length, first=value.first, drop=value.drop)
            for key, value in windows.items()
        }
    x, lengths = split["x"], split["lengths"]
    assert isinstance(x, Tensor)
    assert isinstance(lengths, Tensor)
    longest = spec.input_shape[0]
    return {**split, "x": table[x].long()[:, :longest], "lengths": lengths.clamp(max=longest)}
