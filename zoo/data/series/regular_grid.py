"""A series' rows as numbers at even times: the one way from a file or a frame, for training and for new data."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from zoo.config.schema import check_choice, check_flag
from zoo.data.series.calendar import Grid, direction, duration, grid_of, named
from zoo.data.series.spec import SeriesReading
from zoo.data.series.times import LIKELY, Times, chosen, is_numeric, joined, partner_sets, readings, written
from zoo.data.table.csv_file import Table, column_named, read_csv
from zoo.data.table.numbers import MARKS, PLAIN, Format, as_numbers, guess_format, surely_comma, surely_point
from zoo.exceptions import ZooError

FILL_METHODS = ("linear", "last")
FILL_ADVICE = "fill the gaps, or set data.fill_method=linear or last"
CLOCKS = ("date", "dates", "datetime", "ds", "epoch", "time", "times", "timestamp", "ts", "unix", "unix_time", "year")
MOST = 0.5  # share of a column's texts that a format of numbers must read
GROUPS = 0.5  # different texts in a column per row, up to which it may name the series that a file holds


@dataclass(frozen=True)
class Source:
    """Rows of a file or a frame, and how errors call them: ``unit`` line or row, by ``numbers``."""

    name: str
    cells: pd.DataFrame
    numbers: Sequence[int]
    unit: str = "line"

    def at(self, row: int, column: str) -> str:
        """Return the words for a cell."""
        return f"{self.name}, {self.unit} {self.numbers[row]}, column {column!r}"

    def backwards(self) -> Source:
        """Return the rows from the last to the first."""
        return replace(self, cells=self.cells.iloc[::-1], numbers=self.numbers[::-1])


@dataclass(frozen=True)
class Series:
    """Numbers at even times: ``values`` (N, columns) of ``grid``, without gaps; ``reading`` as it was settled."""

    columns: list[str]
    values: np.ndarray
    grid: Grid
    times: Times
    reading: SeriesReading

    def following(self, count: int) -> list[str]:
        """Return the ``count`` times after the last row, as text."""
        return written(self.grid.following(count), self.times)


def source_of(table: Table) -> Source:
    """Return a file's rows."""
    return Source(str(table.path), table.cells, [int(line) for line in table.lines])


def open_series(path: Path, reading: SeriesReading, columns: Sequence[str] = ()) -> Table:
    """Return a file's cells; where its first row is no header by its own looks, it is one by ``columns`` or by times.

    Raises:
        ZooError: the file is no table.
    """
    options = {"delimiter": reading.delimiter, "known": columns}
    table = read_csv(path, header=reading.header, **options)
    if reading.header is None and not table.header and len(table.cells) > 1 and _first_row_names(table.cells):
        table = read_csv(path, header=True, **options)
    return table


def with_options(
    reading: SeriesReading,
    table: Table,
    *,
    time_column: str | int | Sequence[str] | None = None,
    dayfirst: bool | None = None,
    fill_method: str | None = None,
) -> SeriesReading:
    """Return a reading with what a user says of a file: its columns of times, the order of day and month, the fill.

    Raises:
        ZooError: no such column, or an option outside its choices.
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


def without_index(table: Table, *, keep: Sequence[str]) -> Table:
    """Return a table without the columns that have no name and only number its rows, which is said."""
    index = [name for name in table.nameless if name not in keep and _numbers_rows(table.cells[name])]
    if not index:
        return table
    print(f"note: {table.path}: left out {', '.join(index)}, an index without a name", file=sys.stderr)
    return replace(table, cells=table.cells.drop(columns=index))


def _numbers_rows(cells: pd.Series) -> bool:
    """Tell whether a column is empty, or rises by one from row to row."""
    numbers = pd.to_numeric(cells, errors="coerce")
    return bool(cells.isna().all()) or bool((numbers.diff().iloc[1:] == 1).all())


def _first_row_names(cells: pd.DataFrame) -> bool:
    """Tell whether a column's first cell is the only one that is no time."""
    for name in cells.columns:
        if not is_numeric(cells[name].iloc[1:]):
            ways = readings(cells[name])
            if any(not way.valid[0] and way.valid[1:].all() for way in ways if len(way.valid) > 1):
                return True
    return False


