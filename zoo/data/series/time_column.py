"""The time column of a series: detection, parsing and checks of its order."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from zoo.data.series.calendar import direction, grid_of
from zoo.data.series.spec import SeriesReading
from zoo.data.series.times import LIKELY, Times, chosen, is_numeric, joined, partner_sets, readings
from zoo.data.table.cells import Table
from zoo.exceptions import ZooError
from zoo.utils.console import print_note

CLOCKS = ("date", "dates", "datetime", "ds", "epoch", "time", "times", "timestamp", "ts", "unix", "unix_time", "year")
GROUPS = 0.5  # maximum ratio of distinct texts to rows in a column that names several series in a file


def read_times(table: Table, reading: SeriesReading) -> tuple[Times, list[str]]:
    """Return the times of the rows, and their columns.

    Raises:
        ZooError: if no column has times, or a cell is not a time.
    """
    cells = table.cells
    if reading.time and all(name in cells.columns for name in reading.time):
        clocks = list(reading.time)
        times = _parse(table, clocks, reading)
        if times is None:
            raise ZooError(f"{table.at(0, clocks[0])}: {str(cells[clocks[0]].iloc[0])[:40]!r} is not a time")
        return _with_partner(table, times, clocks, reading)
    for clocks in _clock_columns(cells):
        times = _parse(table, clocks, reading, least=LIKELY)
        if times is not None:
            return _with_partner(table, times, clocks, reading)
    names = ", ".join(map(str, cells.columns[:20]))
    raise ZooError(f"{table.path}: no column has times (columns: {names}); set data.time_column=")


def _clock_columns(cells: pd.DataFrame) -> Iterator[list[str]]:
    """Yield candidate time columns: text or dates, year and month, then numbers with a typical name or range."""
    numeric = [name for name in cells.columns if is_numeric(cells[name])]
    yield from ([name] for name in cells.columns if name not in numeric)
    yield from partner_sets(cells, None)
    for name in numeric:
        dates = [way for way in readings(cells[name]) if way.format not in ("number", "years")]
        rising = any(direction(way.values) and len(way.values) > 1 for way in dates)
        if str(name).strip().lower() in CLOCKS or rising:
            yield [name]


def _parse(table: Table, clocks: Sequence[str], reading: SeriesReading, *, least: float = 0.0) -> Times | None:
    """Parse the times of one or several columns. Return None if at most a fraction ``least`` of the cells are times."""
    column = table.cells[clocks[0]] if len(clocks) == 1 else joined(table.cells, clocks)
    ways = readings(column, format=reading.time_format, zone=reading.time_zone)
    if not any(way.valid.any() and way.valid.mean() > least for way in ways):
        return None
    times, tied = chosen(ways)
    stray = np.flatnonzero(~times.valid)
    if len(stray):
        cell = table.cells[clocks[0]].iloc[stray[0]]
        what = "is empty" if pd.isna(cell) else f"{str(column.iloc[stray[0]])[:40]!r} is not a time"
        way = {"dmy": "; other rows are day/month/year", "mdy": "; other rows are month/day/year"}
        raise ZooError(
            f"{table.at(stray[0], clocks[0])}: {what}{way.get(times.format, '')}; correct or delete the line"
        )
    if not reading.time_format and times.format in ("dmy", "mdy"):
        _note_order(table, clocks[0], str(column.iloc[0]), times, ways, tied)
    return times


def _note_order(table: Table, clock: str, cell: str, times: Times, ways: Sequence[Times], tied: bool) -> None:
    """Print whether the day or the month comes first, if single dates are ambiguous."""
    others = [way for way in ways if way.format in ("dmy", "mdy") and way.format != times.format and way.valid.all()]
    if not others:
        return
    order, other = (("day", "true"), ("month", "false"))[:: 1 if times.format == "dmy" else -1]
    notice = f"{table.path}, column {clock!r}: {cell!r} is read with the {order[0]} first"
    if tied:
        print(
            f"warning: {notice}, but the steps do not determine the order; set data.dayfirst=true or false",
            file=sys.stderr,
        )
    else:
        print_note(f"{notice}, which gives regular steps (data.dayfirst={other[1]} reads the {other[0]} first)")


def _with_partner(table: Table, times: Times, clocks: list[str], reading: SeriesReading) -> tuple[Times, list[str]]:
    """Add the time of day from a second column, if dates alone are duplicated or irregular."""
    if len(clocks) > 1 or times.values.dtype.kind != "M":
        return times, clocks
    if (times.values.astype("datetime64[D]") != times.values).any():
        return times, clocks
    twice = len(np.unique(times.values)) < len(times.values)
    for pair in partner_sets(table.cells, clocks[0]):
        ways = [way for way in readings(joined(table.cells, pair), format=times.format) if way.valid.all()]
        both = chosen(ways)[0] if ways else times
        unique = np.unique(both.values)
        if ways and len(unique) == len(both.values) and (twice or grid_of(unique) is not None):
            if not reading.time_format:
                notice = f"{pair[0]} and {pair[1]} are read as one time (data.time_column=[{','.join(pair)}])"
                print_note(f"{table.path}: the columns {notice}")
            return both, pair
    return times, clocks


def check_order(table: Table, times: Times, clocks: Sequence[str]) -> None:
    """Raise ZooError unless the times increase."""
    if len(times.values) < 2:
        raise ZooError(f"{table.path}: has {len(times.values)} row; must have at least two")
    steps = np.diff(times.values)
    zero = steps.dtype.type(0)
    if (steps > zero).all():
        return
    cells = table.cells[clocks[0]] if len(clocks) == 1 else joined(table.cells, clocks)
    order = np.argsort(times.values, kind="stable")
    twice = order[1:][np.diff(times.values[order]) == zero]
    if len(twice):
        groups = _groups(table.cells, times, clocks)
        place = int(twice.min())
        if groups:
            names = table.cells[groups[0]].dropna().unique()
            some = ", ".join(map(str, names[:3])) + (", …" if len(names) > 3 else "")
            of_each = " and ".join(repr(name) for name in groups)
            raise ZooError(
                f"{table.at(place, groups[0])}: {cells.iloc[place]} occurs once for each {of_each} ({some}); "
                f"these are several series: use a separate file or column for each"
            )
    advice = "; if clocks were set back, use times with offsets or in UTC" if _set_back(times, twice) else ""
    if (steps < zero).any():
        back = int(np.flatnonzero(steps < zero)[0]) + 1
        error = f"{table.at(back, clocks[0])}: {cells.iloc[back]} is earlier than the {table.unit} above"
        raise ZooError(f"{error}; sort the rows{advice}")
    error = f"{table.at(place, clocks[0])}: {cells.iloc[place]} occurs twice"
    raise ZooError(f"{error}; keep one {table.unit} for each time{advice}")


def _set_back(times: Times, twice: np.ndarray) -> bool:
    """Return whether all duplicates are in a night hour when clocks are set back."""
    if times.values.dtype.kind != "M" or not len(twice):
        return False
    clock = pd.DatetimeIndex(times.values[twice])
    nights = (clock.hour < 4) & clock.month.isin((3, 4, 9, 10, 11)) & (clock.dayofweek == 6)
    return bool(nights.all()) and (clock.normalize() != clock).any()


def _groups(cells: pd.DataFrame, times: Times, clocks: Sequence[str]) -> list[str]:
    """Return the columns that distinguish rows with the same time, which are the names of several series."""
    names = [name for name in cells.columns if name not in clocks and cells[name].nunique() <= GROUPS * len(cells)]
    texts = [name for name in names if pd.to_numeric(cells[name].dropna(), errors="coerce").isna().any()]
    for group in [*([name] for name in texts), texts, *([name] for name in names)]:
        if (
            group
            and not pd.DataFrame({"time": times.values, **{n: cells[n].to_numpy() for n in group}}).duplicated().any()
        ):
            return group
    return []
