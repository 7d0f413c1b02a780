"""Cells of a table with the words by which errors call them, and numbers as people write them in such.

Numbers may have decimal commas, thousands separators, currencies, percent signs and marks for missing. A format
belongs to a whole column: ``()`` reads plain numbers, else it is ``(decimal, thousands, unit)``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zoo.exceptions import ZooError, unknown

Format = tuple[str, ...]
PLAIN: Format = ()
LARGEST = 1e37  # that float32 holds with room for a difference of two
LONGEST = 64  # characters of a number
EMPTY = ("", "?", "nan", "NaN", "#N/A")  # a missing value in any column
MARKS = frozenset(  # a missing value among numbers, in lower case
    (
        *("", "?", "-", "--", "---", "–", "—", ".", "..", "...", "…", "*", "na", "n/a", "n.a.", "n.a", "nan", "-nan"),
        *("<na>", "null", "none", "nil", "#n/a", "#na", "#null!", "#div/0!", "#value!", "#ref!", "#num!", "(null)"),
        *("(none)", "n.d.", "n.d", "nd", "k.a.", "k. a.", "missing", "unknown", "not available"),
    )
)
CANDIDATES = (
    *((".", ""), (",", ""), (".", ","), (",", ".")),
    *((".", " "), (",", " "), (".", "'"), (",", "'"), (".", "_")),
)
UNIT = (
    r"US\$|A\$|C\$|R\$|HK\$|NZ\$|[$€£¥₹₽₩₺₫฿₪₴₦]|USD|EUR|GBP|CHF|JPY|CNY|INR|AUD|CAD|SEK|NOK|DKK|PLN|CZK|kr\.?|zł|Kč"
    r"|Fr\.?|%|‰"
)
SHAPE = re.compile(
    rf"(?P<open>\()?\s*(?P<minus>[-+−])?\s*(?P<before>{UNIT})?\s*(?P<minus2>[-+−])?\s*"
    rf"(?P<body>[.,]?\d[\d.,'_ ]*(?:[eE][-+]?\d+)?)\s*(?P<after>{UNIT})?\s*(?P<minus3>[-−])?\s*(?P<close>\))?"
)
SPACES = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2009": " ", "’": "'", "´": "'"})


def is_number(text: str) -> bool:
    """Tell whether a cell is a plain number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def looks_numeric(text: str) -> bool:
    """Tell whether a cell is a number in any format."""
    return is_number(text) or any(read_number(text, candidate) is not None for candidate in CANDIDATES)


@lru_cache(maxsize=64)
def _pattern(decimal: str, thousands: str) -> re.Pattern[str]:
    integer = r"\d+"
    if thousands:
        mark = re.escape(thousands)
        integer = rf"(?:[1-9]\d{{0,2}}(?:{mark}\d{{3}})+|\d+)"
        if thousands == ",":
            integer = r"(?:[1-9]\d{0,2}(?:,\d{3})+|[1-9]\d?(?:,\d{2})*,\d{3}|\d+)"  # also as in India
    mark = re.escape(decimal)
    return re.compile(rf"(?:{integer}(?:{mark}\d*)?|{mark}\d+)(?:[eE][-+]?\d+)?")


def _parts(text: str) -> tuple[float, str, str] | None:
    """Return sign, unit and digits of a number in any format, None for another text."""
    if len(text) > LONGEST:
        return None
    match = SHAPE.fullmatch(text.translate(SPACES).strip())
    if match is None or bool(match["open"]) != bool(match["close"]) or (match["before"] and match["after"]):
        return None
    signs = [mark for mark in (match["minus"], match["minus2"], match["minus3"]) if mark]
    if len(signs) + bool(match["open"]) > 1:
        return None
    negative = bool(match["open"]) or (bool(signs) and signs[0] != "+")
    return -1.0 if negative else 1.0, match["before"] or match["after"] or "", match["body"].strip()


def read_number(text: str, form: Format) -> float | None:
    """Return the number that a text is by the format ``form`` (decimal, thousands, unit), None where it is none.

    Without a unit in ``form`` it may be any.
    """
    parts = _parts(text)
    decimal, thousands, *units = form
    if parts is None or (units and parts[1] not in ("", *units)):
        return None
    sign, _, body = parts
    if not _pattern(decimal, thousands).fullmatch(body):
        return None
    return sign * float((body.replace(thousands, "") if thousands else body).replace(decimal, "."))


@dataclass(frozen=True)
class Guess:
    """The format of a column: ``share`` of its texts are numbers by it; ``unsure`` where others fit as well."""

    form: Format
    share: float
    unsure: bool = False


def guess_format(
    counts: Mapping[str, int],
    *,
    decimal: str | None = None,
    thousands: str | None = None,
    hint: str | None = None,
    semicolons: bool = False,
) -> Guess:
    """Return the format that most of a column's texts have, ``counts`` saying how often each occurs.

    ``decimal`` and ``thousands`` force a mark ("" no separator); ``hint`` is the decimal mark of other columns of the
    file, by which a column is read whose texts fit both, such as 1,033. Where nothing else tells, a file with
    ``semicolons`` has decimal commas.
    """
    total = sum(counts.values())
    parts = [(one, count) for one, count in ((_parts(text), count) for text, count in counts.items()) if one]
    units: dict[str, int] = {}
    for (_, unit, _), count in parts:
        units[unit] = units.get(unit, 0) + count
    unit = max((u for u in units if u), key=lambda u: units[u], default="")
    bodies = [(body, count) for (_, mark, body), count in parts if mark in ("", unit)]
    marks = {mark for body, _ in bodies for mark in ".,'_ " if mark in body}
    shares = {}
    for candidate in CANDIDATES:
        point, group = candidate
        if (decimal is not None and point != decimal) or (thousands is not None and group != thousands):
            continue
        if group and group not in marks and thousands is None:
            continue
        pattern = _pattern(point, group)
        shares[candidate] = sum(count for body, count in bodies if pattern.fullmatch(body)) / max(total, 1)
    best = max(shares.values(), default=0.0)
    if best == 0:
        return Guess(PLAIN, 0.0)
    tied = [candidate for candidate in shares if shares[candidate] == best]
    point, group = _preferred(tied, bodies, hint, semicolons)
    commas = marks == {","} and {(",", ""), (".", ",")} <= set(tied)
    points = marks == {"."} and semicolons and {(".", ""), (",", ".")} <= set(tied)
    unsure = (commas or points) and decimal is None and thousands is None and hint is None
    return Guess((point, group, unit), best, unsure)


