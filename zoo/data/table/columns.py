"""Column type inference for data frames: numbers or text, number formats, and notes on ambiguous columns."""

from __future__ import annotations

import datetime
import numbers as abstract
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from zoo.data.table.cells import MARKS, PLAIN, UNIT, Format, Guess, Table, guess_format, infer_decimal, is_number
from zoo.data.table.spec import FrameOptions, TableSpec
from zoo.exceptions import ZooError
from zoo.utils.console import print_note

FEW = 20  # maximum number of distinct values for integers to be classes, and for texts to be categories
STRAY = 0.1  # maximum fraction of texts in a numeric column, which are then errors
LONGEST = 64  # maximum length of a date in characters
ORDERED = 20  # minimum number of rows to recognize an id column by its increasing values
MONTH = r"(?:jan|feb|mar|mär|apr|may|mai|jun|jul|aug|sep|sept|oct|okt|nov|dec|dez)[a-zä]*\.?"  # also in German
DAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,?\s+)?"
CLOCK = r"(?:,?[ T]+\d{1,2}:\d{2}.*)?"
DATE = re.compile(
    r"\d{4}[-/.]\d{1,2}(?:[-/.]\d{1,2})?(?:[ T]\d{1,2}:\d{2}.*)?"
    rf"|{DAY}\d{{1,2}}[-/.]\d{{1,2}}[-/.]\d{{2,4}}{CLOCK}"
    r"|\d{1,2}/\d{4}|\d{8}T\d{4,6}.*"
    rf"|{DAY}\d{{1,2}}(?:st|nd|rd|th|\.)?[-/ ]*{MONTH}[-/, ]*(?:\d{{4}}|'?\d{{2}}){CLOCK}"
    rf"|{DAY}{MONTH}[-/ ]*\d{{1,2}}(?:st|nd|rd|th)?[-/, ]+(?:\d{{4}}|'?\d{{2}}){CLOCK}"
    rf"|{MONTH}[-/, ]*\d{{4}}|\d{{4}}[-/ ]*{MONTH}(?:[-/ ]*\d{{1,2}})?{CLOCK}"
    rf"|(?:mon|tue|wed|thu|fri|sat|sun)[a-z]* {MONTH} +\d{{1,2}} \d{{1,2}}:\d{{2}}.*\d{{4}}",
    re.IGNORECASE,
)
QUANTITY = re.compile(rf"[<>≤≥~≈±=]*\s*(?:{UNIT})?\s*[-+−]?[.,]?\d")


@dataclass(frozen=True)
class TextCounts:
    """Texts in a column: ``counts`` of each text, and ``marks``, the counts of each missing-value marker.

    ``rows`` cells are not empty, and ``numbers`` of them are not text. ``guess`` is the inferred number format of the
    texts. If all texts are plain numbers, ``counts`` is empty. The exception is ``codes``, numbers with leading zeros
    such as 01001.
    """

    counts: Mapping[str, int]
    marks: Mapping[str, int]
    numbers: int
    rows: int
    guess: Guess
    codes: bool = False

    @property
    def strays(self) -> float:
        """Return the fraction of cells that are not numbers. Missing-value markers count if there are others."""
        count = round((1 - self.guess.share) * sum(self.counts.values()))
        return (count + sum(self.marks.values())) / max(self.rows, 1) if count else 0.0


def guess_columns(table: Table, columns: Sequence[str], options: FrameOptions) -> dict[str, TextCounts | None]:
    """Return the text counts of each text column, None for numeric columns.

    If a column is ambiguous, the whole file determines the format.

    Raises:
        ZooError: if values are neither numbers nor text.
    """
    semicolons = options.reading.delimiter == ";"  # common where commas are decimal marks
    simple = options.decimal in (None, ".") and options.thousands is None and not semicolons
    texts = {column: _counted(table, column, options.reading.missing, simple=simple) for column in columns}
    counts = [
        one.counts for column, one in texts.items() if one is not None and column not in options.categorical_columns
    ]
    hint = options.decimal
    if hint is None and options.thousands is None:
        hint = infer_decimal(counts)
        if hint == "," and simple:  # then 1.203 is not a fraction
            texts = {column: _counted(table, column, options.reading.missing, simple=False) for column in columns}
    for column, one in texts.items():
        if one is not None and one.counts:
            guess = guess_format(
                one.counts, decimal=options.decimal, thousands=options.thousands, hint=hint, semicolons=semicolons
            )
            plain = guess.form[:2] == (".", "") and all(map(is_number, one.counts))
            texts[column] = replace(one, guess=Guess(PLAIN, 1.0, guess.unsure) if plain else guess)
    return texts


