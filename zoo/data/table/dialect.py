"""The dialect of a CSV: its delimiter, and whether quotation marks enclose cells."""

from __future__ import annotations

import csv
import io
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.table.header import INFERENCE_ROWS, has_names, lacks_index_name
from zoo.data.table.numbers import looks_numeric
from zoo.exceptions import ZooError

DELIMITERS = ("\t", ",", ";", "|")  # a tab first: where it cuts as well as another, the others are those of texts
QUOTINGS = ("auto", "minimal", "none")


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


class UnclosedError(ZooError):
    """A cell whose quotation mark is still open at the end."""


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
    if body.error is not None and not (partly and isinstance(body.error, UnclosedError)):
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
        kind = UnclosedError if "unexpected end" in str(error) else ZooError
        advice = "a quotation mark may be missing there; pass data.quoting=none if quotes are ordinary characters"
        raise kind(f"{path}, line {line}: {error}; {advice}") from None


def _ordinary(rows: Sequence[Sequence[str]]) -> bool:
    """Tell whether quotation marks, which ``rows`` still have, are characters of texts: some stand within a cell, or
    cells begin or end with one and none is enclosed.
    """
    loose = enclosed = 0
    for row in rows:
        for cell in row:
            if '"' not in cell:
                continue
            if '"' in cell[1:-1].replace('""', ""):
                return True
            closed = len(cell) > 1 and cell[0] == cell[-1] == '"'
            enclosed += closed
            loose += not closed
    return loose > 1 and not enclosed


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
