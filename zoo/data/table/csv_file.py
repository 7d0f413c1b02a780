"""Robust CSV reader: infers delimiter, quoting and header, and reports errors with line numbers."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.input_readers import decode, read_bytes
from zoo.data.table.cells import EMPTY, MARKS, Table, column_named, is_number, looks_numeric
from zoo.data.table.spec import Dialect
from zoo.exceptions import ZooError, unknown

DELIMITERS = ("\t", ",", ";", "|")  # tab first: if it splits as well as another, the others are part of the text
INFERRED = Dialect()
WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # first bytes of a UTF-16 file
UNCLOSED = ": unexpected end"  # part of the error for text that ends inside a cell
QUOTINGS = ("auto", "minimal", "none")
INFERENCE_ROWS = 200  # rows used to infer delimiter and header
NO_NAMES = (*EMPTY, "NA", "N/A", "n/a", "NULL", "null", "None")  # cells that do not occur in a header
NAMELESS = re.compile(r"Unnamed: \d+")  # pandas' name of a column without a name


def column_names(
    path: Path, rows: Sequence[Sequence[str]], header: bool | None, known: Sequence[str]
) -> tuple[list[str], int, tuple[str, ...]]:
    """Return the column names, the number of header rows (0 or 1), and the columns that the file does not name.

    Raises:
        ZooError: if two columns have the same name.
    """
    first = list(rows[0])
    if header is not False and lacks_index_name(rows):
        blank = all(not row[-1] for row in rows[1:])  # every line ends with a delimiter
        first = [*first, ""] if blank else ["", *first]
    numbered = [f"column_{n + 1}" for n in range(len(first))]
    names = fill_names(first)
    nameless = tuple(name for name, cell in zip(names, first, strict=True) if name != cell)
    headed = has_names(first, known) or (_has_header([first, *rows[1:]]) if header is None else header)
    if not headed:
        return (list(known) if header is False and len(known) == len(first) else numbered), 0, ()
    double = [name for name, count in Counter(names).items() if count > 1]
    if double:
        raise ZooError(f"{path}: {len(double)} column names occur twice, such as {double[0]!r}; must be unique")
    return names, 1, nameless


def has_names(first: Sequence[str], known: Sequence[str]) -> bool:
    """Return whether a row has all ``known`` names, at least one of them literally."""
    return set(known) <= set(fill_names(first)) and not set(known).isdisjoint(first)


def fill_names(names: Sequence[str]) -> list[str]:
    """Replace missing names with column_1, column_2, …."""
    return [f"column_{n + 1}" if not name or NAMELESS.fullmatch(name) else name for n, name in enumerate(names)]


def lacks_index_name(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether the first row lacks the name of the index column, as in files written by R."""
    first = rows[0] if rows else []
    return (
        len(rows) > 1
        and not any(is_number(cell) for cell in first)
        and all(len(row) == len(first) + 1 for row in rows[1:])
    )


