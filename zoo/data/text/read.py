"""Read texts and labels from files, tables and folders, and encode raw texts as token ids."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.data.dataset import Batch
from zoo.data.input_readers import INPUT, Piece, as_tensor, decode, opened, read_bytes, share_read
from zoo.data.spec import PADDING
from zoo.data.table.cells import Table, column_named, is_number, shortened
from zoo.data.table.csv_file import read_csv
from zoo.data.text.spec import TextReading, TextSpec
from zoo.data.text.tokenizer import clean, to_ids, token_ids, tokenize
from zoo.exceptions import ZooError
from zoo.utils.console import print_note

ROWS = 64  # texts read from a file at once
TABLES = (".csv", ".tsv", ".tab")  # file extensions of tables
WINDOWS = 64  # maximum length of a text for a language model, in windows
HEAD = 1 << 16  # bytes inspected to distinguish a table from plain lines


@dataclass(frozen=True)
class LabeledTexts:
    """Texts with their labels, and how they were read."""

    texts: Sequence[str]
    labels: Sequence[str]
    reading: TextReading = field(default_factory=TextReading)

    def select(self, index: np.ndarray) -> LabeledTexts:
        """Return the texts with these indices."""
        return LabeledTexts([self.texts[row] for row in index], [self.labels[row] for row in index], self.reading)


def read_text(path: Path) -> str:
    """Read a UTF-8 file with line endings normalized to \\n.

    Raises:
        ZooError: if the file cannot be read, is empty or is not UTF-8. The message names the line.
    """
    return decode(path, read_bytes(path)).replace("\r\n", "\n")


def read_labeled(
    path: Path, text_column: str | int | None, target: str | int | None, reading: TextReading
) -> LabeledTexts:
    """Return the texts and labels of a folder, or of a table parsed according to ``reading``.

    Raises:
        ZooError: if the data cannot be read, or a label or text is missing.
    """
    if path.is_dir():
        return _read_folder(path)
    table = read_csv(path, reading, known=[text_column] if isinstance(text_column, str) else ())
    cells = table.cells
    column = column_named(table, text_column, "data.text_column") if text_column is not None else longest_column(table)
    others = [str(name) for name in cells.columns if name != column and name not in table.nameless]
    label = others[0] if target is None and len(others) == 1 else column_named(table, target, "data.target")
    if all(is_number(str(cell)) for cell in cells[column].dropna()):
        raise ZooError(f"{path}: column {column!r} has numbers, not texts; use data=csv for tables")
    for name, kind in ((column, "text"), (label, "label")):
        gaps = cells[name].isna().to_numpy()
        if gaps.any():
            place = table.line(int(gaps.argmax()))
            raise ZooError(f"{place}: the {kind} ({name}) is missing; fill it in or delete the line")
    reading = TextReading(table.delimiter, table.quoting, table.header, column, label)
    return LabeledTexts(list(cells[column]), list(cells[label]), reading)


def longest_column(table: Table) -> str:
    """Return the column with the longest texts."""
    return max(map(str, table.cells.columns), key=lambda name: table.cells[name].dropna().map(len).sum())


def text_files(folder: Path) -> list[Path]:
    """Return the files below a folder, sorted, without hidden files."""
    return sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))


def _read_folder(path: Path) -> LabeledTexts:
    classes = sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith("."))
    files = [(file, folder.name) for folder in classes for file in text_files(folder)]
    if not files:
        raise ZooError(f"{path}: has no folders of text files; must have one folder per class, or be a CSV")
    return LabeledTexts([read_text(file) for file, _ in files], [label for _, label in files])


def encode(spec: TextSpec, raw: Any) -> Batch:
    """Return texts as token ids (B, T), with ``lengths`` for classification.

    ``raw`` is one or several texts, a data frame or rows with the model's text column, or a file. Texts are tokenized
    as in training. Token ids are accepted as well, and not changed.

    Raises:
        ZooError: if a text is missing, empty or too long for a language model, or a token id is invalid.
    """
    language = spec.target_type == "next_symbol"
    if not isinstance(raw, (str, os.PathLike)) and not len(raw):
        raise ZooError(f"{spec.name}: the input has no texts")
    texts = [raw] if language and isinstance(raw, str) else _texts(spec, raw)
    if texts is not None:
        known = token_ids(spec.vocabulary)
        texts = texts if language else [clean(text) for text in texts]
        parts = [torch.from_numpy(to_ids(tokenize(text, spec.tokenizer), known)).long() for text in texts]
    else:
        parts = [_numbers(spec, part) for part in (raw if as_tensor(raw[0]).ndim else [raw])]
    for number, part in enumerate(parts, start=1):
        if not len(part):
            raise ZooError(f"{spec.name}: text {number} is empty")
        if part.ndim != 1 or int(part.min()) < 0 or int(part.max()) >= len(spec.vocabulary):
            raise ZooError(f"{spec.name}: text {number} has invalid token ids; must be 0 to {len(spec.vocabulary) - 1}")
    if language:
        longest, most = max(map(len, parts)), WINDOWS * spec.input_shape[0]
        if longest > most:
            raise ZooError(f"{spec.name}: a text has {longest:,} {spec.tokenizer}; must have at most {most:,}")
        return {"x": _padded(parts)}
    parts = [part[: spec.input_shape[0]] for part in parts]
    return {"x": _padded(parts), "lengths": torch.tensor([len(part) for part in parts])}


def _numbers(spec: TextSpec, part: Any) -> Tensor:
    """Return token ids as int64."""
    x = as_tensor(part)
    if x.is_floating_point() and not torch.equal(x, x.round()):
        raise ZooError(f"{spec.name}: token ids must be integers")
    return x.long()


def _padded(parts: Sequence[Tensor]) -> Tensor:
    return torch.nn.utils.rnn.pad_sequence(list(parts), batch_first=True, padding_value=PADDING)


def _texts(spec: TextSpec, raw: Any) -> list[str] | None:
    """Extract the texts of any supported input. Return None for token ids.

    Raises:
        ZooError: if a text or the model's text column is missing.
    """
    is_file = isinstance(raw, str) and raw.endswith((".txt", *TABLES)) and "\n" not in raw and Path(raw).is_file()
    if is_file or isinstance(raw, os.PathLike):
        return [text for piece in read(spec, str(raw)) for text in _read_texts(piece)]
    if isinstance(raw, (list, tuple)) and raw and all(isinstance(one, os.PathLike) for one in raw):
        return [text for one in raw for text in _texts(spec, one) or ()]
    if isinstance(raw, str):
        return [raw]
    if isinstance(raw, Tensor) or getattr(getattr(raw, "dtype", None), "kind", "O") in "biuf":
        return None
    if isinstance(raw, Mapping) and not any(isinstance(value, (list, tuple)) for value in raw.values()):
        raw = [raw]
    named = hasattr(raw, "columns") or isinstance(raw, Mapping)
    if named:
        names = [str(name) for name in raw.keys()]  # noqa: SIM118 (also a data frame)
        raw = raw[list(raw.keys())[names.index(_column(spec, names))]]
    labels = list(raw.index) if hasattr(raw, "index") and not isinstance(raw, (list, tuple)) else None
    rows = raw.tolist() if hasattr(raw, "tolist") and getattr(raw, "dtype", None) is not None else list(raw)
    if not named and rows and not any(_is_row(row) for row in rows):
        return None
    texts = []
    for number, row in enumerate(rows, start=1):
        text = row[_column(spec, list(row))] if isinstance(row, Mapping) else row
        if not isinstance(text, str):
            where = f" (index {labels[number - 1]})" if labels is not None else ""
            raise ZooError(f"{spec.name}: text {number}{where} is {text!r}, not a text; fill it in or remove it")
        texts.append(text)
    return texts


def _is_row(row: Any) -> bool:
    """Return whether a row is text or should have text, rather than token ids."""
    missing = row is None or type(row).__name__ in ("NAType", "NaTType") or (isinstance(row, float) and row != row)
    return missing or isinstance(row, (str, Mapping))


def _read_texts(piece: Piece) -> list[str]:
    if piece.wrong is not None:
        raise ZooError(piece.wrong)
    return list(piece.raw)


def _column(spec: TextSpec, names: Sequence[str]) -> str:
    """Return the text column: that of the model, or the only column if the model's has no name.

    Raises:
        ZooError: if there is none.
    """
    column = spec.reading.text_column
    if column in names:
        return column
    if not column and len(names) == 1:
        return names[0]
    reads = f"the column {column!r}" if column else "a single column of texts"
    raise ZooError(f"{spec.name}: the model reads {reads}; the columns are {shortened(names, 20)}")


def read(spec: TextSpec, path: str) -> Iterator[Piece]:
    """Read texts: the text column of a table, each file of a folder, or each line of another file.

    Raises:
        ZooError: if a file cannot be read, or a table lacks the text column.
    """
    if path != INPUT and Path(path).is_dir():
        return _files(Path(path))
    reading = spec.reading
    if path == INPUT or not (Path(path).suffix.lower() in TABLES or _begins_as_table(Path(path), reading)):
        return _lines(path)
    return _rows(spec, read_csv(Path(path), reading, known=[reading.text_column] if reading.text_column else ()))


def _files(folder: Path) -> Iterator[Piece]:
    files = text_files(folder)
    if not files:
        raise ZooError(f"{folder}: has no text files")
    for number, file in enumerate(files, start=1):
        try:
            yield Piece([str(file)], [clean(read_text(file))], done=number / len(files))
        except ZooError as error:
            yield Piece([str(file)], wrong=str(error), done=number / len(files))


def _begins_as_table(path: Path, reading: TextReading) -> bool:
    """Return whether a file without a table extension is a table like the training file.

    Its first line has the name of the text column. Without column names, each line has the tab delimiter instead.
    """
    if not reading.text_column:
        return False
    try:
        with path.open("rb") as file:
            head = file.read(HEAD).decode("utf-8-sig", errors="replace").splitlines()
    except OSError:
        return False
    if reading.header is False:
        lines = [line for line in head[:-1] or head if line.strip()]
        return reading.delimiter == "\t" and bool(lines) and all("\t" in line for line in lines)
    cells = [head[0].split(mark) for mark in (reading.delimiter or ",", ",", ";", "\t", "|")] if head else []
    return any(reading.text_column in (cell.strip().strip('"') for cell in row) for row in cells if len(row) > 1)


def _rows(spec: TextSpec, table: Table) -> Iterator[Piece]:
    """Yield the texts of a table column, named by line number."""
    column = spec.reading.text_column
    if not column:
        column = longest_column(table)
        print_note(f"{table.path}: reading texts from column {column!r}, which has the longest texts")
    if column not in table.cells.columns:
        names = shortened(table.cells.columns, 20)
        raise ZooError(f"{table.path}: the text column {column!r} is missing; columns are {names}")
    cells = list(zip(table.lines, table.cells[column], strict=True))
    for first in range(0, len(cells), ROWS):
        rows, done = cells[first : first + ROWS], min((first + ROWS) / len(cells), 1.0)
        there = [(str(line), text) for line, text in rows if isinstance(text, str)]
        if there:
            yield Piece([line for line, _ in there], [clean(text) for _, text in there], done=done)
        for line, text in rows:
            if not isinstance(text, str):
                yield Piece([str(line)], wrong=f"{table.path}, line {line}: the text ({column}) is missing", done=done)


def _lines(path: str) -> Iterator[Piece]:
    """Yield the nonblank lines of a file, named by line number."""
    with opened(path) as file:
        lines = ((str(number), _line(path, number, raw)) for number, raw in enumerate(file, start=1))
        texts = ((number, text) for number, text in lines if text)
        while batch := list(itertools.islice(texts, ROWS)):
            done = share_read(path, file)
            yield Piece([number for number, _ in batch], [text for _, text in batch], done=done)


def _line(path: str, number: int, raw: bytes) -> str:
    try:
        return clean(raw.decode("utf-8-sig" if number == 1 else "utf-8"))
    except UnicodeDecodeError:
        raise ZooError(f"{path}, line {number}: is not UTF-8; save it as UTF-8") from None
