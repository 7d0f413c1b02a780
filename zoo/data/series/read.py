"""Read the last steps of a time series from a file, a data frame or an array."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from zoo.data.dataset import Batch
from zoo.data.input_readers import INPUT, Piece, array, as_tensor
from zoo.data.series.regular_grid import Series, open_series, read_series
from zoo.data.series.spec import SeriesSpec
from zoo.data.table.cells import PLAIN, Table, as_numbers
from zoo.data.table.read import with_names
from zoo.exceptions import ZooError

ADVICE = "fill the gaps: the model was trained without data.fill_method"


def encode(spec: SeriesSpec, raw: Any) -> Batch:
    """Return the context of a series as ``x`` (B, L, C).

    ``raw`` is an array (L, C) or (B, L, C), or a data frame or file, of which the last rows are used. A data frame may
    have its times in a column or in the index. It is then parsed like a file.

    Raises:
        ZooError: if the shape is wrong, a column is missing, a value is not a number, or gaps cannot be filled.
    """
    if isinstance(raw, (list, tuple)) and raw and all(isinstance(one, (str, os.PathLike)) for one in raw):
        return {"x": torch.cat([encode(spec, one)["x"] for one in raw])}
    if isinstance(raw, (str, os.PathLike)):
        (piece,) = read(spec, str(raw))
        raw = piece.raw
    elif hasattr(raw, "to_frame") and len(spec.columns) == 1:  # a single column of a data frame
        raw = _window(spec, raw.to_frame(spec.columns[0]))
    elif hasattr(raw, "columns"):
        raw = _window(spec, raw)
    elif isinstance(raw, Mapping) or (isinstance(raw, Sequence) and len(raw) and isinstance(raw[0], Mapping)):
        raw = _window(spec, pd.DataFrame(raw))
    x = as_tensor(_array(spec, raw))
    x = x.unsqueeze(0) if x.ndim == 2 else x
    if tuple(x.shape[1:]) != spec.input_shape:
        columns = ", ".join(spec.columns)
        raise ZooError(
            f"{spec.name}: input of shape {tuple(x.shape)}; must be {spec.input_shape}, the last "
            f"{spec.input_shape[0]} steps of {columns}"
        )
    return {"x": _finite(spec, x.double().numpy())}


def _array(spec: SeriesSpec, raw: Any) -> Any:
    """Convert lists and objects to a float64 array, with NaN for None. Return other arrays unchanged."""
    if hasattr(raw, "dtype") and raw.dtype != object:
        return raw
    try:
        return np.array(raw, dtype=np.float64)
    except (TypeError, ValueError):
        columns = ", ".join(spec.columns)
        raise ZooError(f"{spec.name}: is not a numeric array; must be {spec.input_shape}, steps of {columns}") from None


def _finite(spec: SeriesSpec, x: np.ndarray) -> Any:
    """Return contexts (B, L, C) as float32, with gaps filled as in training.

    Raises:
        ZooError: if a value is missing and training did not fill gaps, or a value is too large.
    """
    wrong = np.argwhere(np.isnan(x))
    fill = spec.reading.fill_method
    if len(wrong):
        from zoo.data.series.regular_grid import filled

        row, step, column = wrong[0]
        if fill is None or np.isnan(x).all(1).any():
            place = f"x[{row}], step {step + 1}, column {spec.columns[column]!r}"
            raise ZooError(f"{place}: is empty ({len(wrong):,} values are missing); {ADVICE}")
        x = np.stack([filled(one, fill) for one in x])
    finite = torch.from_numpy(x).float()
    endless = torch.nonzero(~torch.isfinite(finite)).tolist()
    if endless:
        row, step, column = endless[0]
        raise ZooError(f"x[{row}], step {step + 1}, column {spec.columns[column]!r}: is infinite; correct it")
    return finite


def _window(spec: SeriesSpec, frame: pd.DataFrame) -> np.ndarray:
    """Return the last steps (L, C) of a data frame, in the order of its times if it has them.

    Raises:
        ZooError: if a column is missing, the times are irregular, or a cell is not a number.
    """
    import pandas as pd

    reading = spec.reading
    index = frame.index
    frame = with_names(frame, spec.name)
    if not len(frame):
        raise ZooError(f"{spec.name}: has no rows")
    missing = [name for name in spec.columns if name not in frame.columns]
    if missing:
        raise ZooError(f"{spec.name}: the columns {', '.join(missing)} are missing")
    clocks = [name for name in reading.time if name in frame.columns]
    dated = [name for name in frame.columns if isinstance(frame[name].dtype, (pd.DatetimeTZDtype, pd.PeriodDtype))]
    dated += [name for name in frame.columns if pd.api.types.is_datetime64_dtype(frame[name])]
    if isinstance(index, (pd.DatetimeIndex, pd.PeriodIndex)) and len(clocks) < max(len(reading.time), 1) and not dated:
        clocks = [str(index.name or "index")]
        frame = frame[list(spec.columns)].assign(**{clocks[0]: index})
    elif len(clocks) < len(reading.time) or not clocks:
        clocks = dated[:1]
    cells = frame[[*spec.columns, *clocks]].reset_index(drop=True)
    table = Table.of_frame("data", cells, unit="row")
    if not clocks:
        forms = reading.formats or (PLAIN,) * len(spec.columns)
        columns = [
            as_numbers(cells[name], partial(table.at, column=name), form=form, missing=reading.missing)
            for name, form in zip(spec.columns, forms, strict=True)
        ]
        return np.stack(columns, 1)[-spec.input_shape[0] :]
    return _last(spec, table, clocks).values[-spec.input_shape[0] :]


def _last(spec: SeriesSpec, table: Table, clocks: Sequence[str] = ()) -> Series:
    """Return the regular rows of a table. Raise ZooError if there are too few for the model."""

    reading = spec.reading
    reading = replace(reading, time=tuple(clocks)) if clocks else reading
    past = spec.input_shape[0]
    series = read_series(table, spec.columns, reading, last=past, advice=ADVICE)
    if len(series.values) < past:
        columns = ", ".join(spec.columns)
        expected = f"must be {spec.input_shape}, the last {past} steps of {columns}"
        raise ZooError(f"{table.path}: has {len(series.values)} rows; {expected}")
    return series


def read(spec: SeriesSpec, path: str) -> Iterator[Piece]:
    """Yield the last rows of a series, and the times that follow."""

    if path == INPUT:
        raise ZooError("predict: a series must be a file, not standard input")
    table = open_series(Path(path), spec.reading, spec.columns)
    series = _last(spec, table)
    times = series.following((spec.target_shape or (0,))[0])
    yield Piece([path], series.values[-spec.input_shape[0] :], times=times)


def from_json(spec: SeriesSpec, rows: Sequence[Any]) -> Any:
    """Convert contexts of a series to input for ``encode``."""
    return np.stack([array(one) for one in rows]) if len({len(one) for one in rows}) == 1 else array(rows)
