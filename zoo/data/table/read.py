"""Encode raw table rows for a model."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from zoo.data.dataset import Batch
from zoo.data.input_readers import INPUT, Piece, batched, opened, share_read
from zoo.data.table.cells import EMPTY, PLAIN, Table, as_numbers, is_number, map_unique, shortened
from zoo.data.table.csv_file import stream_csv
from zoo.data.table.spec import TableSpec
from zoo.exceptions import ZooError

ROWS = 4096  # read from a file at once
INTEGER = re.compile(r"([-+]?\d+)\.0*")
EXAMPLES = 5  # categories listed in a note


def encode(spec: TableSpec, raw: Any) -> Batch:
    """Return rows as ``x`` float (B, inputs).

    ``raw`` is a data frame, one row of it, a dictionary by column names or a list of dictionaries, or the path of a
    CSV. It may also be an array (B, inputs) of numbers in the original units.

    Raises:
        ZooError: if a column is missing, a numeric column has text or infinity, the shape is wrong, or there are no
            rows.
    """
    frame = as_frame(spec, raw)
    if frame is not None:
        return {"x": torch.from_numpy(encode_frame(spec, frame).astype(np.float32))}
    return {"x": batched(spec, torch.from_numpy(_encode_array(spec, raw).astype(np.float32)))}


def read(spec: TableSpec, path: str) -> Iterator[Piece]:
    """Yield the rows of a CSV, parsed like the training file."""
    name = "standard input" if path == INPUT else path
    with opened(path) as file:
        for table in stream_csv(file, name, spec.reading, rows=ROWS, known=spec.columns):
            _check_columns(spec, table.cells.columns, name)
            table.cells.attrs["origin"] = replace(table, path=name, cells=table.cells.iloc[:0])
            yield Piece([str(line) for line in table.lines], table.cells, done=share_read(path, file))


def from_json(spec: TableSpec, rows: Sequence[dict[str, Any]]) -> Any:
    """Convert rows with column names to input for ``encode``."""
    frame = pd.DataFrame(list(rows), dtype=object)
    if spec.columns:
        return frame
    names = [f"column_{n + 1}" for n in range(spec.inputs)]
    missing = [name for name in names if name not in frame]
    if missing:
        raise ZooError(f"x: {missing[0]} is missing; columns are {names[0]} to {names[-1]}")
    x = frame[names].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    if not np.isfinite(x).all():
        raise ZooError("x: a numeric column has text or a missing value")
    return x


def as_frame(spec: TableSpec, raw: Any) -> pd.DataFrame | None:
    """Convert rows with column names to a data frame. Return None for a numeric array.

    Raises:
        ZooError: if a file cannot be read, a text is not a file name, or a row has the wrong length.
    """
    if isinstance(raw, (str, Path)):
        return read_file(spec, str(raw))
    if isinstance(raw, pd.DataFrame):
        return raw if spec.columns else None
    if isinstance(raw, pd.Series):
        return raw.to_frame().T.astype(object)
    if isinstance(raw, Mapping):
        columns = any(isinstance(value, (list, tuple, np.ndarray, pd.Series)) for value in raw.values())
        return pd.DataFrame(dict(raw)) if columns else pd.DataFrame([dict(raw)], dtype=object)
    if isinstance(raw, (list, tuple)) and raw and all(isinstance(row, (Mapping, pd.Series)) for row in raw):
        return pd.DataFrame([dict(row) for row in raw], dtype=object)
    if isinstance(raw, Tensor):
        cells = raw.detach().cpu().numpy()
    else:
        try:
            cells = np.asarray(raw if isinstance(raw, np.ndarray) else list(raw))
        except (TypeError, ValueError):
            kind = type(raw).__name__
            raise ZooError(f"{spec.name}: a {kind}; must be rows, as dictionaries or as numbers") from None
    if cells.dtype.kind in "US":  # numbers in rows with text stay numbers
        cells = np.asarray(list(raw), dtype=object)
    numbers = cells.dtype.kind in "buif"
    if numbers and (not spec.missing_indicators or cells.shape[-1:] != (len(spec.columns),)):
        return None
    if not numbers and (cells.dtype.kind != "O" or not spec.columns):
        raise ZooError(f"{spec.name}: an array of {cells.dtype}; must be numbers")
    cells = cells[None] if cells.ndim == 1 else cells
    if cells.ndim != 2 or cells.shape[1] != len(spec.columns):
        expected = f"{len(spec.columns)} columns: {shortened(spec.columns)}"
        raise ZooError(f"{spec.name}: rows of shape {cells.shape}; must be rows of {expected}")
    return pd.DataFrame(cells, columns=list(spec.columns))


def read_file(spec: TableSpec, path: str) -> pd.DataFrame:
    """Return all rows of a CSV. ``attrs["origin"]`` is the source Table without its cells.

    Raises:
        ZooError: if the file does not exist or cannot be read.
    """
    if not Path(path).is_file():
        raise ZooError(f"{path[:200]}: no such file")
    tables = [piece.raw for piece in read(spec, path)]
    origins = [table.attrs.pop("origin") for table in tables]
    frame = pd.concat(tables, ignore_index=True)
    frame.attrs["origin"] = replace(origins[0], lines=np.concatenate([origin.lines for origin in origins]))
    return frame


def _check_columns(spec: TableSpec, columns: Iterable[str], name: str) -> None:
    present = set(columns)
    missing = [column for column in column_names(spec) if column not in present]
    if missing:
        raise ZooError(
            f"{name}: the columns {', '.join(missing)} are missing; the model reads {shortened(column_names(spec))}"
        )


def column_names(spec: TableSpec) -> tuple[str, ...]:
    """Return the column names of a table."""
    return spec.columns or tuple(f"column_{n + 1}" for n in range(spec.inputs))


def _encode_array(spec: TableSpec, raw: Any) -> np.ndarray:
    """Return a numeric array as float64 (B, inputs), with the same checks as in training."""
    x: np.ndarray = raw.detach().cpu().numpy() if isinstance(raw, Tensor) else np.asarray(raw)
    x = x.astype(np.float64)
    x = x[None] if x.shape == spec.input_shape else x
    if x.ndim != 2 or x.shape[1] != spec.inputs:
        return x  # rejected later because of its shape
    place = Table.of_frame(spec.name, pd.DataFrame(x), unit="row").at
    names = [*column_names(spec), *spec.missing_indicators]
    for n, known in enumerate(spec.categories):
        wrong = np.flatnonzero((x[:, n] != np.round(x[:, n])) | (x[:, n] < 0) | (x[:, n] > len(known)))
        if known and len(wrong):
            where, value = place(int(wrong[0]), names[n]), x[wrong[0], n]
            raise ZooError(f"{where}: {value:g} is not a category code from 0 to {len(known)}")
    offsets = spec.reading.offsets
    if offsets:
        x = x - np.array([*offsets, *[0.0] * len(spec.missing_indicators)])
    with np.errstate(over="ignore"):
        not_finite = np.argwhere(~np.isfinite(x.astype(np.float32)))
    if len(not_finite):
        row, column = not_finite[0]
        value = x[row, column]
        problem = "is missing" if np.isnan(value) else "is infinite" if np.isinf(value) else f"{value:g} is too large"
        raise ZooError(f"{place(int(row), names[column])}: {problem}; correct it")
    return x


def encode_frame(spec: TableSpec, frame: pd.DataFrame, origin: Table | None = None) -> np.ndarray:
    """Return the columns of a table as x (N, inputs), float64.

    Categories become integer codes. Missing numbers are imputed and flagged. ``origin`` locates cells in error
    messages.

    Raises:
        ZooError: if a column is missing, or a numeric column has text or infinity.
    """
    origin = origin or frame.attrs.get("origin") or Table.of_frame(spec.name, frame, unit="row")
    place = origin.at
    frame = with_names(frame, spec.name)
    columns = column_names(spec)
    _check_columns(spec, frame.columns, str(origin.path))
    reading = spec.reading
    levels = spec.categories or ((),) * len(columns)
    fills = spec.impute_values or (0.0,) * len(columns)
    forms = reading.formats or (PLAIN,) * len(columns)
    offsets = reading.offsets or (0.0,) * len(columns)
    parts, flags = [], {}
    for name, known, fill, form, offset in zip(columns, levels, fills, forms, offsets, strict=True):
        if known:
            parts.append(category_codes(frame[name], known, missing=reading.missing))
            continue
        values = as_numbers(frame[name], lambda row, name=name: place(row, name), form=form, missing=reading.missing)  # type: ignore[misc]
        flags[name] = np.isnan(values)
        parts.append(np.where(flags[name], fill, values - offset if offset else values))
    return np.stack([*parts, *(flags[name].astype(float) for name in spec.missing_indicators)], axis=1)


def with_names(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return a data frame with text as column names.

    Raises:
        ZooError: if two columns have the same name, or the columns are a MultiIndex.
    """
    if frame.columns.nlevels > 1:
        raise ZooError(f"{name}: the columns have {frame.columns.nlevels} levels of names; must have one")
    if not all(isinstance(column, str) for column in frame.columns):
        frame = frame.rename(columns=str)
    if frame.columns.has_duplicates:
        double = frame.columns[frame.columns.duplicated()][0]
        raise ZooError(f"{name}: two columns are named {double!r}; rename or drop one")
    return frame


