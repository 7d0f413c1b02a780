"""Tables: rows of columns, numbers or texts, as a network reads them."""

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

ROWS = 4096  # that are read of a file at once
INTEGER = re.compile(r"([-+]?\d+)\.0*")
EXAMPLES = 5  # categories that a note names


def encode(spec: TableSpec, raw: Any) -> Batch:
    """Return rows as ``x`` float (B, inputs).

    ``raw`` is a data frame, a row of one, a dictionary or a list of such by the columns' names, the path of a CSV, or
    an array (B, inputs) of numbers in the columns' own units.

    Raises:
        ZooError: a column that is missing, text or infinity in a column of numbers, another shape, no rows.
    """
    frame = as_frame(spec, raw)
    if frame is not None:
        return {"x": torch.from_numpy(encode_frame(spec, frame).astype(np.float32))}
    return {"x": batched(spec, torch.from_numpy(_encode_array(spec, raw).astype(np.float32)))}


def read(spec: TableSpec, path: str) -> Iterator[Piece]:
    """Read rows of a CSV, as the training file was read."""
    name = "standard input" if path == INPUT else path
    with opened(path) as file:
        for table in stream_csv(file, name, spec.reading, rows=ROWS, known=spec.columns):
            _check_columns(spec, table.cells.columns, name)
            table.cells.attrs["origin"] = replace(table, path=name, cells=table.cells.iloc[:0])
            yield Piece([str(line) for line in table.lines], table.cells, done=share_read(path, file))


def from_json(spec: TableSpec, rows: Sequence[dict[str, Any]]) -> Any:
    """Return rows by the names of their columns as ``encode`` takes them."""
    frame = pd.DataFrame(list(rows), dtype=object)
    if spec.columns:
        return frame
    names = [f"column_{n + 1}" for n in range(spec.inputs)]
    missing = [name for name in names if name not in frame]
    if missing:
        raise ZooError(f"x: lacks {missing[0]}; its columns are {names[0]} to {names[-1]}")
    x = frame[names].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    if not np.isfinite(x).all():
        raise ZooError("x: has text, or nothing, in a column of numbers")
    return x


def as_frame(spec: TableSpec, raw: Any) -> pd.DataFrame | None:
    """Return rows by the names of their columns as a frame, None for an array of numbers.

    Raises:
        ZooError: a file that cannot be read, a single text that names none, rows of another length.
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
            raise ZooError(f"{spec.name}: a {kind}; must be rows, by their columns' names or as numbers") from None
    if cells.dtype.kind in "US":  # numbers beside texts stay numbers
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
    """Return all rows of a CSV; ``attrs["origin"]`` is the table that they come from, without its cells.

    Raises:
        ZooError: there is no such file, or it cannot be read.
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
    """Return the names of a table's columns."""
    return spec.columns or tuple(f"column_{n + 1}" for n in range(spec.inputs))


def _encode_array(spec: TableSpec, raw: Any) -> np.ndarray:
    """Return an array of numbers as float64 (B, inputs), checked as training checks its rows."""
    x: np.ndarray = raw.detach().cpu().numpy() if isinstance(raw, Tensor) else np.asarray(raw)
    x = x.astype(np.float64)
    x = x[None] if x.shape == spec.input_shape else x
    if x.ndim != 2 or x.shape[1] != spec.inputs:
        return x  # refused by its shape
    place = Table.of_frame(spec.name, pd.DataFrame(x), unit="row").at
    names = [*column_names(spec), *spec.missing_indicators]
    for n, known in enumerate(spec.categories):
        wrong = np.flatnonzero((x[:, n] != np.round(x[:, n])) | (x[:, n] < 0) | (x[:, n] > len(known)))
        if known and len(wrong):
            where, value = place(int(wrong[0]), names[n]), x[wrong[0], n]
            raise ZooError(f"{where}: {value:g} is no number of a category, 0 to {len(known)}")
    offsets = spec.reading.offsets
    if offsets:
        x = x - np.array([*offsets, *[0.0] * len(spec.missing_indicators)])
    with np.errstate(over="ignore"):
        not_finite = np.argwhere(~np.isfinite(x.astype(np.float32)))
    if len(not_finite):
        row, column = not_finite[0]
        value = x[row, column]
        problem = "is missing" if np.isnan(value) else "is infinite" if np.isinf(value) else f"{value:g} is too large"
        raise ZooError(f"{place(int(row), names[column])}: {problem}; mend it")
    return x