def _has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether the first row is a header.

    It is a header if it has text above numbers, or if none of its cells occurs below. Blank names are those of an
    index. 0, 1, 2, … are names too.
    """
    first, below = rows[0], [row for row in rows[1 : INFERENCE_ROWS + 1] if len(row) == len(rows[0])]
    if not below:
        return True
    named = [(n, cell) for n, cell in enumerate(first) if cell]
    if len(named) > 2 and [cell for _, cell in named] == [str(n) for n in range(len(named))]:
        return True
    contrasts = sum(not looks_numeric(cell) and _column_of_numbers(below, n) for n, cell in named)
    numbers = [cell for _, cell in named if looks_numeric(cell)]
    if any(cell in NO_NAMES for _, cell in named) or not _in_turn(numbers, len(named)):
        return False
    if len(named) < len(first) and not contrasts and any(not row[n] for row in below for n in range(len(first))):
        return False
    if len({cell for _, cell in named}) < len(named):
        return any(is_number(row[n]) for row in below for n in range(len(first)))
    return contrasts > 0 or not any(row[n] == cell for row in below for n, cell in named)


def _column_of_numbers(rows: Sequence[Sequence[str]], column: int) -> bool:
    cells = [row[column] for row in rows if row[column].lower() not in MARKS]
    return bool(cells) and all(map(looks_numeric, cells))


def _in_turn(numbers: Sequence[str], names: int) -> bool:
    """Return whether numbers in a first row may be names: none, or consecutive ones such as years."""
    if not numbers:
        return True
    if len(numbers) < 2 or len(numbers) == names or not all(text.isdigit() for text in numbers):
        return False
    return all(int(b) - int(a) == 1 for a, b in itertools.pairwise(numbers))


@dataclass
class ParsedRows:
    """Rows of cells with the line number at which each starts. Parsing stops at an ``error``."""

    rows: list[list[str]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    error: ZooError | None = None

    @property
    def even(self) -> bool:
        """Return whether all rows have the same length, except a first row without the name of an index."""
        return len({len(row) for row in self.rows}) <= 1 or lacks_index_name(self.rows)


def _reader(lines: Iterable[str], delimiter: str, quoting: str | None, *, strict: bool = True) -> Any:
    style: Any = csv.QUOTE_NONE if quoting == "none" else csv.QUOTE_MINIMAL
    return csv.reader(lines, delimiter=delimiter, quoting=style, skipinitialspace=strict, strict=strict)


def parse_rows(
    path: Path, text: str, delimiter: str, quoting: str | None, *, partly: bool = False
) -> tuple[ParsedRows, str | None]:
    """Parse the rows of a text, and return them with the quoting style.

    If ``quoting`` is open, quotation marks enclose cells, unless only the other reading gives rows of equal length.
    ``partly`` allows the text to end inside a cell.

    Raises:
        ZooError: if a quotation mark is not closed.
    """
    body = _collected(path, text, delimiter, quoting)
    if quoting != "none" and '"' in text:
        torn = body.error is not None or not body.even
        # Tabs are rare in text, so a multi-line cell with tabs is really several rows. Commas are common in text.
        runs_on = delimiter == "\t" and bool(np.any(np.diff(body.lines) > 1))
        if quoting != "minimal" and (torn or runs_on):
            plain = _collected(path, text, delimiter, "none")
            more = torn or len(plain.rows) > len(body.rows)
            if more and plain.error is None and plain.even and _ordinary(plain.rows):
                return plain, "none"
        quoting = "minimal"
    if body.error is not None and not (partly and UNCLOSED in str(body.error)):
        raise body.error
    return body, quoting if quoting in ("none", "minimal") else None


def _collected(path: Path, text: str, delimiter: str, quoting: str | None) -> ParsedRows:
    body = ParsedRows()
    try:
        for line, row in numbered_rows(path, io.StringIO(text, newline=""), delimiter, quoting):
            body.rows.append(row)
            body.lines.append(line)
    except ZooError as error:
        body.error = error
    return body


def numbered_rows(
    path: Path, lines: Iterable[str], delimiter: str, quoting: str | None
) -> Iterator[tuple[int, list[str]]]:
    """Yield nonempty rows and their start lines. Whitespace around cells is stripped.

    Raises:
        ZooError: if a quotation mark is not closed.
    """
    line, reader = 1, _reader(lines, delimiter, quoting)
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        advice = "a quotation mark may be missing there; pass data.quoting=none if quotes are ordinary characters"
        raise ZooError(f"{path}, line {line}: {error}; {advice}") from None


def _ordinary(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether the quotation marks in ``rows`` are ordinary characters.

    They are if some occur inside a cell, or if cells start or end with one and no cell is enclosed.
    """
    cells = [cell for row in rows for cell in row if '"' in cell]
    if any('"' in cell[1:-1].replace('""', "") for cell in cells):
        return True
    return len(cells) > 1 and not any(len(cell) > 1 and cell[0] == cell[-1] == '"' for cell in cells)


