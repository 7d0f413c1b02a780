"""Texts and their labels in files: a table, a folder of text files per class, or one text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from zoo.data.input_readers import decode, read_bytes
from zoo.data.table.csv_file import column_named, read_csv
from zoo.data.table.numbers import is_number
from zoo.data.table.source import Table
from zoo.data.text.spec import TextReading
from zoo.exceptions import ZooError


@dataclass(frozen=True)
class LabeledTexts:
    """Texts, the label of each, and how they were read."""

    texts: Sequence[str]
    labels: Sequence[str]
    reading: TextReading = field(default_factory=TextReading)

    def select(self, index: np.ndarray) -> LabeledTexts:
        """Return the texts of these numbers."""
        return LabeledTexts([self.texts[row] for row in index], [self.labels[row] for row in index], self.reading)


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file, line ends as \\n.

    Raises:
        ZooError: cannot be read, not UTF-8 (with the place), or empty.
    """
    return decode(path, read_bytes(path)).replace("\r\n", "\n")


def read_labeled(
    path: Path, text_column: str | int | None, target: str | int | None, reading: TextReading
) -> LabeledTexts:
    """Return texts and labels of a folder, or of a table that is cut as ``reading`` says.

    Raises:
        ZooError: cannot be read, a label or a text is missing.
    """
    if path.is_dir():
        return _read_folder(path)
    table = open_table(path, reading, text_column if isinstance(text_column, str) else "")
    cells = table.cells
    column = column_named(table, text_column, "data.text_column") if text_column is not None else longest_column(table)
    others = [str(name) for name in cells.columns if name != column and name not in table.nameless]
    label = others[0] if target is None and len(others) == 1 else column_named(table, target, "data.target")
    if all(is_number(str(cell)) for cell in cells[column].dropna()):
        raise ZooError(f"{path}: its column {column!r} holds numbers, no texts; data=csv reads tables")
    for name, kind in ((column, "text"), (label, "label")):
        gaps = cells[name].isna().to_numpy()
        if gaps.any():
            place = table.line(int(gaps.argmax()))
            raise ZooError(f"{place}: the {kind} ({name}) is missing; fill it or delete the line")
    reading = TextReading(column, label, table.delimiter, table.quoting, table.header)
    return LabeledTexts(list(cells[column]), list(cells[label]), reading)


def open_table(path: Path, reading: TextReading, column: str) -> Table:
    """Return a file's cells, cut as ``reading`` says; ``column`` is one of its names, where that is known."""
    known = (column,) if column else ()
    return read_csv(path, delimiter=reading.delimiter, quoting=reading.quoting, header=reading.header, known=known)


def longest_column(table: Table) -> str:
    """Return the column that holds the longest texts."""
    return max(map(str, table.cells.columns), key=lambda name: table.cells[name].dropna().map(len).sum())


def text_files(folder: Path) -> list[Path]:
    """Return the files below a folder that are not hidden, sorted."""
    return sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))


def _read_folder(path: Path) -> LabeledTexts:
    classes = sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith("."))
    files = [(file, folder.name) for folder in classes for file in text_files(folder)]
    if not files:
        raise ZooError(f"{path}: holds no folders of text files; must be a folder per class, or a CSV")
    return LabeledTexts([read_text(file) for file, _ in files], [label for _, label in files])
