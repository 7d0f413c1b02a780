"""Cells of a table with the words by which errors call them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.table.numbers import PLAIN, Format, as_numbers
from zoo.data.table.spec import TableReading
from zoo.exceptions import ZooError, unknown


@dataclass(frozen=True)
class FrameOptions:
    """How a frame is read: ``task`` None is inferred, ``categorical_columns`` are columns of numbers that stand for
    categories, ``numeric_columns`` such that are numbers in any case.

    Where a task needs no labels, there may be no ``target``. ``decimal`` and ``thousands`` force how all columns'
    numbers are written; ``reading`` is how the frame's file was read.
    """

    target: Sequence[str]
    task: str | None = None
    categorical_columns: Sequence[str] = ()
    drop_columns: Sequence[str] = ()
    positive_class: str | None = None
    numeric_columns: Sequence[str] = ()
    decimal: str | None = None
    thousands: str | None = None
    reading: TableReading = field(default_factory=TableReading)

    def __post_init__(self) -> None:
        if self.decimal not in (None, ".", ","):
            raise ZooError(f"data.decimal={self.decimal!r}: must be . or ,")
        if self.thousands not in (None, "", ".", ",", " ", "'", "_"):
            raise ZooError(f"data.thousands={self.thousands!r}: must be . , ' _ a blank, or '' for none")
        if self.decimal is not None and self.decimal == self.thousands:
            raise ZooError(f"data.thousands={self.thousands!r}: is data.decimal too")


@dataclass(frozen=True, eq=False)
class Table:
    """The cells of a file or a frame, and the words for its rows.

    ``cells`` of a CSV has a column of text per column, NaN where a value is missing. ``lines`` are the file's line
    numbers, from 1, that the rows begin in, or the numbers of a frame's rows.

    ``quoting`` is minimal where quotation marks enclose cells, none where they are ordinary characters, None where
    there are none. ``nameless`` are the columns that a header leaves without a name, such as an index.
    With ``options``, the columns can be chosen by options of ``data``. Errors call a row by its ``unit``, line or row.
    """

    path: Path | str
    cells: pd.DataFrame
    lines: np.ndarray
    delimiter: str = ","
    quoting: str | None = None
    header: bool = True
    nameless: tuple[str, ...] = ()
    options: bool = True
    unit: str = "line"

    def __deepcopy__(self, memo: dict[int, Any]) -> Table:
        return self  # pandas copies the attrs of a frame with each column

    @classmethod
    def of_frame(
        cls, name: str, frame: pd.DataFrame, *, first: int = 1, unit: str = "line", options: bool = False
    ) -> Table:
        """Return a frame's rows, numbered from ``first``."""
        return cls(name, frame, np.arange(first, first + len(frame)), options=options, unit=unit)

    def line(self, row: int) -> str:
        """Return the words for a row."""
        return f"{self.path}, {self.unit} {self.lines[row]}"

    def at(self, row: int, column: str) -> str:
        """Return the words for a cell."""
        return f"{self.line(row)}, column {column!r}"

    def numbers(self, column: str, form: Format = PLAIN, missing: tuple[str, ...] = ()) -> np.ndarray:
        """Return a column of numbers, NaN where one is missing.

        Raises:
            ZooError: text or infinity, with its place.
        """
        advice = f", or take the column as text by data.categorical_columns=[{column}]" if self.options else ""
        return as_numbers(self.cells[column], lambda row: self.at(row, column), advice, form=form, missing=missing)

    def leave_out(self, column: str) -> str:
        """Return the advice to do without a column."""
        return f"leave it out by data.drop_columns=[{column}]" if self.options else f"drop the column {column!r}"


def shortened(names: Sequence[object], count: int = 8) -> str:
    """Return the first ``count`` names as a list in words, with … where there are more."""
    return ", ".join(map(str, names[:count])) + (", …" if len(names) > count else "")


def column_named(table: Table, column: str | int | None, option: str) -> str:
    """Return a column's name, by its name, or by its place, from 1 or, as -1, from the end.

    Raises:
        ZooError: ``column`` is None, or there is no such column.
    """
    names = [str(name) for name in table.cells.columns]
    if column is None:
        columns = shortened(names, 20)
        raise ZooError(f"{option}: must name the column to learn, as {option}={names[-1]}; {table.path} has {columns}")
    if str(column) in names:
        return str(column)
    if isinstance(column, int) and column and -len(names) <= column <= len(names):
        return names[column - 1 if column > 0 else column]
    raise unknown(f"column in {option}", column, names)