def read_series(
    source: Source,
    columns: Sequence[str] | None,
    reading: SeriesReading,
    *,
    last: int | None = None,
    advice: str = FILL_ADVICE,
    decimal: str | None = None,
    thousands: str | None = None,
) -> Series:
    """Return the numbers of ``columns`` (None: all but the times) by ``reading``, where it leaves open as they look.

    Unless training filled gaps, the ``last`` rows must have all their values (None: all rows), and others may be NaN.
    ``advice`` is what to do about gaps; ``decimal`` and ``thousands`` are marks of numbers that a user named.

    Raises:
        ZooError: no times, or uneven ones; several series; a cell that is no number; gaps that nothing fills.
    """
    missing = [name for name in columns or () if name not in source.cells.columns]
    if missing:
        raise ZooError(f"{source.name}: lacks the column {missing[0]!r}; the model reads {', '.join(columns or ())}")
    times, clocks = read_times(source, reading)
    if direction(times.values) < 0 and len(times.values) > 1:
        if not reading.step:
            print(f"note: {source.name}: the times fall from row to row; the last row is read first", file=sys.stderr)
        source, times = source.backwards(), replace(times, values=times.values[::-1])
    _check_order(source, times, clocks)
    names = [str(c) for c in source.cells.columns if c not in clocks] if columns is None else list(columns)
    formats = reading.formats or (PLAIN,) * len(names)
    if not reading.step:
        formats = number_formats(source.cells, names, reading, decimal=decimal, thousands=thousands)
    values = np.stack([_numbers(source, name, form, reading) for name, form in zip(names, formats, strict=True)], 1)
    grid = _grid(source, times, clocks, reading, advice)
    even = np.full((len(grid.times), len(names)), np.nan)
    even[grid.positions] = values
    even = _without_gaps(source, names, even, grid, reading.fill_method, last, advice)
    settled = replace(
        reading,
        time=tuple(clocks),
        time_format=times.format,
        time_zone=times.zone,
        step=grid.calendar.step,
        formats=formats if any(formats) else (),
    )
    return Series(names, even, grid, times, settled)


# --- times ---


def read_times(source: Source, reading: SeriesReading) -> tuple[Times, list[str]]:
    """Return the times of rows, and the columns that hold them.

    Raises:
        ZooError: no column holds times, or a cell of it is none.
    """
    cells = source.cells
    if reading.time and all(name in cells.columns for name in reading.time):
        clocks = list(reading.time)
        times = _times(source, clocks, reading)
        if times is None:
            raise ZooError(f"{source.at(0, clocks[0])}: {str(cells[clocks[0]].iloc[0])[:40]!r} is no time")
        return _whole_times(source, times, clocks, reading)
    for clocks in _clock_columns(cells):
        times = _times(source, clocks, reading, least=LIKELY)
        if times is not None:
            return _whole_times(source, times, clocks, reading)
    names = ", ".join(map(str, cells.columns[:20]))
    raise ZooError(f"{source.name}: no column holds times (columns: {names}); name it by data.time_column=")


def _clock_columns(cells: pd.DataFrame) -> Iterator[list[str]]:
    """Yield columns that may hold times: those of text or dates, year and month, numbers by name or by size."""
    numeric = [name for name in cells.columns if is_numeric(cells[name])]
    yield from ([name] for name in cells.columns if name not in numeric)
    yield from partner_sets(cells, None)
    for name in numeric:
        dates = [way for way in readings(cells[name]) if way.format not in ("number", "years")]
        rising = any(direction(way.values) and len(way.values) > 1 for way in dates)
        if str(name).strip().lower() in CLOCKS or rising:
            yield [name]


def _times(source: Source, clocks: Sequence[str], reading: SeriesReading, *, least: float = 0.0) -> Times | None:
    """Return the times of a column, or of several that are parts of one time; None if at most ``least`` are times."""
    column = source.cells[clocks[0]] if len(clocks) == 1 else joined(source.cells, clocks)
    ways = readings(column, format=reading.time_format, zone=reading.time_zone)
    if not any(way.valid.any() and way.valid.mean() > least for way in ways):
        return None
    times, tied = chosen(ways)
    stray = np.flatnonzero(~times.valid)
    if len(stray):
        cell = source.cells[clocks[0]].iloc[stray[0]]
        what = "is empty" if pd.isna(cell) else f"{str(column.iloc[stray[0]])[:40]!r} is no time"
        way = {"dmy": " where others are day/month/year", "mdy": " where others are month/day/year"}
        raise ZooError(f"{source.at(stray[0], clocks[0])}: {what}{way.get(times.format, '')}; mend or delete the line")
    if not reading.time_format and times.format in ("dmy", "mdy"):
        _say_order(source, clocks[0], str(column.iloc[0]), times, ways, tied)
    return times