def encode_frame(spec: TableSpec, frame: pd.DataFrame, origin: Table | None = None) -> np.ndarray:
    """Return the columns of a table as x (N, inputs), float64: texts numbered, missing numbers filled and flagged.

    ``origin`` says where a cell is, for errors.

    Raises:
        ZooError: a column that is missing, text or infinity in a column of numbers.
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
    """Return a frame whose columns' names are texts.

    Raises:
        ZooError: two columns of one name, or names of several levels.
    """
    if frame.columns.nlevels > 1:
        raise ZooError(f"{name}: its columns have names of {frame.columns.nlevels} levels; must be one text each")
    if not all(isinstance(column, str) for column in frame.columns):
        frame = frame.rename(columns=str)
    if frame.columns.has_duplicates:
        double = frame.columns[frame.columns.duplicated()][0]
        raise ZooError(f"{name}: two columns are named {double!r}; rename or drop one")
    return frame


# --- categories ---


def as_text(value: Any, *, numeric: bool = False, missing: Sequence[str] = ()) -> str:
    """Return a cell as the text of a category, ``""`` where it is missing; a float that is whole as a whole number.

    In a column that is ``numeric``, whose texts are all numbers, texts are so too: 3.0 and 3 are one.
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
    """Tell whether all texts but missing ones are numbers."""
    return all(is_number(text) for text in texts if text)


def as_texts(column: pd.Series, *, numeric: bool = False, missing: Sequence[str] = ()) -> pd.Series:
    """Return a column's cells as texts; each different one is looked at once."""
    texts = map_unique(column, lambda value: as_text(value, numeric=numeric, missing=missing), object)
    return pd.Series(texts, index=column.index)


def category_texts(column: pd.Series, *, missing: Sequence[str] = ()) -> pd.Series:
    """Return a column's cells as texts, whole numbers alike where all of them are numbers."""
    texts = as_texts(column, missing=missing)
    return as_texts(texts, numeric=True) if is_numeric(texts.unique()) else texts


def category_codes(column: pd.Series, known: Sequence[str], *, missing: Sequence[str] = ()) -> np.ndarray:
    """Return the numbers from 1 of a column's cells in ``known``, 0 for another text, as float64 (N,)."""
    numbers = {text: float(number) for number, text in enumerate(known, start=1)}
    numeric = is_numeric(known)

    def code(value: Any) -> float:
        text = as_text(value, numeric=numeric, missing=missing)
        if text not in numbers and not isinstance(value, str):
            text = _as_in_file(value, text, known)
        return numbers.get(text, 0.0)

    return map_unique(column, code, np.float64)


def _as_in_file(value: Any, text: str, known: Sequence[str]) -> str:
    """Return a flag or a number as the file has it that ``known`` categories come from: true or 1, 01001."""
    if isinstance(value, (bool, np.bool_)):
        return next((one for one in (text.lower(), text.upper(), str(int(value))) if one in known), text)
    lengths = {len(one) for one in known if one}
    return text.zfill(lengths.pop()) if len(lengths) == 1 and text.isdigit() else text


def unknown_categories(spec: TableSpec, raw: Any, batch: Mapping[str, Any]) -> dict[str, Counter[str]]:
    """Return the categories of ``raw`` that training lacks, by column, and how often each occurs.

    ``batch`` is what ``encode`` made of it.
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
    """Return a line for each column with categories that training lacks, as ``unknown_categories`` counts them."""
    lines = []
    for column, values in counts.items():
        examples = shortened([f"{text[:40]} ({count:,})" for text, count in values.most_common()], EXAMPLES)
        total = values.total()
        values_are = "value of {} is" if total == 1 else "values of {} are"
        lines.append(f"note: {total:,} {values_are.format(repr(column))} unknown to the model: {examples}")
    return lines