def infer_delimiter(path: Path, text: str, delimiter: str | None, quoting: str | None, known: Sequence[str]) -> str:
    """Infer the delimiter of a CSV.

    A delimiter that produces all ``known`` names in the first row has priority, then ``delimiter``. Otherwise, return
    the one that splits the first rows into equally many fields, and into the most fields.
    """
    head = "".join(itertools.islice(io.StringIO(text, newline=""), INFERENCE_ROWS))
    if known:
        for choice in (*([delimiter] if delimiter else []), *DELIMITERS):
            rows = _loosely(head, choice, quoting)[:1]
            if rows and has_names([cell.strip() for cell in rows[0]], known):
                return choice
    if delimiter is not None:
        return delimiter
    scores: dict[str, tuple[float, int]] = {}
    for choice in DELIMITERS:
        for style in ("minimal", "none") if quoting != "minimal" and '"' in head else (quoting,):
            rows = _loosely(head, choice, style)
            fields, count = max(Counter(map(len, rows)).items(), key=lambda item: (item[1], item[0]), default=(0, 0))
            score = (count / max(len(rows), 1), fields)
            if fields > 1 and score > scores.get(choice, (0.0, 1)):
                scores[choice] = score
    best = max(scores, key=lambda choice: scores[choice], default=None)
    if best is None or scores[best][0] < 0.5:
        raise ZooError(
            f"{path}: is not a CSV: none of the delimiters , ; tab | splits its lines into columns; "
            f"set another with data.delimiter="
        )
    if best == ",":  # unless the commas belong to numbers
        for choice in (one for one in DELIMITERS if one != ","):
            if scores.get(choice, (0.0, 1))[0] >= scores[best][0] and _commas_in_numbers(head, choice):
                return choice
    return best


def _loosely(head: str, delimiter: str, quoting: str | None) -> list[list[str]]:
    try:
        return [row for row in _reader(io.StringIO(head, newline=""), delimiter, quoting, strict=False) if row]
    except csv.Error:
        return []


def _commas_in_numbers(head: str, delimiter: str) -> bool:
    cells = [cell for row in _loosely(head, delimiter, None)[1:] for cell in row if "," in cell]
    return bool(cells) and all(looks_numeric(cell) for cell in cells)


def read_csv(path: Path, dialect: Dialect = INFERRED, *, known: Sequence[str] = ()) -> Table:
    """Read the cells of a CSV as text.

    The encoding is UTF-8 or UTF-16, and a byte-order mark is removed. Quoted delimiters and line breaks are kept,
    whitespace around values is stripped.

    If ``delimiter`` is None, it is the one of , ; tab | that splits all rows equally. If ``header`` is None, the first
    row is a header if it differs in kind from the rows below. A first row with all ``known`` names is always a header.
    If ``quoting`` is None or auto, quotation marks enclose cells, unless the file only parses without quoting. Columns
    without a name become column_1, column_2, ….

    Raises:
        ZooError: if it is not a text file or not a table, rows differ in length, names are duplicates, or there are no
            rows.
    """
    content = read_bytes(path)
    wide = content.startswith(WIDE)
    if not wide and b"\0" in content[:100_000]:
        raise ZooError(f"{path}: is not a CSV: it has bytes that are not text")
    text = decode(path, content, "utf-16" if wide else "utf-8-sig")
    delimiter, quoting = dialect.delimiter, dialect.quoting
    if delimiter is not None and len(delimiter) != 1:
        raise ZooError(f"data.delimiter={delimiter!r}: must be one character")
    if quoting is not None and quoting not in QUOTINGS:
        raise unknown("data.quoting", quoting, QUOTINGS)
    cut = infer_delimiter(path, text, delimiter, quoting, known)
    body, quoting = parse_rows(path, text, cut, quoting)
    if not body.even or (dialect.header is False and lacks_index_name(body.rows)):
        width = Counter(map(len, body.rows)).most_common(1)[0][0]
        row, line = next((row, line) for row, line in zip(body.rows, body.lines, strict=True) if len(row) != width)
        quoted = any('"' in cell for cell in row)
        advice = "; pass data.quoting=none if quotes are ordinary characters" if quoted else ""
        raise ZooError(
            f"{path}, line {line}: has {len(row)} fields; other lines have {width} (delimiter {cut!r}); "
            f"correct or delete the line{advice}"
        )
    names, skip, nameless = column_names(path, body.rows, dialect.header, known)
    if len(body.rows) == skip:
        raise ZooError(f"{path}: has a header but no rows")
    table = _table(path, body.rows[skip:], names, body.lines[skip:])
    return replace(table, delimiter=cut, quoting=quoting, header=bool(skip), nameless=nameless)


