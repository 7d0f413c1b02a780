"""A labelled table of the user's own as a trained model reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from zoo.data.dataset import picked
from zoo.data.inputs import encode, unknown_values
from zoo.data.labelled import Labelled, chosen_options, left_out_notes, with_classes
from zoo.data.table.csv_file import Table, column_named
from zoo.data.table.frames import Source, as_target, learnt_of, targets
from zoo.data.table.numbers import MARKS
from zoo.data.table.read import as_texts, read
from zoo.data.table.spec import TableSpec
from zoo.exceptions import ZooError


def labelled_table(spec: TableSpec, data: Mapping[str, Any], part: str | None) -> Labelled:
    """Return the rows of a CSV."""
    reading = spec.reading
    spec = replace(spec, reading=replace(reading, **chosen_options(data, "delimiter", "quoting", "header")))
    frames, parts, lines = [], [], []
    for piece in read(spec, str(data["path"])):
        parts.append(encode(spec, piece.raw)["x"])
        frames.append(piece.raw)
        lines += list(piece.names)
    if not parts:
        raise ZooError(f"{data['path']}: has a header and no rows")
    frame = pd.concat(frames, ignore_index=True)
    source = _Cells(Path(data["path"]), frame, lines)
    split = {"x": torch.cat(parts)}
    target = _targets(spec, source, data.get("target"))
    if not target:
        unknown, values = unknown_values(spec, split)
        return Labelled(split, unknown=unknown, values=values)
    missing = _gaps(spec, frame, target)
    notes = left_out_notes(int(missing.sum()), f"without a value in {', '.join(target)}")
    present = np.flatnonzero(~missing)
    source = _Cells(source.path, frame.iloc[present], [lines[row] for row in present])
    split = picked(split, torch.from_numpy(present))
    if (spec.target_type == "class" and not spec.multilabel) or spec.normal_classes:
        return with_classes(spec, split, list(as_texts(source.frame[target[0]])), notes)
    y = _truth(spec, source, target)
    unknown, values = unknown_values(spec, split)
    return Labelled({**split, "y": y} if len(y) else None, unknown=unknown, values=values, notes=notes)


@dataclass(frozen=True)
class _Cells:
    """A file's cells, and the line that each row stands in."""

    path: Path
    frame: pd.DataFrame
    lines: Sequence[str]

    def at(self, column: str, row: int) -> str:
        """Return the words for a cell."""
        return f"{self.path}, line {self.lines[row]}, column {column!r}"


def _targets(spec: TableSpec, source: _Cells, chosen: Any) -> list[str]:
    """Return the columns of the truth: as chosen, else the model's own, else the only one that it does not read.

    Raises:
        ZooError: there are none, and the task needs them.
    """
    names = [str(name) for name in source.frame.columns]
    if chosen is not None:
        several = chosen if isinstance(chosen, Sequence) and not isinstance(chosen, str) else [chosen]
        cells = Table(source.path, source.frame, np.array(source.lines))
        return [column_named(cells, one, "data.target") for one in several]
    target = list(spec.reading.target) or (list(spec.classes) if spec.multilabel else [])
    if target and set(target) <= set(names):
        return target
    if spec.target_type == "input" and not spec.normal_classes:
        return []
    others = [name for name in names if name not in spec.columns]
    if not target and len(others) == 1:
        return others
    lacking = f"lacks the column {', '.join(map(repr, target))}" if target else "does not say which column is the truth"
    raise ZooError(f"{source.path}: {lacking}; name it by data.target=, its columns are {', '.join(names[:20])}")


def _gaps(spec: TableSpec, frame: pd.DataFrame, target: Sequence[str]) -> np.ndarray:
    """Return which rows (N,) have no truth."""
    gaps = np.zeros(len(frame), dtype=bool)
    for column in target:
        texts = as_texts(frame[column], missing=spec.reading.missing)
        gaps |= (texts == "").to_numpy()
        if spec.target_type == "number":
            gaps |= texts.str.lower().isin(MARKS).to_numpy()
    return gaps


def _truth(spec: TableSpec, source: _Cells, target: Sequence[str]) -> Tensor:
    """Return numbers, or several labels at once, as training read them."""
    cells = Source(str(source.path), source.frame, np.array(source.lines))
    return as_target(spec, targets(cells, target, learnt_of(spec)))