def _counted(table: Table, column: str, missing: Sequence[str], *, simple: bool) -> TextCounts | None:
    """Return the text counts of a column without a guess, None for a numeric column.

    With ``simple``, plain numbers are not counted one by one.
    """
    cells = table.cells[column]
    if isinstance(cells.dtype, pd.CategoricalDtype):
        cells = cells.astype(object)
    if pd.api.types.is_datetime64_any_dtype(cells):
        raise _date(table, column, str(cells.iloc[0]))
    if pd.api.types.is_numeric_dtype(cells) and not pd.api.types.is_complex_dtype(cells):
        return None
    filled = cells.dropna()
    readable = len(filled) > 0 and isinstance(filled.iloc[0], (str, bool, np.bool_, abstract.Real))  # by pandas
    numbers = pd.to_numeric(filled, errors="coerce") if readable else pd.Series(np.nan, index=filled.index)
    plain = bool(numbers.notna().all())
    codes = plain and bool((numbers == numbers.round()).all()) and _padded(filled)
    if plain and simple and not codes:
        return TextCounts({}, {}, len(filled), len(filled), Guess(PLAIN, 1.0))
    counts: dict[str, int] = {}
    marks: dict[str, int] = {}
    others = 0
    try:
        occurrences = filled.value_counts()
    except TypeError:  # lists and the like
        for value in filled:
            _check_kind(table, column, value)
        raise
    for value, count in occurrences.items():
        _check_kind(table, column, value)
        if not isinstance(value, (str, bool, np.bool_)):
            others += count
            continue
        text = str(value).strip()
        side = marks if text.lower() in MARKS or text in missing else counts
        side[text] = side.get(text, 0) + count
    return TextCounts(counts, marks, others, len(filled), Guess(PLAIN, 0.0), codes)


def _padded(cells: pd.Series) -> bool:
    """Return whether integers have leading zeros, in texts of equal length or in at least 10 % of the texts."""
    texts = cells.astype(str).str.strip()
    padded = texts.str.startswith("0") & (texts.str.len() > 1) & texts.str.isdigit()
    if not padded.any() or not texts.str.isdigit().all():
        return False
    return bool(texts.str.len().nunique() == 1 or padded.mean() >= STRAY)


def _check_kind(table: Table, column: str, value: object) -> None:
    if isinstance(value, (str, bool, np.bool_, abstract.Real)) or type(value).__name__ == "Decimal":
        return
    if isinstance(value, (datetime.date, datetime.datetime)):
        raise _date(table, column, str(value))
    kind = type(value).__name__
    raise ZooError(
        f"{table.path}: column {column!r} has values of type {kind}; must be numbers or text; {table.leave_out(column)}"
    )