def _say_order(source: Source, clock: str, cell: str, times: Times, ways: Sequence[Times], tied: bool) -> None:
    """Say which of day and month comes first, where single dates leave it open."""
    others = [way for way in ways if way.format in ("dmy", "mdy") and way.format != times.format and way.valid.all()]
    if not others:
        return
    order, other = (("day", "true"), ("month", "false"))[:: 1 if times.format == "dmy" else -1]
    notice = f"{source.name}, column {clock!r}: {cell!r} is read {order[0]} first"
    if tied:
        print(f"warning: {notice}, which its steps leave open; set data.dayfirst=true or false", file=sys.stderr)
    else:
        print(
            f"note: {notice}, by which the steps are even (data.dayfirst={other[1]} for {other[0]} first)",
            file=sys.stderr,
        )


def _whole_times(source: Source, times: Times, clocks: list[str], reading: SeriesReading) -> tuple[Times, list[str]]:
    """Return times with the part that a second column holds: dates that come twice beside a time of day."""
    if len(clocks) > 1 or times.values.dtype.kind != "M":
        return times, clocks
    if (times.values.astype("datetime64[D]") != times.values).any():
        return times, clocks
    twice = len(np.unique(times.values)) < len(times.values)
    for pair in partner_sets(source.cells, clocks[0]):
        ways = [way for way in readings(joined(source.cells, pair), format=times.format) if way.valid.all()]
        both = chosen(ways)[0] if ways else times
        unique = np.unique(both.values)
        if ways and len(unique) == len(both.values) and (twice or grid_of(unique) is not None):
            if not reading.time_format:
                notice = f"{pair[0]} and {pair[1]} are read as one time (data.time_column=[{','.join(pair)}])"
                print(f"note: {source.name}: the columns {notice}", file=sys.stderr)
            return both, pair
    return times, clocks


def _check_order(source: Source, times: Times, clocks: Sequence[str]) -> None:
    """Raise ZooError unless the times rise."""
    if len(times.values) < 2:
        raise ZooError(f"{source.name}: has {len(times.values)} row; a series has at least two")
    steps = np.diff(times.values)
    zero = steps.dtype.type(0)
    if (steps > zero).all():
        return
    cells = source.cells[clocks[0]] if len(clocks) == 1 else joined(source.cells, clocks)
    order = np.argsort(times.values, kind="stable")
    twice = order[1:][np.diff(times.values[order]) == zero]
    if len(twice):
        groups = _groups(source.cells, times, clocks)
        place = int(twice.min())
        if groups:
            names = source.cells[groups[0]].dropna().unique()
            some = ", ".join(map(str, names[:3])) + (", …" if len(names) > 3 else "")
            of_each = " and ".join(repr(name) for name in groups)
            raise ZooError(
                f"{source.at(place, groups[0])}: {cells.iloc[place]} comes once for each {of_each} ({some}); "
                f"these are several series: give each a file or a column of its own"
            )
    advice = "; where clocks were set back, write times with offsets or in UTC" if _set_back(times, twice) else ""
    if (steps < zero).any():
        back = int(np.flatnonzero(steps < zero)[0]) + 1
        error = f"{source.at(back, clocks[0])}: {cells.iloc[back]} comes before the {source.unit} above"
        raise ZooError(f"{error}; sort the rows{advice}")
    error = f"{source.at(place, clocks[0])}: {cells.iloc[place]} is there twice"
    raise ZooError(f"{error}; keep one {source.unit} of each{advice}")


def _set_back(times: Times, twice: np.ndarray) -> bool:
    """Tell whether all times that come twice are those of an hour of autumn nights."""
    if times.values.dtype.kind != "M" or not len(twice):
        return False
    clock = pd.DatetimeIndex(times.values[twice])
    nights = (clock.hour < 4) & clock.month.isin((3, 4, 9, 10, 11)) & (clock.dayofweek == 6)
    return bool(nights.all()) and (clock.normalize() != clock).any()


def _groups(cells: pd.DataFrame, times: Times, clocks: Sequence[str]) -> list[str]:
    """Return the columns by whose values rows of one time differ: the names of several series."""
    names = [name for name in cells.columns if name not in clocks and cells[name].nunique() <= GROUPS * len(cells)]
    texts = [name for name in names if pd.to_numeric(cells[name].dropna(), errors="coerce").isna().any()]
    for group in [*([name] for name in texts), texts, *([name] for name in names)]:
        if (
            group
            and not pd.DataFrame({"time": times.values, **{n: cells[n].to_numpy() for n in group}}).duplicated().any()
        ):
            return group
    return []


