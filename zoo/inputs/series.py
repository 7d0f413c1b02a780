"""Time series: the last steps of a file, a frame or an array."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import ZooError
from zoo.inputs.base import INPUT, Piece, array, as_floats
from zoo.spec import DataSpec

if TYPE_CHECKING:
    from zoo.data.dataset import Batch


def encode(spec: DataSpec, raw: Any) -> Batch:
    """Return the past of a series, (L, C) or a frame's last rows, as ``x`` (B, L, C)."""
    if hasattr(raw, "columns"):
        missing = [c for c in spec.columns if c not in raw.columns]
        if missing:
            raise ZooError(f"{spec.name}: the columns {', '.join(missing)} are missing")
        raw = raw[list(spec.columns)].to_numpy(float)[-spec.input_shape[0] :]
    x = as_floats(raw)
    x = x.unsqueeze(0) if x.ndim == 2 else x
    if tuple(x.shape[1:]) != spec.input_shape:
        said = f"the last {spec.input_shape[0]} steps of {', '.join(spec.columns)}"
        raise ZooError(f"{spec.name}: input of shape {tuple(x.shape)}; must be {spec.input_shape}, {said}")
    return {"x": x}


def read(spec: DataSpec, place: str) -> Iterator[Piece]:
    """Read a series' last rows, and the times that come after."""
    from zoo.data.csvfile import read_csv
    from zoo.data.series import evenly, read_times, times_after
    from zoo.inputs.table import as_numbers

    if place == INPUT:
        raise ZooError("predict: a series is read from a file")
    table = read_csv(Path(place))
    missing = [name for name in spec.columns if name not in table.cells.columns]
    if missing:
        raise ZooError(f"{place}: lacks the column {missing[0]!r}; the model reads {', '.join(spec.columns)}")
    times, clock = read_times(table, None)
    values = np.stack(
        [as_numbers(table.cells[c], lambda row: f"{place}, line {table.lines[row]}") for c in spec.columns], 1
    )
    values, whole, step = evenly(table, times, clock, values, None)
    past = spec.input_shape[0]
    if len(values) < past or np.isnan(values[-past:]).any():
        raise ZooError(f"{place}: has {len(values)} rows; the model reads the last {past}, without gaps")
    yield Piece([place], values[-past:], times=times_after(whole, step, (spec.target_shape or (0,))[0]))


def from_json(spec: DataSpec, rows: Sequence[Any]) -> Any:
    """Return pasts of a series as ``encode`` takes them."""
    return np.stack([array(one) for one in rows]) if len({len(one) for one in rows}) == 1 else array(rows)