def _preferred(
    tied: list[tuple[str, str]], bodies: list[tuple[str, int]], hint: str | None, semicolons: bool
) -> tuple[str, str]:
    """Return which of the formats that fit alike is meant."""
    if hint == ",":
        chosen = [one for one in tied if one[0] == ","]
        if (",", ".") in chosen and any("." in body for body, _ in bodies):  # 1.203 in a file of decimal commas
            return (",", ".")
        return chosen[0] if chosen else tied[0]
    if (".", "") in tied:
        return (".", "")
    if (".", ",") in tied and (",", "") in tied:
        long = any(len(re.split(r"[.,eE]", body)[0]) > 3 for body, _ in bodies)  # 1033 beside 1,033 is no grouping
        return (",", "") if long or (semicolons and hint is None) else (".", ",")
    return tied[0]


def infer_decimal(columns: Iterable[Mapping[str, int]]) -> str | None:
    """Return the decimal mark of a file: a comma or a point where the texts of a column with commas can be nothing else.

    A comma in one column counts more than points in others; None where no column tells.
    """
    guesses = [guess_format(counts) for counts in columns if any("," in text for text in counts)]
    marks = {guess.form[0] for guess in guesses if guess.share > 0.9 and not guess.unsure}
    return next((mark for mark in ",." if mark in marks), None)


def as_numbers(
    cells: pd.Series,
    place: Callable[[int], str],
    advice: str = "",
    *,
    form: Format = PLAIN,
    missing: tuple[str, ...] = (),
) -> np.ndarray:
    """Return a column as float64, NaN where a value is missing; ``place`` says where a row is.

    ``missing`` are texts, or numbers as text, that stand for a missing value beside the usual marks.

    Raises:
        ZooError: text, infinity or a number beyond float32, with its place.
    """
    if isinstance(cells.dtype, pd.CategoricalDtype):
        cells = cells.astype(object)
    if pd.api.types.is_numeric_dtype(cells) and not pd.api.types.is_complex_dtype(cells):
        values = np.asarray(cells.to_numpy(dtype=np.float64, na_value=np.nan))
    elif not (pd.api.types.is_object_dtype(cells) or pd.api.types.is_string_dtype(cells)):
        raise ZooError(f"{place(0)}: the column holds {cells.dtype}; must be numbers")
    else:
        values = _texts_to_numbers(cells, place, advice, form, missing)
    for mark in missing:
        if is_number(mark):
            values = np.where(values == float(mark), np.nan, values)
    endless = np.flatnonzero(np.isinf(values))
    if len(endless):
        raise ZooError(f"{place(int(endless[0]))}: is infinite; mend or empty it")
    vast = np.flatnonzero(np.abs(values) > LARGEST)
    if len(vast):
        raise ZooError(f"{place(int(vast[0]))}: {values[vast[0]]:g} is too large for float32; mend or empty it")
    return values


def _texts_to_numbers(
    cells: pd.Series, place: Callable[[int], str], advice: str, form: Format, missing: tuple[str, ...]
) -> np.ndarray:
    if form == PLAIN:
        values = np.array(pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan))
    else:
        values = map_unique(cells, lambda value: _by_format(value, form), np.float64)
    stray = np.flatnonzero(np.isnan(values) & cells.notna().to_numpy())
    if not len(stray):
        return values
    texts = cells.iloc[stray]
    flags = {"true": 1.0, "false": 0.0}
    words = texts.astype(str).str.strip()
    lower = words.str.lower()
    wrong = ~(lower.isin(MARKS) | words.isin(missing))
    if wrong.any() and lower[wrong].isin(flags).all():  # a column of flags, which a file has as text
        values[stray] = lower.map(flags).to_numpy(dtype=np.float64)
        return values
    if wrong.any():
        row = int(stray[np.flatnonzero(wrong.to_numpy())[0]])
        text = str(cells.iloc[row])[:40]
        raise ZooError(
            f"{place(row)}: {text!r} is text in a column of numbers{_format_words(form)}; mend or empty it{advice}"
        )
    return values


def map_unique(cells: pd.Series, function: Callable[[Any], Any], dtype: Any) -> np.ndarray:
    """Return ``function`` of each cell (N,), which looks at each different one once."""
    codes, uniques = cells.factorize(use_na_sentinel=False)
    return np.asarray(np.array([function(value) for value in uniques], dtype)[codes])


def _format_words(form: Format) -> str:
    """Return how a column's numbers are written, where that is not plain."""
    if form == PLAIN:
        return ""
    decimal, thousands, unit = form
    words = [f"decimal {decimal!r}", *([f"thousands {thousands!r}"] if thousands else []), *([unit] if unit else [])]
    return f" ({', '.join(words)})"


def _by_format(value: object, form: Format) -> float:
    if isinstance(value, str):
        number = read_number(value, form)
        return np.nan if number is None else number
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return np.nan


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
