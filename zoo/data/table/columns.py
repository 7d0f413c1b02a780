"""Columns of a frame: which are numbers and which are text, how numbers are written, and dubious cases."""

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

FEW = 20  # different values up to which whole numbers are taken for classes, and texts for categories
STRAY = 0.1  # share of texts up to which a column is one of numbers with text by mistake
LONGEST = 64  # characters of a date
ORDERED = 20  # rows from which numbers that rise by row are taken for an id
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
    """A column of texts: how often each of ``counts`` occurs, how often each of ``marks`` for a missing value.

    Of ``rows`` cells that are filled, ``numbers`` are no texts. ``guess`` is how numbers among the texts are written.
    Where all are plain numbers ``counts`` is left empty, unless they are ``codes`` with leading zeros, such as 01001.
    """

    counts: Mapping[str, int]
    marks: Mapping[str, int]
    numbers: int
    rows: int
    guess: Guess
    codes: bool = False

    @property
    def strays(self) -> float:
        """Return the share of cells that are no number; marks for a missing value count where there are others."""
        count = round((1 - self.guess.share) * sum(self.counts.values()))
        return (count + sum(self.marks.values())) / max(self.rows, 1) if count else 0.0


def guess_columns(table: Table, columns: Sequence[str], options: FrameOptions) -> dict[str, TextCounts | None]:
    """Return for each column of texts what they are, for one of numbers None; the file as a whole decides where a
    column could be read in two ways.

    Raises:
        ZooError: values that are neither numbers nor texts.
    """
    semicolons = options.reading.delimiter == ";"  # as where commas are decimal marks
    simple = options.decimal in (None, ".") and options.thousands is None and not semicolons
    texts = {column: _counted(table, column, options.reading.missing, simple=simple) for column in columns}
    counts = [
        one.counts for column, one in texts.items() if one is not None and column not in options.categorical_columns
    ]
    hint = options.decimal
    if hint is None and options.thousands is None:
        hint = infer_decimal(counts)
        if hint == "," and simple:  # by which 1.203 is no fraction
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
    """Return a column's texts, without their guess, None for a column of numbers.

    ``simple``: plain numbers need no look at each.
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
    """Tell whether whole numbers have leading zeros, in texts of one length or in a tenth of them."""
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
        f"{table.path}: column {column!r} holds values of type {kind}; must be numbers or texts; "
        f"{table.leave_out(column)}"
    )


def number_format(table: Table, column: str, options: FrameOptions, texts: TextCounts | None) -> Format | None:
    """Return how a column's numbers are written, None for a column of text.

    Raises:
        ZooError: dates, texts that hardly ever come twice.
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
                f"{table.path}: column {column!r} holds numbers and {words[0][:40]!r} ({counts[words[0]]:,} rows); "
                f"empty these cells{f' or pass data.missing=[{words[0]}]' if table.options else ''}"
            )
        raise ZooError(
            f"{table.path}: column {column!r} holds {len(counts):,} different texts in {total:,} rows, such as "
            f"{str(example)[:40]!r}, from which nothing can be learnt; {table.leave_out(column)}"
            f"{quantity_advice(counts, total)}"
        )
    return None


def quantity_advice(counts: Mapping[str, int], total: int) -> str:
    """Return an advice where most of ``total`` rows hold a number with a unit."""
    return ", or take the units off where they are numbers" if _quantities(counts) > 0.5 * total else ""


def _quantities(counts: Mapping[str, int]) -> int:
    """Return how many rows hold a number with something beside it, such as 7.5 °C or <4."""
    if not any(not is_number(text) and QUANTITY.match(text) for text in counts):
        return 0
    return sum(count for text, count in counts.items() if QUANTITY.match(text))


def print_remarks(
    table: Table, spec: TableSpec, guesses: Mapping[str, TextCounts | None], categorical_columns: Sequence[str]
) -> None:
    """Print notes on columns that may be meant otherwise than they were read."""
    for column, categories in zip(spec.columns, spec.categories, strict=True):
        texts, where = guesses[column], f"{table.path}: column {column!r}"
        if not categories and _is_id(table.cells[column].to_numpy(), texts):
            advice = f"if it is an id, {table.leave_out(column)}"
            print_note(f"{where} rises by row and is another number in each; {advice}")
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
                f"warning: {where} is read as text, but most of its texts begin with a number, such as "
                f"{example[:40]!r}; leave units and signs away to have numbers",
                file=sys.stderr,
            )
    for column in spec.reading.target if spec.target_type == "number" else ():
        _note_decimal_mark(table, column, guesses[column])


def _note_decimal_mark(table: Table, column: str, texts: TextCounts | None) -> None:
    """Print a note where the decimal mark of a column of numbers could be another."""
    if texts is None or not texts.guess.unsure or not table.options:
        return
    decimal = texts.guess.form[0] if texts.guess.form else "."
    example = next(text for text in texts.counts if "," in text or "." in text)
    print_note(
        f"{table.path}: column {column!r} is read with the decimal mark {decimal!r}, though {example!r} "
        f"could be either; pass data.decimal='{',' if decimal == '.' else '.'}' if that is wrong"
    )


def _is_id(values: np.ndarray, texts: TextCounts | None) -> bool:
    """Tell whether numbers rise, or fall, from row to row as those of an index or an id do."""
    if len(values) < ORDERED or (texts is not None and texts.guess.form != PLAIN):
        return False
    step = np.diff(values)
    return bool((values == np.round(values)).all() and ((step > 0).all() or (step < 0).all()))


def _date(table: Table, column: str, example: str) -> ZooError:
    return ZooError(
        f"{table.path}: column {column!r} holds dates, such as {example!r}; {table.leave_out(column)}, or "
        f"put what matters of them (year, month, weekday, days since) into columns of numbers"
    )
