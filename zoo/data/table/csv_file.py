"""CSV files as they come: delimiter, quoting and header are inferred, damage is named with its line."""

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

DELIMITERS = ("\t", ",", ";", "|")  # a tab first: where it cuts as well as another, the others are those of texts
INFERRED = Dialect()
WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # what a file of UTF-16 begins with
UNCLOSED = ": unexpected end"  # in the error of a text that ends within a cell
QUOTINGS = ("auto", "minimal", "none")
INFERENCE_ROWS = 200  # rows that delimiter and header are inferred from
NO_NAMES = (*EMPTY, "NA", "N/A", "n/a", "NULL", "null", "None")  # in a first row that is no header
NAMELESS = re.compile(r"Unnamed: \d+")  # as pandas calls a column without a name


def column_names(
    path: Path, rows: Sequence[Sequence[str]], header: bool | None, known: Sequence[str]
) -> tuple[list[str], int, tuple[str, ...]]:
    """Return the columns' names, how many rows they take (0 or 1), and which the file leaves without one.

    Raises:
        ZooError: two columns of one name.
    """
    first = list(rows[0])
    if header is not False and lacks_index_name(rows):
        blank = all(not row[-1] for row in rows[1:])  # a delimiter at each line's end
        first = [*first, ""] if blank else ["", *first]
    numbered = [f"column_{n + 1}" for n in range(len(first))]
    names = fill_names(first)
    nameless = tuple(name for name, cell in zip(names, first, strict=True) if name != cell)
    headed = has_names(first, known) or (_has_header([first, *rows[1:]]) if header is None else header)
    if not headed:
        return (list(known) if header is False and len(known) == len(first) else numbered), 0, ()
    double = [name for name, count in Counter(names).items() if count > 1]
    if double:
        raise ZooError(f"{path}: {len(double)} column names occur twice, such as {double[0]!r}; must be different")
    return names, 1, nameless


def has_names(first: Sequence[str], known: Sequence[str]) -> bool:
    """Tell whether a row has all ``known`` names, one of them in so many words."""
    return set(known) <= set(fill_names(first)) and not set(known).isdisjoint(first)


def fill_names(names: Sequence[str]) -> list[str]:
    """Return names with column_1, column_2, … for those that are none."""
    return [f"column_{n + 1}" if not name or NAMELESS.fullmatch(name) else name for n, name in enumerate(names)]


def lacks_index_name(rows: Sequence[Sequence[str]]) -> bool:
    """Tell whether the first row lacks just the name of an index, as R writes it."""
    first = rows[0] if rows else []
    return (
        len(rows) > 1
        and not any(is_number(cell) for cell in first)
        and all(len(row) == len(first) + 1 for row in rows[1:])
    )


def _has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Tell whether the first row names the columns: it has texts above numbers, or none of it is found below. Blank
    names are those of an index; 0, 1, 2, … are names too.
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
    """Tell whether the numbers in a first row may be names: none, or years and the like in turn beside other names."""
    if not numbers:
        return True
    if len(numbers) < 2 or len(numbers) == names or not all(text.isdigit() for text in numbers):
        return False
    return all(int(b) - int(a) == 1 for a, b in itertools.pairwise(numbers))


