"""Tables: rows of columns, numbers or texts, as a network reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from zoo.errors import ZooError
from zoo.inputs.base import INPUT, Piece, as_floats, batched, opened, share_read
from zoo.spec import DataSpec

if TYPE_CHECKING:
    import pandas as pd  # slow to import, and for tables alone

    from zoo.data.dataset import Batch

ROWS = 4096  # that are read of a file at once


def encode(spec: DataSpec, raw: Any) -> Batch:
    """Return rows (B, columns), a data frame or one row, as ``x`` float (B, inputs)."""
    if spec.columns and hasattr(raw, "columns"):
        raw = encode_frame(spec, raw)
    return {"x": batched(spec, as_floats(raw))}


def read(spec: DataSpec, place: str) -> Iterator[Piece]:
    """Read rows of a CSV."""
    from zoo.data.csvfile import stream_csv

    with opened(place) as file:
        for table in stream_csv(file, "standard input" if place == INPUT else place, rows=ROWS, known=spec.columns):
            yield Piece([str(line) for line in table.lines], table.cells, done=share_read(place, file))


def from_json(spec: DataSpec, rows: Sequence[dict[str, Any]]) -> Any:
    """Return rows by the names of their columns as ``encode`` takes them."""
    import pandas as pd

    frame = pd.DataFrame(list(rows))
    if spec.columns:
        return frame
    names = [f"column_{n + 1}" for n in range(spec.inputs)]
    missing = [name for name in names if name not in frame]
    if missing:
        raise ZooError(f"x: lacks {missing[0]}; its columns are {names[0]} to {names[-1]}")
    found = frame[names].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    if not np.isfinite(found).all():
        raise ZooError("x: has text, or nothing, in a column of numbers")
    return found


def encode_frame(spec: DataSpec, frame: pd.DataFrame) -> np.ndarray:
    """Return the columns of a table as x (N, inputs): texts numbered, missing numbers filled and flagged.

    Raises:
        ZooError: a column that is missing, text or infinity in a column of numbers.
    """
    missing = [c for c in spec.columns if c not in frame.columns]
    if missing:
        raise ZooError(f"{spec.name}: the columns {', '.join(missing)} are missing")
    levels = spec.levels or ((),) * len(spec.columns)
    fills = spec.fills or (0.0,) * len(spec.columns)
    made, flags = [], {}
    for name, known, fill in zip(spec.columns, levels, fills, strict=True):
        if known:
            numbers = {text: float(number) for number, text in enumerate(known, start=1)}
            made.append(as_texts(frame[name]).map(numbers).fillna(0.0).to_numpy(float))
            continue
        values = as_numbers(frame[name], lambda row, name=name: f"{spec.name}, row {row + 1}, column {name!r}")
        flags[name] = np.isnan(values)
        made.append(np.where(flags[name], fill, values))
    made += [flags[name].astype(float) for name in spec.flagged]
    return np.stack(made, axis=1)


def as_text(value: Any) -> str:
    """Return a cell as the text that a level is, nothing where it is missing: 3.0 and 3 are one."""
    if value is None or value != value:
        return ""
    return f"{value:g}" if isinstance(value, (float, np.floating)) else str(value).strip()


def as_texts(column: pd.Series) -> pd.Series:
    """Return a column's cells as texts; each different one is looked at once."""
    import pandas as pd

    codes, seen = column.factorize(use_na_sentinel=False)
    return pd.Series(np.array([as_text(value) for value in seen], dtype=object)[codes], index=column.index)


def as_numbers(cells: pd.Series, place: Callable[[int], str], advice: str = "") -> np.ndarray:
    """Return a column as float64, NaN where a value is missing; ``place`` says where a row is.

    Raises:
        ZooError: text or infinity, with its place.
    """
    import pandas as pd

    values = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    stray = np.flatnonzero(np.isnan(values) & cells.notna().to_numpy())
    if len(stray):
        text = str(cells.iloc[stray[0]])[:40]
        raise ZooError(f"{place(stray[0])}: {text!r} is text in a column of numbers; mend or empty it{advice}")
    endless = np.flatnonzero(np.isinf(values))
    if len(endless):
        raise ZooError(f"{place(endless[0])}: is infinite; mend or empty it")
    return values


def numeric_columns(spec: DataSpec) -> Tensor:
    """Return the numbers of a table's columns that hold no texts."""
    return torch.tensor([n for n in range(spec.inputs) if not spec.levels[n : n + 1] or not spec.levels[n]])


def coded(spec: DataSpec, x: Tensor, numbers: Tensor) -> Tensor:
    """Return a table's rows (B, spec.coded): ``numbers``, its numeric columns standardized, then each text as 0 or 1.

    A text that training lacks is 0 throughout.
    """
    text = {n: len(known) for n, known in enumerate(spec.levels) if known}
    parts = [numbers]
    for n, count in text.items():
        parts.append((x[:, n : n + 1] == torch.arange(1, count + 1, device=x.device)).to(numbers.dtype))
    return torch.cat(parts, 1)