def number_format(table: Table, column: str, options: FrameOptions, texts: TextCounts | None) -> Format | None:
    """Return the number format of a column, None for a text column.

    Raises:
        ZooError: if the column holds dates, or texts that rarely repeat.
    """
    if column in options.categorical_columns:
        return None
    if texts is None:
        return PLAIN
    number = not texts.counts or (texts.strays <= STRAY and texts.guess.share + texts.numbers > 0)
    if (number and not texts.codes) or column in options.numeric_columns:
        return texts.guess.form
    counts, total = texts.counts, sum(texts.counts.values())
    dates = sum(count for text, count in counts.items() if len(text) <= LONGEST and DATE.fullmatch(text))
    example = next(iter(table.cells[column].dropna()))
    if dates > 0.95 * total:
        raise _date(table, column, str(example))
    if len(counts) > max(0.5 * total, FEW):
        words = [text for text in counts if not any(map(str.isdigit, text))]
        if 0 < len(words) <= 3 and texts.guess.share >= 0.5:
            raise ZooError(
                f"{table.path}: column {column!r} has numbers and {words[0][:40]!r} ({counts[words[0]]:,} rows); "
                f"empty these cells{f' or pass data.missing=[{words[0]}]' if table.options else ''}"
            )
        raise ZooError(
            f"{table.path}: column {column!r} has {len(counts):,} different texts in {total:,} rows, such as "
            f"{str(example)[:40]!r}, too many for categories; {table.leave_out(column)}"
            f"{quantity_advice(counts, total)}"
        )
    return None


def quantity_advice(counts: Mapping[str, int], total: int) -> str:
    """Return advice if most of ``total`` rows are numbers with a unit."""
    return ", or remove the units if it is numeric" if _quantities(counts) > 0.5 * total else ""


def _quantities(counts: Mapping[str, int]) -> int:
    """Return the number of rows that have a number with extra characters, such as 7.5 °C or <4."""
    if not any(not is_number(text) and QUANTITY.match(text) for text in counts):
        return 0
    return sum(count for text, count in counts.items() if QUANTITY.match(text))


def print_remarks(
    table: Table, spec: TableSpec, guesses: Mapping[str, TextCounts | None], categorical_columns: Sequence[str]
) -> None:
    """Print notes on columns whose type is ambiguous."""
    for column, categories in zip(spec.columns, spec.categories, strict=True):
        texts, where = guesses[column], f"{table.path}: column {column!r}"
        if not categories and _is_id(table.cells[column].to_numpy(), texts):
            advice = f"if it is an id, {table.leave_out(column)}"
            print_note(f"{where} increases or decreases with each row; {advice}")
        if texts is None or column in categorical_columns:
            continue
        if not categories:
            _note_decimal_mark(table, column, texts)
        elif texts.codes and table.options:
            advice = f"pass data.numeric_columns=[{column}] if it holds numbers"
            print_note(f"{where} has leading zeros and is read as text; {advice}")
        elif _quantities(texts.counts) > 0.5 * sum(texts.counts.values()):
            example = next(text for text in texts.counts if not is_number(text) and QUANTITY.match(text))
            print(
                f"warning: {where} is read as text, but most cells start with a number, such as "
                f"{example[:40]!r}; remove units and signs to read it as numbers",
                file=sys.stderr,
            )
    for column in spec.reading.target if spec.target_type == "number" else ():
        _note_decimal_mark(table, column, guesses[column])


def _note_decimal_mark(table: Table, column: str, texts: TextCounts | None) -> None:
    """Print a note if the decimal mark of a numeric column is ambiguous."""
    if texts is None or not texts.guess.unsure or not table.options:
        return
    decimal = texts.guess.form[0] if texts.guess.form else "."
    example = next(text for text in texts.counts if "," in text or "." in text)
    print_note(
        f"{table.path}: column {column!r} is read with the decimal mark {decimal!r}, though {example!r} "
        f"is ambiguous; if that is wrong, pass data.decimal='{',' if decimal == '.' else '.'}'"
    )


def _is_id(values: np.ndarray, texts: TextCounts | None) -> bool:
    """Return whether numbers strictly increase or decrease from row to row, like an index or an id."""
    if len(values) < ORDERED or (texts is not None and texts.guess.form != PLAIN):
        return False
    step = np.diff(values)
    return bool((values == np.round(values)).all() and ((step > 0).all() or (step < 0).all()))


def _date(table: Table, column: str, example: str) -> ZooError:
    return ZooError(
        f"{table.path}: column {column!r} has dates, such as {example!r}; {table.leave_out(column)}, or "
        f"convert them to numeric columns (year, month, weekday, days since)"
    )