# --- categories ---


def as_text(value: Any, *, numeric: bool = False, missing: Sequence[str] = ()) -> str:
    """Convert a cell to category text, ``""`` if missing. Whole floats become integers.

    In a ``numeric`` column, whose texts are all numbers, texts are normalized as well: 3.0 becomes 3.
    """
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        text = str(int(value))
    else:
        text = "" if value is None or type(value).__name__ in ("NAType", "NaTType") else str(value).strip()
    if text in EMPTY or text in missing:
        return ""
    match = INTEGER.fullmatch(text) if numeric else None
    return match[1] if match else text


def is_numeric(texts: Iterable[str]) -> bool:
    """Return whether all texts, except missing ones, are numbers."""
    return all(is_number(text) for text in texts if text)


def as_texts(column: pd.Series, *, numeric: bool = False, missing: Sequence[str] = ()) -> pd.Series:
    """Convert the cells of a column to text. Each distinct value is converted once."""
    texts = map_unique(column, lambda value: as_text(value, numeric=numeric, missing=missing), object)
    return pd.Series(texts, index=column.index)


def category_texts(column: pd.Series, *, missing: Sequence[str] = ()) -> pd.Series:
    """Convert the cells of a column to category text. Integers are normalized if all cells are numbers."""
    texts = as_texts(column, missing=missing)
    return as_texts(texts, numeric=True) if is_numeric(texts.unique()) else texts


