"""A labeled table of the user's own as a trained model reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from zoo.data.dataset import picked
from zoo.data.inputs import encode, unknown_values
from zoo.data.labeled import Labeled, chosen_options, left_out_notes, with_classes
from zoo.data.table.csv_file import column_named
from zoo.data.table.numbers import MARKS
from zoo.data.table.read import as_texts, read_file
from zoo.data.table.source import Table, shortened
from zoo.data.table.spec import TableSpec
from zoo.data.table.target import Target, as_target
from zoo.exceptions import ZooError


def labeled_table(spec: TableSpec, data: Mapping[str, Any], part: str | None) -> Labeled:
    """Return the rows of a CSV."""
    reading = spec.reading
    spec = replace(spec, reading=replace(reading, **chosen_options(data, "delimiter", "quoting", "header")))
    frame = read_file(spec, str(data["path"]))
    split: dict[str, Any] = encode(spec, frame)
    table = Table(data["path"], frame, frame.attrs["origin"].lines)
    target = _targets(spec, table, data.get("target"))
    if not target:
        unknown, values = unknown_values(spec, split)
        return Labeled(split, unknown=unknown, values=values)
    missing = _gaps(spec, frame, target)
    notes = left_out_notes(int(missing.sum()), f"without a value in {', '.join(target)}")
    present = np.flatnonzero(~missing)
    table = replace(table, cells=frame.iloc[present], lines=table.lines[present])
    split = picked(split, torch.from_numpy(present))
    if (spec.target_type == "class" and not spec.multilabel) or spec.normal_classes:
        return with_classes(spec, split, list(as_texts(table.cells[target[0]])), notes)
    y = as_target(spec, Target.of(spec, target).values(table))
    unknown, values = unknown_values(spec, split)
    return Labeled({**split, "y": y} if len(y) else None, unknown=unknown, values=values, notes=notes)


def _targets(spec: TableSpec, table: Table, chosen: Any) -> list[str]:
    """Return the columns of the truth: as chosen, else the model's own, else the only one that it does not read.

    Raises:
        ZooError: there are none, and the task needs them.
    """
    names = [str(name) for name in table.cells.columns]
    if chosen is not None:
        several = chosen if isinstance(chosen, Sequence) and not isinstance(chosen, str) else [chosen]
        return [column_named(table, one, "data.target") for one in several]
    target = list(spec.reading.target) or (list(spec.classes) if spec.multilabel else [])
    if target and set(target) <= set(names):
        return target
    if spec.target_type == "input" and not spec.normal_classes:
        return []
    others = [name for name in names if name not in spec.columns]
    if not target and len(others) == 1:
        return others
    lacking = f"lacks the column {', '.join(map(repr, target))}" if target else "does not say which column is the truth"
    raise ZooError(f"{table.path}: {lacking}; name it by data.target=, its columns are {shortened(names, 20)}")


def _gaps(spec: TableSpec, frame: pd.DataFrame, target: Sequence[str]) -> np.ndarray:
    """Return which rows (N,) have no truth."""
    gaps = np.zeros(len(frame), dtype=bool)
    for column in target:
        texts = as_texts(frame[column], missing=spec.reading.missing)
        gaps |= (texts == "").to_numpy()
        if spec.target_type == "number":
            gaps |= texts.str.lower().isin(MARKS).to_numpy()
    return gaps
