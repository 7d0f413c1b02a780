"""Series on a regular grid of times, parsed the same way in training and prediction."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zoo.config.schema import check_choice, check_flag
from zoo.data.series.calendar import SECOND, Grid, direction, duration, grid_of, step_text
from zoo.data.series.spec import SeriesReading
from zoo.data.series.time_column import check_order, read_times
from zoo.data.series.times import Times, is_numeric, joined, readings, written
from zoo.data.table.cells import MARKS, PLAIN, Format, Table, as_numbers, column_named, guess_format, infer_decimal
from zoo.data.table.csv_file import read_csv
from zoo.data.table.spec import Dialect
from zoo.exceptions import ZooError
from zoo.utils.console import print_note

FILL_METHODS = ("linear", "last")
FILL_ADVICE = "fill the gaps, or set data.fill_method=linear or last"
MOST = 0.5  # minimum fraction of a column's texts that a number format must parse


def open_series(path: Path, reading: SeriesReading, columns: Sequence[str] = ()) -> Table:
    """Read the cells of a CSV.

    The first row is a header if it looks like one, has the names in ``columns``, or is the only row without a time.

    Raises:
        ZooError: if the file is not a table.
    """
    table = read_csv(path, Dialect(reading.delimiter, header=reading.header), known=columns)
    if reading.header is None and not table.header and len(table.cells) > 1 and _first_row_names(table.cells):
        table = read_csv(path, Dialect(reading.delimiter, header=True), known=columns)
    return table


def without_index(table: Table, *, keep: Sequence[str]) -> Table:
    """Return a table without unnamed columns that only number the rows. Print a note with their names."""
    index = [name for name in table.nameless if name not in keep and _numbers_rows(table.cells[name])]
    if not index:
        return table
    print_note(f"{table.path}: left out {', '.join(index)}, an unnamed index column")
    return replace(table, cells=table.cells.drop(columns=index))


def _numbers_rows(cells: pd.Series) -> bool:
    """Return whether a column is empty, or increases by one in each row."""
    numbers = pd.to_numeric(cells, errors="coerce")
    return bool(cells.isna().all()) or bool((numbers.diff().iloc[1:] == 1).all())


def _first_row_names(cells: pd.DataFrame) -> bool:
    """Return whether the first cell of a column is the only one that is not a time."""
    for name in cells.columns:
        if not is_numeric(cells[name].iloc[1:]):
            ways = readings(cells[name])
            if any(not way.valid[0] and way.valid[1:].all() for way in ways if len(way.valid) > 1):
                return True
    return False


@dataclass(frozen=True)
class Series:
    """Values (N, columns) without gaps on a regular ``grid``. ``reading`` has all inferred options of the file."""

    columns: list[str]
    values: np.ndarray
    grid: Grid
    times: Times
    reading: SeriesReading

    def following(self, count: int) -> list[str]:
        """Return the ``count`` times after the last row, as text."""
        return written(self.grid.following(count), self.times)


def with_options(
    reading: SeriesReading,
    table: Table,
    *,
    time_column: str | int | Sequence[str] | None = None,
    dayfirst: bool | None = None,
    fill_method: str | None = None,
) -> SeriesReading:
    """Apply options of the user: the time columns, the order of day and month, the fill method.

    Raises:
        ZooError: if a column or choice does not exist.
    """
    if fill_method is not None:
        check_choice("data.fill_method", fill_method, FILL_METHODS)
        reading = replace(reading, fill_method=fill_method)
    if dayfirst is not None:
        check_flag("data.dayfirst", dayfirst)
        reading = replace(reading, time_format="dmy" if dayfirst else "mdy")
    if time_column is None:
        return reading
    columns = [time_column] if isinstance(time_column, (str, int)) else list(time_column)
    return replace(reading, time=tuple(column_named(table, name, "data.time_column") for name in columns))


def read_series(
    table: Table,
    columns: Sequence[str] | None,
    reading: SeriesReading,
    *,
    last: int | None = None,
    advice: str = FILL_ADVICE,
    decimal: str | None = None,
    thousands: str | None = None,
) -> Series:
    """Return the numeric columns of a table on a regular grid of times.

    Args:
        ``table``: rows of a file or data frame.
        ``columns``: column names; None: all except the times.
        ``reading``: how the file is parsed; missing options are inferred.
        ``last``: number of final rows that must be complete, unless gaps are filled; None: all rows.
        ``advice``: final part of errors about gaps.
        ``decimal``, ``thousands``: separators set by the user.

    Raises:
        ZooError: if times are missing or irregular, or there are several series. Also if a cell is not a number, or
            gaps are not filled.
    """
    missing = [name for name in columns or () if name not in table.cells.columns]
    if missing:
        raise ZooError(
            f"{table.path}: the column {missing[0]!r} is missing; the model reads {', '.join(columns or ())}"
        )
    times, clocks = read_times(table, reading)
    if direction(times.values) < 0 and len(times.values) > 1:
        if not reading.step:
            print_note(f"{table.path}: the times decrease from row to row; reading the rows in reverse order")
        table = replace(table, cells=table.cells.iloc[::-1], lines=table.lines[::-1])
        times = replace(times, values=times.values[::-1])
    check_order(table, times, clocks)
    names = [str(c) for c in table.cells.columns if c not in clocks] if columns is None else list(columns)
    formats = reading.formats or (PLAIN,) * len(names)
    if not reading.step:
        formats = number_formats(table.cells, names, reading, decimal=decimal, thousands=thousands)
    values = np.stack([_numbers(table, name, form, reading) for name, form in zip(names, formats, strict=True)], 1)
    grid = _grid(table, times, clocks, reading, advice)
    even = np.full((len(grid.times), len(names)), np.nan)
    even[grid.positions] = values
    even = _without_gaps(table, names, even, grid, reading.fill_method, last, advice)
    settled = replace(
        reading,
        time=tuple(clocks),
        time_format=times.format,
        time_zone=times.zone,
        step=grid.calendar.step,
        formats=formats if any(formats) else (),
    )
    return Series(names, even, grid, times, settled)


def _grid(table: Table, times: Times, clocks: Sequence[str], reading: SeriesReading, advice: str) -> Grid:
    """Return the grid of the rows.

    Raises:
        ZooError: if no calendar fits, or there are gaps without a fill method.
    """
    values = times.values
    cells = table.cells[clocks[0]] if len(clocks) == 1 else joined(table.cells, clocks)
    grid = grid_of(values, reading.step)
    if grid is not None and (not grid.missing or reading.fill_method is not None):
        return grid
    if grid is not None:
        after = int(np.flatnonzero(np.diff(grid.positions) != 1)[0])
        error = f"{table.at(after, clocks[0])}: the steps after {cells.iloc[after]} are irregular"
        raise ZooError(f"{error} ({grid.missing:,} are missing); {advice}")
    steps = np.diff(values)
    other = grid_of(values) if reading.step else None
    if other is not None:
        raise ZooError(
            f"{table.path}, column {clocks[0]!r}: has a step of {step_text(other.calendar.step)}; "
            f"the model was trained on steps of {step_text(reading.step)}"
        )
    lengths, counts = np.unique(steps, return_counts=True)
    most = lengths[counts.argmax()]
    after = int(np.flatnonzero(steps != most)[0]) if len(lengths) > 1 else 0
    error = f"{table.at(after, clocks[0])}: the steps after {cells.iloc[after]} are irregular"
    raise ZooError(f"{error}: {_length(steps[after])} instead of {_length(most)}; resample the rows to regular steps")


def _length(step: Any) -> str:
    return duration(float(step / np.timedelta64(1, "us")) / SECOND) if step.dtype.kind == "m" else f"{step:g}"


# --- values ---


def number_formats(
    cells: pd.DataFrame,
    names: Sequence[str],
    reading: SeriesReading,
    *,
    decimal: str | None = None,
    thousands: str | None = None,
) -> tuple[Format, ...]:
    """Return the number format of each column. Unambiguous columns decide for ambiguous ones."""
    texts = [_number_texts(cells[name], reading.missing) for name in names]
    plain = [bool(pd.to_numeric(pd.Series(list(one), dtype=object), errors="coerce").notna().all()) for one in texts]
    hint = decimal
    if hint is None:
        others = [one for one, simple in zip(texts, plain, strict=True) if not simple]
        hint = infer_decimal(others)
    formats = []
    for one, simple in zip(texts, plain, strict=True):
        if not one or (simple and hint in (None, ".") and thousands is None):
            formats.append(PLAIN)
            continue
        semicolons = reading.delimiter == ";"
        guess = guess_format(one, decimal=decimal, thousands=thousands, hint=hint, semicolons=semicolons)
        formats.append(guess.form if guess.share > MOST else PLAIN)
    return tuple(formats)


def _number_texts(cells: pd.Series, missing: Sequence[str]) -> dict[str, int]:
    """Count the texts of a column, except markers of missing values."""
    if pd.api.types.is_numeric_dtype(cells):
        return {}
    counts = cells.dropna().astype(str).str.strip().value_counts()
    return {text: count for text, count in counts.items() if text.lower() not in MARKS and text not in missing}


def _numbers(table: Table, name: str, form: Format, reading: SeriesReading) -> np.ndarray:
    advice = ", or leave out the column with data.columns=[…]" if table.unit == "line" else ""
    place = partial(table.at, column=name)
    return as_numbers(table.cells[name], place, advice, form=form, missing=reading.missing)


def _without_gaps(
    table: Table,
    names: Sequence[str],
    even: np.ndarray,
    grid: Grid,
    fill: str | None,
    last: int | None,
    advice: str,
) -> np.ndarray:
    """Fill the gaps of values.

    Raises:
        ZooError: if there is a gap without a fill method, or a column has no values.
    """
    rows = dict(zip(grid.positions.tolist(), range(len(grid.positions)), strict=True))
    for number, name in enumerate(names):
        empty = np.isnan(even[:, number])
        if empty.all():
            raise ZooError(f"{table.path}: column {name!r} is empty; leave it out with data.columns=")
        tail = int(empty[::-1].argmin())
        first = table.at(min(rows[n] for n in range(len(even) - tail, len(even)) if n in rows), name) if tail else ""
        if tail and fill is not None:
            print(
                f"warning: {first}: is empty from here to the end ({tail:,} rows), filled with the last value; "
                f"if these rows are the future, remove them",
                file=sys.stderr,
            )
        if fill is None and empty[0 if last is None else len(even) - min(last, len(even)) :].any():
            if tail:
                raise ZooError(
                    f"{first}: is empty from here to the end ({tail:,} rows); if they are the future, remove them: "
                    f"a forecast only needs the past"
                )
            place = int(np.flatnonzero(empty)[0 if last is None else -1])
            raise ZooError(f"{table.at(rows[place], name)}: is empty ({empty.sum():,} values are missing); {advice}")
    return even if fill is None else filled(even, fill)


def filled(values: np.ndarray, fill: str) -> np.ndarray:
    """Fill the gaps of values (N, columns), by linear interpolation or with the last value."""
    frame = pd.DataFrame(values)
    frame = frame.interpolate(limit_direction="both") if fill == "linear" else frame.ffill().bfill()
    return np.asarray(frame)