def category_codes(column: pd.Series, known: Sequence[str], *, missing: Sequence[str] = ()) -> np.ndarray:
    """Return category codes (N,), float64: positions in ``known`` from 1, and 0 for unknown text."""
    numbers = {text: float(number) for number, text in enumerate(known, start=1)}
    numeric = is_numeric(known)

    def code(value: Any) -> float:
        text = as_text(value, numeric=numeric, missing=missing)
        if text not in numbers and not isinstance(value, str):
            text = _as_in_file(value, text, known)
        return numbers.get(text, 0.0)

    return map_unique(column, code, np.float64)


def _as_in_file(value: Any, text: str, known: Sequence[str]) -> str:
    """Format a boolean or a number like the ``known`` categories: true or 1, 01001."""
    if isinstance(value, (bool, np.bool_)):
        return next((one for one in (text.lower(), text.upper(), str(int(value))) if one in known), text)
    lengths = {len(one) for one in known if one}
    return text.zfill(lengths.pop()) if len(lengths) == 1 and text.isdigit() else text


def unknown_categories(spec: TableSpec, raw: Any, batch: Mapping[str, Any]) -> dict[str, Counter[str]]:
    """Count the categories of ``raw`` that are unknown from training, by column.

    ``batch`` is the result of ``encode``.
    """
    counts: dict[str, Counter[str]] = {}
    text = [n for n, known in enumerate(spec.categories) if known]
    rows = as_frame(spec, raw) if text and bool((batch["x"][:, text] == 0).any()) else None
    if rows is None:
        return counts
    frame, missing = with_names(rows, spec.name), spec.reading.missing
    for n in text:
        new = np.flatnonzero((batch["x"][:, n] == 0).cpu().numpy())
        if len(new):
            cells = frame[spec.columns[n]].iloc[new]
            texts = as_texts(cells, numeric=is_numeric(spec.categories[n]), missing=missing)
            counts[spec.columns[n]] = Counter(str(one) or "(empty)" for one in texts)
    return counts


def unknown_notes(counts: Mapping[str, Counter[str]]) -> list[str]:
    """Return a line for each column in the counts of ``unknown_categories``."""
    lines = []
    for column, values in counts.items():
        examples = shortened([f"{text[:40]} ({count:,})" for text, count in values.most_common()], EXAMPLES)
        total = values.total()
        values_are = "value of {} is" if total == 1 else "values of {} are"
        lines.append(f"note: {total:,} {values_are.format(repr(column))} unknown to the model: {examples}")
    return lines
