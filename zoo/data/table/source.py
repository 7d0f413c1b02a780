"""Cells of a table with the words by which errors call them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd


@dataclass(frozen=True)
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

    def backwards(self) -> Table:
        """Return the rows from the last to the first."""
        return replace(self, cells=self.cells.iloc[::-1], lines=self.lines[::-1])

    def leave_out(self, column: str) -> str:
        """Return the advice to do without a column."""
        return f"leave it out by data.drop_columns=[{column}]" if self.options else f"drop the column {column!r}"


def shortened(names: Sequence[object], count: int = 8) -> str:
    """Return the first ``count`` names as a list in words, with … where there are more."""
    return ", ".join(map(str, names[:count])) + (", …" if len(names) > count else "")
