"""CSV files as they come: delimiter, quoting and header are inferred, damage is named with its line."""

from __future__ import annotations

import codecs
import io
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from zoo.data.input_readers import decode, read_bytes
from zoo.data.table.dialect import QUOTINGS, ParsedRows, infer_delimiter, numbered_rows, parse_rows
from zoo.data.table.header import INFERENCE_ROWS, column_names, lacks_index_name
from zoo.data.table.numbers import EMPTY
from zoo.data.table.source import Table, shortened
from zoo.exceptions import ZooError, unknown


def read_csv(
    path: Path,
    *,
    delimiter: str | None = None,
    header: bool | None = None,
    quoting: str | None = None,
    known: Sequence[str] = (),
) -> Table:
    """Return the cells of a CSV as text.

    A byte-order mark is taken off, UTF-16 understood, quoted delimiters and line breaks kept, blanks around values
    dropped. ``delimiter`` None: the one of , ; tab | that splits all rows alike. ``header`` None: the first row is
    one if it names what stands below rather than being of its kind. ``quoting`` None or auto: quotation marks enclose
    cells, unless the file is a table only where they are ordinary characters. Columns without a name are column_1,
    column_2, …; a first row with all ``known`` names is a header.

    Raises:
        ZooError: not a file, not text, not a table, rows of different lengths, duplicate column names, no rows.
    """
    text = _text(path)
    if delimiter is not None and len(delimiter) != 1:
        raise ZooError(f"data.delimiter={delimiter!r}: must be one character")
    if quoting is not None and quoting not in QUOTINGS:
        raise unknown("data.quoting", quoting, QUOTINGS)
    cut = infer_delimiter(path, text, delimiter, quoting, known)
    body, quoting = parse_rows(path, text, cut, quoting)
    _check_shape(path, body, cut, header)
    names, skip, nameless = column_names(path, body.rows, header, known)
    if len(body.rows) == skip:
        raise ZooError(f"{path}: has a header and no rows")
    table = _table(path, body.rows[skip:], names, body.lines[skip:])
    return replace(table, delimiter=cut, quoting=quoting, header=bool(skip), nameless=nameless)


def stream_csv(
    file: io.BufferedReader,
    where: str,
    *,
    rows: int,
    known: Sequence[str] = (),
    delimiter: str | None = None,
    header: bool | None = None,
    quoting: str | None = None,
) -> Iterator[Table]:
    """Yield a CSV's cells as ``read_csv`` reads them, so many ``rows`` at a time, in memory for these alone.

    A first row that has all ``known`` names is a header; where it has not, it is looked at as in ``read_csv``. A
    ``delimiter`` that does not make such a row is only tried first.

    Raises:
        ZooError: not text, not a table, a row of another length than the first, or no rows.
    """
    path = Path(where)
    wide = file.peek(2).startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    lines = io.TextIOWrapper(file, encoding="utf-16" if wide else "utf-8-sig", newline="")
    try:
        head = list(itertools.islice(lines, INFERENCE_ROWS))
        text = "".join(head)
        if "\0" in text:
            raise ZooError(f"{path}: is not a CSV, it holds bytes that are no text")
        if not text.strip():
            raise ZooError(f"{path}: is empty")
        cut = infer_delimiter(path, text, delimiter, quoting, known)
        first, quoting = parse_rows(path, text, cut, quoting, partly=len(head) == INFERENCE_ROWS)
        names, skip, _ = column_names(path, first.rows, header, known)
        numbered = numbered_rows(path, itertools.chain(head, lines), cut, quoting)
        yield from _batches(path, itertools.islice(numbered, skip, None), names, rows)
    except UnicodeError:
        raise ZooError(f"{path}: is not UTF-8 text; save it as UTF-8") from None


def _batches(
    path: Path, numbered: Iterator[tuple[int, list[str]]], names: Sequence[str], count: int
) -> Iterator[Table]:
    batch = list(itertools.islice(numbered, count))
    if not batch:
        raise ZooError(f"{path}: has no rows")
    while batch:
        for line, row in batch:
            if len(row) != len(names):
                raise ZooError(f"{path}, line {line}: has {len(row)} fields where the first row has {len(names)}")
        yield _table(path, [row for _, row in batch], names, [line for line, _ in batch])
        batch = list(itertools.islice(numbered, count))


def _table(path: Path, body: Sequence[Sequence[str]], names: Sequence[str], lines: Sequence[int]) -> Table:
    cells = pd.DataFrame(body, columns=names, dtype=object)
    return Table(path, cells.mask(cells.isin(EMPTY)), np.array(lines))


def _text(path: Path) -> str:
    content = read_bytes(path)
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return decode(path, content, "utf-16")
    if b"\0" in content[:100_000]:
        raise ZooError(f"{path}: is not a CSV, it holds bytes that are no text")
    return decode(path, content)


def _check_shape(path: Path, body: ParsedRows, delimiter: str, header: bool | None) -> None:
    if body.even and not (header is False and lacks_index_name(body.rows)):
        return
    width = Counter(map(len, body.rows)).most_common(1)[0][0]
    for row, line in zip(body.rows, body.lines, strict=True):
        if len(row) != width:
            quoted = any('"' in cell for cell in row)
            advice = "; pass data.quoting=none if quotes are ordinary characters" if quoted else ""
            raise ZooError(
                f"{path}, line {line}: has {len(row)} fields where others have {width} (delimiter {delimiter!r}); "
                f"mend or delete the line{advice}"
            )


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
