"""CSV files as they come: delimiter and header found out, damage named with its line."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zoo.errors import ZooError, unknown

DELIMITERS = (",", ";", "\t", "|")
MISSING = ("", "?", "NA", "N/A", "n/a", "nan", "NaN", "NULL", "null", "None", "#N/A")
LOOKED_AT = 200  # rows that delimiter and header are found out from


@dataclass(frozen=True)
class Table:
    """The text of a CSV. ``cells`` has a column of text per column, NaN where a value is missing; ``lines`` are the
    file's line numbers, from 1, that the rows begin in.
    """

    path: Path
    cells: pd.DataFrame
    lines: np.ndarray


def read_csv(path: Path, *, delimiter: str | None = None, header: bool | None = None) -> Table:
    """Return the cells of a CSV as text.

    A byte-order mark is taken off, UTF-16 understood, quoted delimiters and line breaks kept, blanks around values
    dropped. ``delimiter`` None: the one of , ; tab | that splits all rows alike. ``header`` None: the first row is
    one if it names what stands below rather than being of its kind. Columns without a name are column_1, column_2, …

    Raises:
        ZooError: not a file, not text, not a table, rows of different lengths, duplicate column names, no rows.
    """
    text = _text(path)
    found = delimiter or _delimiter(path, text)
    if len(found) != 1:
        raise ZooError(f"data.delimiter={found!r}: must be one character")
    rows, lines = [], []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=found, skipinitialspace=True, strict=True)
    for line, row in _numbered(path, reader):
        rows.append(row)
        lines.append(line)
    _check_shape(path, rows, lines, found)
    if header is None:
        header = _has_header(rows)
    names = rows[0] if header else [f"column_{n + 1}" for n in range(len(rows[0]))]
    names = [name or f"column_{n + 1}" for n, name in enumerate(names)]
    double = [name for name, count in Counter(names).items() if count > 1]
    if double:
        raise ZooError(f"{path}: {len(double)} column names occur twice, such as {double[0]!r}; must be different")
    body, lines = (rows[1:], lines[1:]) if header else (rows, lines)
    if not body:
        raise ZooError(f"{path}: has a header and no rows")
    return _table(path, body, names, lines)


def stream_csv(file: io.BufferedReader, where: str, *, rows: int, known: Sequence[str] = ()) -> Iterator[Table]:
    """Yield a CSV's cells as ``read_csv`` reads them, so many ``rows`` at a time, in memory for these alone.

    A first row that has all ``known`` names is a header; where it has not, it is looked at as in ``read_csv``.

    Raises:
        ZooError: not text, not a table, or a row of another length than the first.
    """
    path = Path(where)
    wide = file.peek(2).startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    lines = io.TextIOWrapper(file, encoding="utf-16" if wide else "utf-8-sig", newline="")
    try:
        head = list(itertools.islice(lines, LOOKED_AT))
        if "\0" in "".join(head):
            raise ZooError(f"{path}: is not a CSV, it holds bytes that are no text")
        if not "".join(head).strip():
            raise ZooError(f"{path}: is empty")
        delimiter = "," if [head[0].strip()] == list(known) else _delimiter(path, "".join(head))
        looked = [row for _, row in _numbered(path, csv.reader(head, delimiter=delimiter, skipinitialspace=True))]
        headed = (bool(known) and set(known) <= set(looked[0])) or _has_header(looked)
        names = looked[0] if headed else [f"column_{n + 1}" for n in range(len(looked[0]))]
        reader = csv.reader(itertools.chain(head, lines), delimiter=delimiter, skipinitialspace=True, strict=True)
        yield from _batches(path, reader, names, skip=headed, rows=rows)
    except UnicodeError:
        raise ZooError(f"{path}: is not UTF-8 text; save it as UTF-8") from None


def _batches(path: Path, reader: Any, names: list[str], *, skip: bool, rows: int) -> Iterator[Table]:
    body: list[list[str]] = []
    lines: list[int] = []
    for line, cells in itertools.islice(_numbered(path, reader), int(skip), None):
        if len(cells) != len(names):
            raise ZooError(f"{path}, line {line}: has {len(cells)} fields where the first row has {len(names)}")
        body.append(cells)
        lines.append(line)
        if len(body) == rows:
            yield _table(path, body, names, lines)
            body, lines = [], []
    if body:
        yield _table(path, body, names, lines)


def _numbered(path: Path, reader: Any) -> Iterator[tuple[int, list[str]]]:
    """Yield rows that are not empty, without the blanks around their cells, and the line that each begins in.

    Raises:
        ZooError: a quotation mark that is never closed.
    """
    line = 1
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise ZooError(f"{path}, line {line}: {error}; a quotation mark may be missing there") from None


def _table(path: Path, body: Sequence[Sequence[str]], names: Sequence[str], lines: Sequence[int]) -> Table:
    cells = pd.DataFrame(body, columns=names, dtype=object)
    return Table(path, cells.mask(cells.isin(MISSING)), np.array(lines))


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ZooError(f"{path}: cannot be read ({error.strerror})") from None
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif b"\0" in raw[:100_000]:
        raise ZooError(f"{path}: is not a CSV, it holds bytes that are no text")
    else:
        encoding = "utf-8-sig"
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ZooError(f"{path}, line {line}: is not {encoding[:5].upper()} text; save it as UTF-8") from None
    if not text.strip():
        raise ZooError(f"{path}: is empty")
    return text


def _delimiter(path: Path, text: str) -> str:
    """Return the delimiter that cuts the first rows into the same number of fields, the most of them."""
    head = "\n".join(text.splitlines()[:LOOKED_AT])
    best, most = None, (0.0, 1)
    for delimiter in DELIMITERS:
        try:
            counts = Counter(len(row) for row in csv.reader(io.StringIO(head), delimiter=delimiter) if row)
        except csv.Error:
            continue
        fields, rows = max(counts.items(), key=lambda item: (item[1], item[0]))
        score = (rows / max(counts.total(), 1), fields)
        if fields > 1 and score > most:
            best, most = delimiter, score
    if best is None or most[0] < 0.5:
        raise ZooError(
            f"{path}: is not a CSV, no delimiter of , ; tab | cuts its lines into columns; "
            f"name another by data.delimiter="
        )
    return best


def _check_shape(path: Path, rows: Sequence[Sequence[str]], lines: Sequence[int], delimiter: str) -> None:
    usual = Counter(map(len, rows)).most_common(1)[0][0]
    for row, line in zip(rows, lines, strict=True):
        if len(row) != usual:
            raise ZooError(
                f"{path}, line {line}: has {len(row)} fields where others have {usual} (delimiter {delimiter!r}); "
                f"mend or delete the line"
            )


def is_number(text: str) -> bool:
    """Tell whether a cell is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Tell whether the first row names the columns: no numbers in it, and none of it found below."""
    first, below = rows[0], rows[1 : LOOKED_AT + 1]
    if not below or any(cell in MISSING or is_number(cell) for cell in first):
        return not below
    if len(set(first)) < len(first):
        return any(is_number(row[n]) for row in below for n in range(len(first)))
    return not any(row[n] == cell for row in below for n, cell in enumerate(first))


def column_named(table: Table, asked: str | int | None, option: str) -> str:
    """Return the column that ``asked`` means: by its name, or by its place, from 1 or, as -1, from the end.

    Raises:
        ZooError: nothing was asked for, or there is no such column.
    """
    names = [str(name) for name in table.cells.columns]
    shown = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
    if asked is None:
        raise ZooError(f"{option}: must name the column to learn, as {option}={names[-1]}; {table.path} has {shown}")
    if str(asked) in names:
        return str(asked)
    if isinstance(asked, int) and asked and -len(names) <= asked <= len(names):
        return names[asked - 1 if asked > 0 else asked]
    raise unknown(f"column in {option}", asked, names)


def read_labels(path: Path, target: str | None, files: set[str]) -> Iterator[tuple[int, str, str]]:
    """Yield (line, file, class) of a CSV: the files' column is the one that names most of ``files``.

    Raises:
        ZooError: no column names files, or it is not clear which other column is the class.
    """
    table = read_csv(path)
    cells = table.cells
    hits = {name: cells[name].isin(files).mean() for name in cells.columns}
    by_file = max(hits, key=lambda name: hits[name])
    if not hits[by_file]:
        raise ZooError(f"{path}: none of its columns names the images; columns are {', '.join(cells.columns)}")
    others = [name for name in cells.columns if name != by_file]
    if target is None and len(others) == 1:
        target = others[0]
    label = column_named(table, target, "data.target")
    for line, file, name in zip(table.lines, cells[by_file], cells[label], strict=True):
        if not isinstance(file, str) or not isinstance(name, str):
            raise ZooError(f"{path}, line {line}: {by_file if not isinstance(file, str) else label} is missing")
        yield int(line), file, name
