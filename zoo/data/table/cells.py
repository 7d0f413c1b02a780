"""Cells of a table: their location in error messages, and number formats.

Numbers may have decimal commas, thousands separators, currency symbols and percent signs, and markers of missing
values. One format applies to a whole column. It is ``(decimal, thousands, unit)``, or ``()`` for plain numbers.
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
LARGEST = 1e37  # float32 limit that still allows the difference of two numbers
LONGEST = 64  # maximum length of a number in characters
EMPTY = ("", "?", "nan", "NaN", "#N/A")  # missing value in any column
MARKS = frozenset(  # missing value in a numeric column, lowercase
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
    """Return whether a cell is a plain number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def looks_numeric(text: str) -> bool:
    """Return whether a cell is a number in any format."""
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
    """Return the sign, unit and digits of a number in any format, None for other text."""
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
    """Parse a number in the format ``form`` (decimal, thousands, unit). Return None if the text is not a number.

    A format without a unit accepts any unit.
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
    """The number format of a column.

    ``share`` is the fraction of its texts that are numbers in this format. ``unsure`` means that other formats fit
    equally well.
    """

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
    """Return the most frequent number format of a column, given how often each text occurs.

    ``decimal`` and ``thousands`` override a separator ("" for no thousands separator). ``hint`` is the decimal mark of
    other columns in the file. It resolves texts that are ambiguous, such as 1,033. Without other evidence, files with
    ``semicolons`` use decimal commas.
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
    """Return the most plausible of the formats that fit equally well."""
    if hint == ",":
        chosen = [one for one in tied if one[0] == ","]
        if (",", ".") in chosen and any("." in body for body, _ in bodies):  # 1.203 in a file of decimal commas
            return (",", ".")
        return chosen[0] if chosen else tied[0]
    if (".", "") in tied:
        return (".", "")
    if (".", ",") in tied and (",", "") in tied:
        long = any(len(re.split(r"[.,eE]", body)[0]) > 3 for body, _ in bodies)  # no grouping if 1033 also occurs
        return (",", "") if long or (semicolons and hint is None) else (".", ",")
    return tied[0]


def infer_decimal(columns: Iterable[Mapping[str, int]]) -> str | None:
    """Infer the decimal mark of a file from columns where only one reading is possible.

    A comma in one column outweighs points in others. Return None if no column is conclusive.
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
    """Convert a column to float64, with NaN for missing values. ``place`` returns the name of a row.

    ``missing`` are additional texts or numbers that mark a missing value.

    Raises:
        ZooError: if a cell is text, infinite or beyond float32. The message names the cell.
    """
    if isinstance(cells.dtype, pd.CategoricalDtype):
        cells = cells.astype(object)
    if pd.api.types.is_numeric_dtype(cells) and not pd.api.types.is_complex_dtype(cells):
        values = np.asarray(cells.to_numpy(dtype=np.float64, na_value=np.nan))
    elif not (pd.api.types.is_object_dtype(cells) or pd.api.types.is_string_dtype(cells)):
        raise ZooError(f"{place(0)}: the column has type {cells.dtype}; must be numbers")
    else:
        values = _texts_to_numbers(cells, place, advice, form, missing)
    for mark in missing:
        if is_number(mark):
            values = np.where(values == float(mark), np.nan, values)
    endless = np.flatnonzero(np.isinf(values))
    if len(endless):
        raise ZooError(f"{place(int(endless[0]))}: is infinite; correct or empty it")
    vast = np.flatnonzero(np.abs(values) > LARGEST)
    if len(vast):
        raise ZooError(f"{place(int(vast[0]))}: {values[vast[0]]:g} is too large for float32; correct or empty it")
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
    if wrong.any() and lower[wrong].isin(flags).all():  # a column of flags that a file stores as text
        values[stray] = lower.map(flags).to_numpy(dtype=np.float64)
        return values
    if wrong.any():
        row = int(stray[np.flatnonzero(wrong.to_numpy())[0]])
        text = str(cells.iloc[row])[:40]
        raise ZooError(
            f"{place(row)}: {text!r} is text in a numeric column{_format_words(form)}; correct or empty it{advice}"
        )
    return values


def map_unique(cells: pd.Series, function: Callable[[Any], Any], dtype: Any) -> np.ndarray:
    """Apply ``function`` to each cell and return the results (N,). Each distinct value is evaluated once."""
    codes, uniques = cells.factorize(use_na_sentinel=False)
    return np.asarray(np.array([function(value) for value in uniques], dtype)[codes])


def _format_words(form: Format) -> str:
    """Return a description of the number format, "" for plain numbers."""
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
    """The cells of a file or a data frame, and the names of its rows in error messages.

    ``cells`` of a CSV are text, with NaN for missing values. ``lines`` (N,) are the line numbers of the file at which
    the rows start, from 1, or the row numbers of a data frame.

    ``quoting`` is minimal if quotation marks enclose cells, none if they are ordinary characters, and None if there
    are none. ``nameless`` are columns without a name in the header, such as an index. ``options`` means that options
    of ``data`` can select columns. Errors call a row by its ``unit``, line or row.
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
        """Return a Table of a data frame, with rows numbered from ``first``."""
        return cls(name, frame, np.arange(first, first + len(frame)), options=options, unit=unit)

    def line(self, row: int) -> str:
        """Return the name of a row for messages."""
        return f"{self.path}, {self.unit} {self.lines[row]}"

    def at(self, row: int, column: str) -> str:
        """Return the name of a cell for messages."""
        return f"{self.line(row)}, column {column!r}"

    def numbers(self, column: str, form: Format = PLAIN, missing: tuple[str, ...] = ()) -> np.ndarray:
        """Return a numeric column, with NaN for missing values.

        Raises:
            ZooError: if a cell is text or infinite. The message names the cell.
        """
        advice = f", or read the column as text with data.categorical_columns=[{column}]" if self.options else ""
        return as_numbers(self.cells[column], lambda row: self.at(row, column), advice, form=form, missing=missing)

    def leave_out(self, column: str) -> str:
        """Return advice on how to leave out a column."""
        return f"leave it out with data.drop_columns=[{column}]" if self.options else f"drop the column {column!r}"


def shortened(names: Sequence[object], count: int = 8) -> str:
    """Join the first ``count`` names, with … if there are more."""
    return ", ".join(map(str, names[:count])) + (", …" if len(names) > count else "")


def column_named(table: Table, column: str | int | None, option: str) -> str:
    """Look up a column by its name or its position, from 1, or from the end with -1.

    Raises:
        ZooError: if ``column`` is None or does not exist.
    """
    names = [str(name) for name in table.cells.columns]
    if column is None:
        columns = shortened(names, 20)
        raise ZooError(
            f"{option}: must name the target column, for example {option}={names[-1]}; {table.path} has {columns}"
        )
    if str(column) in names:
        return str(column)
    if isinstance(column, int) and column and -len(names) <= column <= len(names):
        return names[column - 1 if column > 0 else column]
    raise unknown(f"column in {option}", column, names)