def _grid(source: Source, times: Times, clocks: Sequence[str], reading: SeriesReading, advice: str) -> Grid:
    """Return the even times of the rows.

    Raises:
        ZooError: no calendar fits, or gaps where nothing fills them.
    """
    values = times.values
    cells = source.cells[clocks[0]] if len(clocks) == 1 else joined(source.cells, clocks)
    grid = grid_of(values, reading.step)
    if grid is not None and (not grid.missing or reading.fill_method is not None):
        return grid
    if grid is not None:
        after = int(np.flatnonzero(np.diff(grid.positions) != 1)[0])
        error = f"{source.at(after, clocks[0])}: after {cells.iloc[after]} the steps are not even"
        raise ZooError(f"{error} ({grid.missing:,} are missing); {advice}")
    steps = np.diff(values)
    if reading.step and grid_of(values) is not None:
        other = grid_of(values)
        raise ZooError(
            f"{source.name}, column {clocks[0]!r}: has a step of {named(other.calendar.step)}; "  # type: ignore[union-attr]
            f"the model was trained on steps of {named(reading.step)}"
        )
    modalities, counts = np.unique(steps, return_counts=True)
    most = modalities[counts.argmax()]
    after = int(np.flatnonzero(steps != most)[0]) if len(modalities) > 1 else 0
    error = f"{source.at(after, clocks[0])}: after {cells.iloc[after]} the steps are not even"
    raise ZooError(f"{error}, {_length(steps[after])} where most are {_length(most)}; bring the rows to even steps")


def _length(step: np.generic) -> str:
    return duration(float(step / np.timedelta64(1, "us")) / 1e6) if step.dtype.kind == "m" else f"{step:g}"


# --- values ---


def number_formats(
    cells: pd.DataFrame,
    names: Sequence[str],
    reading: SeriesReading,
    *,
    decimal: str | None = None,
    thousands: str | None = None,
) -> tuple[Format, ...]:
    """Return how the numbers of each column are written; columns that tell decide for those that could be either."""
    texts = [_number_texts(cells[name], reading.missing) for name in names]
    plain = [bool(pd.to_numeric(pd.Series(list(one), dtype=object), errors="coerce").notna().all()) for one in texts]
    hint = decimal
    if hint is None:
        others = [one for one, simple in zip(texts, plain, strict=True) if not simple]
        hint = "," if any(map(surely_comma, others)) else "." if any(map(surely_point, others)) else None
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
    """Return a column's texts that are no marks for a missing value, and how often each occurs."""
    if pd.api.types.is_numeric_dtype(cells):
        return {}
    counts = cells.dropna().astype(str).str.strip().value_counts()
    return {text: count for text, count in counts.items() if text.lower() not in MARKS and text not in missing}


def _numbers(source: Source, name: str, form: Format, reading: SeriesReading) -> np.ndarray:
    advice = ", or leave the column out by data.columns=[…]" if source.unit == "line" else ""
    place = lambda row: source.at(row, name)  # noqa: E731
    return as_numbers(source.cells[name], place, advice, form=form, missing=reading.missing)


def _without_gaps(
    source: Source,
    names: Sequence[str],
    even: np.ndarray,
    grid: Grid,
    fill: str | None,
    last: int | None,
    advice: str,
) -> np.ndarray:
    """Return values whose gaps are filled.

    Raises:
        ZooError: a gap where nothing fills it, or a column without any value.
    """
    rows = dict(zip(grid.positions.tolist(), range(len(grid.positions)), strict=True))
    for number, name in enumerate(names):
        empty = np.isnan(even[:, number])
        if empty.all():
            raise ZooError(f"{source.name}: column {name!r} is empty; leave it out by data.columns=")
        tail = int(empty[::-1].argmin())
        first = source.at(min(rows[n] for n in range(len(even) - tail, len(even)) if n in rows), name) if tail else ""
        if tail and fill is not None:
            print(
                f"warning: {first}: is empty to the end ({tail:,} rows), filled with the last value; "
                f"if these rows are the future, cut them off",
                file=sys.stderr,
            )
        if fill is None and empty[0 if last is None else len(even) - min(last, len(even)) :].any():
            if tail:
                raise ZooError(
                    f"{first}: is empty to the end ({tail:,} rows); if they are the future, cut these rows off: "
                    f"a forecast reads the past alone"
                )
            place = int(np.flatnonzero(empty)[0 if last is None else -1])
            raise ZooError(f"{source.at(rows[place], name)}: is empty ({empty.sum():,} values are missing); {advice}")
    return even if fill is None else filled(even, fill)


def filled(values: np.ndarray, fill: str) -> np.ndarray:
    """Return values (N, columns) whose gaps are filled, linear or with the last value."""
    frame = pd.DataFrame(values)
    frame = frame.interpolate(limit_direction="both") if fill == "linear" else frame.ffill().bfill()
    return frame.to_numpy()