def stream_csv(
    file: io.BufferedReader, where: str, dialect: Dialect, *, rows: int, known: Sequence[str] = ()
) -> Iterator[Table]:
    """Read a CSV like ``read_csv``, and yield tables of at most ``rows`` rows to limit memory use.

    A first row with all ``known`` names is a header. Otherwise, the header is inferred as in ``read_csv``. The
    delimiter in ``dialect`` is tried first if ``known`` names are given.

    Raises:
        ZooError: if it is not text or not a table, a row differs in length from the first row, or there are no rows.
    """
    path = Path(where)
    encoding = "utf-16" if file.peek(2).startswith(WIDE) else "utf-8-sig"
    lines = io.TextIOWrapper(file, encoding=encoding, newline="")
    try:
        head = list(itertools.islice(lines, INFERENCE_ROWS))
        text = "".join(head)
        if "\0" in text:
            raise ZooError(f"{path}: is not a CSV: it has bytes that are not text")
        if not text.strip():
            raise ZooError(f"{path}: is empty")
        cut = infer_delimiter(path, text, dialect.delimiter, dialect.quoting, known)
        first, quoting = parse_rows(path, text, cut, dialect.quoting, partly=len(head) == INFERENCE_ROWS)
        names, skip, _ = column_names(path, first.rows, dialect.header, known)
        numbered = itertools.islice(numbered_rows(path, itertools.chain(head, lines), cut, quoting), skip, None)
        batch = list(itertools.islice(numbered, rows))
        if not batch:
            raise ZooError(f"{path}: has no rows")
        while batch:
            for line, row in batch:
                if len(row) != len(names):
                    raise ZooError(f"{path}, line {line}: has {len(row)} fields; the first row has {len(names)}")
            yield _table(path, [row for _, row in batch], names, [line for line, _ in batch])
            batch = list(itertools.islice(numbered, rows))
    except UnicodeError:
        raise ZooError(f"{path}: is not UTF-8 text; save it as UTF-8") from None


def _table(path: Path, body: Sequence[Sequence[str]], names: Sequence[str], lines: Sequence[int]) -> Table:
    cells = pd.DataFrame(body, columns=names, dtype=object)
    return Table(path, cells.mask(cells.isin(EMPTY)), np.array(lines))


def read_labels(path: Path, target: str | None, files: set[str]) -> Iterator[tuple[int, str, str]]:
    """Yield (line, file, class) of a CSV. The file column is the one with the most names of ``files``.

    Raises:
        ZooError: if no column has file names, or the class column is ambiguous.
    """
    table = read_csv(path)
    cells = table.cells
    hits = {name: cells[name].isin(files).mean() for name in cells.columns}
    by_file = max(hits, key=lambda name: hits[name])
    if not hits[by_file]:
        raise ZooError(f"{path}: no column has the file names of the images; columns are {', '.join(cells.columns)}")
    others = [name for name in cells.columns if name != by_file]
    if target is None and len(others) == 1:
        target = others[0]
    label = column_named(table, target, "data.target")
    for line, file, name in zip(table.lines, cells[by_file], cells[label], strict=True):
        if not isinstance(file, str) or not isinstance(name, str):
            raise ZooError(f"{path}, line {line}: {by_file if not isinstance(file, str) else label} is missing")
        yield int(line), file, name
