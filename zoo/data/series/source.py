"""The rows of a series' file or frame, with the words by which errors call them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd

from zoo.data.series.spec import SeriesReading
from zoo.data.series.times import is_numeric, readings
from zoo.data.table.csv_file import read_csv
from zoo.data.table.source import Table
from zoo.utils.console import print_note


def open_series(path: Path, reading: SeriesReading, columns: Sequence[str] = ()) -> Table:
    """Read the cells of a file. The first row is a header if it looks like one, or by ``columns``, or by the times below.

    Raises:
        ZooError: the file is no table.
    """
    read = partial(read_csv, path, delimiter=reading.delimiter, known=columns)
    table = read(header=reading.header)
    if reading.header is None and not table.header and len(table.cells) > 1 and _first_row_names(table.cells):
        table = read(header=True)
    return table


def without_index(table: Table, *, keep: Sequence[str]) -> Table:
    """Return a table without the nameless columns that only number its rows; a note names them."""
    index = [name for name in table.nameless if name not in keep and _numbers_rows(table.cells[name])]
    if not index:
        return table
    print_note(f"{table.path}: left out {', '.join(index)}, an index without a name")
    return replace(table, cells=table.cells.drop(columns=index))


def _numbers_rows(cells: pd.Series) -> bool:
    """Return whether a column is empty, or rises by one from row to row."""
    numbers = pd.to_numeric(cells, errors="coerce")
    return bool(cells.isna().all()) or bool((numbers.diff().iloc[1:] == 1).all())


def _first_row_names(cells: pd.DataFrame) -> bool:
    """Return whether a column's first cell is the only one that is no time."""
    for name in cells.columns:
        if not is_numeric(cells[name].iloc[1:]):
            ways = readings(cells[name])
            if any(not way.valid[0] and way.valid[1:].all() for way in ways if len(way.valid) > 1):
                return True
    return False
