"""The first row of a CSV: names of the columns, or values."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from zoo.data.table.numbers import EMPTY, MARKS, is_number, looks_numeric
from zoo.exceptions import ZooError

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