@dataclass
class ParsedRows:
    """Rows of cells and the line that each begins in, up to an ``error``."""

    rows: list[list[str]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    error: ZooError | None = None

    @property
    def even(self) -> bool:
        """Tell whether all rows have the same length, but for a first one that lacks the name of an index."""
        return len({len(row) for row in self.rows}) <= 1 or lacks_index_name(self.rows)


def _reader(lines: Iterable[str], delimiter: str, quoting: str | None, *, strict: bool = True) -> Any:
    style: Any = csv.QUOTE_NONE if quoting == "none" else csv.QUOTE_MINIMAL
    return csv.reader(lines, delimiter=delimiter, quoting=style, skipinitialspace=strict, strict=strict)


def parse_rows(
    path: Path, text: str, delimiter: str, quoting: str | None, *, partly: bool = False
) -> tuple[ParsedRows, str | None]:
    """Return the rows of a text and how it is quoted; where that is open, quotation marks enclose cells, unless rows
    are of one length only where they do not.

    ``partly``: the text may end within a cell.

    Raises:
        ZooError: a quotation mark that is never closed.
    """
    body = _collected(path, text, delimiter, quoting)
    if quoting != "none" and '"' in text:
        torn = body.error is not None or not body.even
        # A tab hardly ever stands in a text: a cell of several lines with tabs is several rows. Commas stand in most.
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
    """Yield rows that are not empty, without the blanks around their cells, and the line that each begins in.

    Raises:
        ZooError: a quotation mark that is never closed.
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
    """Tell whether quotation marks, which ``rows`` still have, are characters of texts: some stand within a cell, or
    cells begin or end with one and none is enclosed.
    """
    cells = [cell for row in rows for cell in row if '"' in cell]
    if any('"' in cell[1:-1].replace('""', "") for cell in cells):
        return True
    return len(cells) > 1 and not any(len(cell) > 1 and cell[0] == cell[-1] == '"' for cell in cells)


def infer_delimiter(path: Path, text: str, delimiter: str | None, quoting: str | None, known: Sequence[str]) -> str:
    """Return the delimiter: one that makes all ``known`` names of the first row, else ``delimiter``, else the one that
    cuts the first rows into the same number of fields, the most of them.
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
            f"{path}: is not a CSV, no delimiter of , ; tab | cuts its lines into columns; "
            f"name another by data.delimiter="
        )
    if best == ",":  # unless the commas are those of numbers
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
    """Return the cells of a CSV as text.

    A byte-order mark is taken off, UTF-16 understood, quoted delimiters and line breaks kept, blanks around values
    dropped. A delimiter of None: the one of , ; tab | that splits all rows alike. A header of None: the first row is
    one if it names what stands below rather than being of its kind. Quoting None or auto: quotation marks enclose
    cells, unless the file is a table only where they are ordinary characters. Columns without a name are column_1,
    column_2, …; a first row with all ``known`` names is a header.

    Raises:
        ZooError: not a file, not text, not a table, rows of different lengths, duplicate column names, no rows.
    """
    content = read_bytes(path)
    wide = content.startswith(WIDE)
    if not wide and b"\0" in content[:100_000]:
        raise ZooError(f"{path}: is not a CSV, it holds bytes that are no text")
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
            f"{path}, line {line}: has {len(row)} fields where others have {width} (delimiter {cut!r}); "
            f"mend or delete the line{advice}"
        )
    names, skip, nameless = column_names(path, body.rows, dialect.header, known)
    if len(body.rows) == skip:
        raise ZooError(f"{path}: has a header and no rows")
    table = _table(path, body.rows[skip:], names, body.lines[skip:])
    return replace(table, delimiter=cut, quoting=quoting, header=bool(skip), nameless=nameless)


def stream_csv(
    file: io.BufferedReader, where: str, dialect: Dialect, *, rows: int, known: Sequence[str] = ()
) -> Iterator[Table]:
    """Yield a CSV's cells as ``read_csv`` reads them, so many ``rows`` at a time, in memory for these alone.

    A first row that has all ``known`` names is a header; where it has not, it is looked at as in ``read_csv``. A
    delimiter in ``dialect`` that does not make such a row is only tried first.

    Raises:
        ZooError: not text, not a table, a row of another length than the first, or no rows.
    """
    path = Path(where)
    encoding = "utf-16" if file.peek(2).startswith(WIDE) else "utf-8-sig"
    lines = io.TextIOWrapper(file, encoding=encoding, newline="")
    try:
        head = list(itertools.islice(lines, INFERENCE_ROWS))
        text = "".join(head)
        if "\0" in text:
            raise ZooError(f"{path}: is not a CSV, it holds bytes that are no text")
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
                    raise ZooError(f"{path}, line {line}: has {len(row)} fields where the first row has {len(names)}")
            yield _table(path, [row for _, row in batch], names, [line for line, _ in batch])
            batch = list(itertools.islice(numbered, rows))
    except UnicodeError:
        raise ZooError(f"{path}: is not UTF-8 text; save it as UTF-8") from None


def _table(path: Path, body: Sequence[Sequence[str]], names: Sequence[str], lines: Sequence[int]) -> Table:
    cells = pd.DataFrame(body, columns=names, dtype=object)
    return Table(path, cells.mask(cells.isin(EMPTY)), np.array(lines))


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
