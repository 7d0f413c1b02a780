"""Data frames to tables of numbers: which columns are numbers and which are text, what is missing, what is learnt."""

from __future__ import annotations

import datetime
import numbers as abstract
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import torch

from zoo import registry
from zoo.data.dataset import Card, Dataset, Splits, class_counts, rarer, rows
from zoo.data.table.numbers import (
    LONGEST,
    MARKS,
    PLAIN,
    UNIT,
    Format,
    Guess,
    as_numbers,
    guess_format,
    is_number,
    surely_comma,
    surely_point,
)
from zoo.data.table.read import as_text, as_texts, category_codes, category_texts, encode_frame, is_numeric, with_names
from zoo.data.table.spec import TableReading, TableSpec
from zoo.exceptions import ZooError, unknown

BINS = 64  # that a column of numbers is cut into, for networks that embed it piece by piece
FEW = 20  # different whole numbers up to which they are taken for classes
STRAY = 0.1  # share of texts up to which a column is one of numbers with text by mistake
LARGE = 1e4  # deviations from 0 beyond which float32 would round a column's differences by a thousandth and more
SMALLEST = 1e-35  # deviation whose inverse float32 holds
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
class Source:
    """A frame, and how to speak of its rows: ``lines`` of the file it came from, or numbers from 1.

    ``options``: the columns can be chosen by options of ``data``.
    """

    name: str
    frame: pd.DataFrame
    lines: np.ndarray
    options: bool = True

    def line(self, row: int) -> str:
        """Return the words for a row."""
        return f"{self.name}, line {self.lines[row]}"

    def at(self, column: str, row: int) -> str:
        """Return the words for a cell."""
        return f"{self.line(row)}, column {column!r}"

    def leave_out(self, column: str) -> str:
        """Return the advice to do without a column."""
        return f"leave it out by data.drop_columns=[{column}]" if self.options else f"drop the column {column!r}"

    def place(self, row: int, column: str) -> str:
        """Return the words for a cell, as ``encode_frame`` asks for them."""
        return self.at(column, row)


@dataclass(frozen=True)
class Reading:
    """How a frame is read: ``task`` None is found out, ``categorical_columns`` are columns of numbers that stand for categories,
    ``numeric_columns`` such that are numbers in any case.

    Where a task needs no labels, there may be no ``target``. ``decimal`` and ``thousands`` force how all columns'
    numbers are written; ``file`` is how the frame's file was read.
    """

    target: Sequence[str]
    task: str | None = None
    categorical_columns: Sequence[str] = ()
    drop_columns: Sequence[str] = ()
    positive_class: str | None = None
    numeric_columns: Sequence[str] = ()
    decimal: str | None = None
    thousands: str | None = None
    file: TableReading = field(default_factory=TableReading)

    def __post_init__(self) -> None:
        if self.decimal not in (None, ".", ","):
            raise ZooError(f"data.decimal={self.decimal!r}: must be . or ,")
        if self.thousands not in (None, "", ".", ",", " ", "'", "_"):
            raise ZooError(f"data.thousands={self.thousands!r}: must be . , ' _ a blank, or '' for none")
        if self.decimal is not None and self.decimal == self.thousands:
            raise ZooError(f"data.thousands={self.thousands!r}: is data.decimal too")

    @property
    def missing(self) -> tuple[str, ...]:
        """Texts that stand for a missing value, beside the usual marks."""
        return self.file.missing


@dataclass(frozen=True)
class Learnt:
    """What a frame's target is: numbers ``y`` (N,), or (N, K) of several labels at once, and the classes' names.

    ``form`` is how a target's numbers are written, ``missing`` what stands for none.
    """

    y: np.ndarray
    task: str
    classes: tuple[str, ...] = ()
    multilabel: bool = False
    form: Format = PLAIN
    missing: tuple[str, ...] = ()

    @property
    def target_type(self) -> str:
        """What the task learns from: class or number."""
        return registry.task_entry(self.task).target


def frame_dataset(
    name: str, source: Source, reading: Reading, splits: Splits, *, test: Source | None = None, card: Card | None = None
) -> Dataset:
    """Return a frame as a Dataset; ``test`` is a frame of its own for the test, else one is cut off.

    Raises:
        ZooError: a column or a target that cannot be learnt from, with its place and what to do.
    """
    source = replace(source, frame=with_names(source.frame, source.name))
    if not len(source.frame):
        raise ZooError(f"{source.name}: has no rows")
    options = (
        (reading.drop_columns, "data.drop_columns"),
        (reading.categorical_columns, "data.categorical_columns"),
        (reading.numeric_columns, "data.numeric_columns"),
    )
    for names, option in options:
        for column in names:
            if column not in source.frame.columns:
                raise unknown(f"column in {option}", column, source.frame.columns)
    dropped = set(reading.target) | set(reading.drop_columns)
    columns = [str(c) for c in source.frame.columns if c not in dropped]
    if not columns:
        raise ZooError(f"{source.name}: no column is left to learn from")
    guesses = guess_columns(source, [*columns, *reading.target], reading)
    learnt = learn_from(source, reading, guesses)
    stratify = learnt.target_type == "class" and not learnt.multilabel
    named = {"stratify": stratify, "classes": learnt.classes, "place": source.line}
    if test is None:
        train, val, held = splits.cut(learnt.y, **named)
    else:
        train, val = splits.cut_val(learnt.y, **named)
    forms = {column: number_format(source, column, reading, guesses[column]) for column in columns}
    source = _parsed(source, forms, reading.missing)
    file = replace(reading.file, target=tuple(reading.target), target_format=learnt.form)
    spec = table_spec(name, source.frame[columns], forms, learnt, train, positive=reading.positive_class, reading=file)
    x = torch.from_numpy(encode_frame(spec, source.frame, source.place).astype(np.float32))
    y = as_target(spec, learnt.y)
    if not source.options and (formats := _formats_described(spec, reading.target)):
        print(f"note: {source.name}: numbers are read with {'; '.join(formats)}", file=sys.stderr)
    for line in _remarks(source, spec, guesses, reading.categorical_columns):
        print(line, file=sys.stderr)
    if test is None:
        parts = [rows(x, y, index) for index in (train, val, held)]
    else:
        parts = [rows(x, y, index) for index in (train, val)]
        parts.append(_test_split(test, spec, learnt, reading))
    if not reading.target:
        parts = [{"x": part["x"]} for part in parts]
    return Dataset(spec, parts[0], parts[1], parts[2], card)


def _test_split(test: Source, spec: TableSpec, learnt: Learnt, reading: Reading) -> dict[str, torch.Tensor]:
    test = replace(test, frame=with_names(test.frame, test.name))
    lacking = [c for c in (*spec.columns, *reading.target) if c not in test.frame.columns]
    if lacking:
        raise ZooError(f"{test.name}: lacks the columns {', '.join(lacking)}")
    y = targets(test, reading.target, learnt) if reading.target else np.zeros(len(test.frame))
    x = encode_frame(spec, test.frame, test.place)
    return {"x": torch.from_numpy(x.astype(np.float32)), "y": as_target(spec, y)}


# --- columns ---


@dataclass(frozen=True)
class Cells:
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


def guess_columns(source: Source, columns: Sequence[str], reading: Reading) -> dict[str, Cells | None]:
    """Return for each column of texts what they are, for one of numbers None; the file as a whole decides where a
    column could be read in two ways.

    Raises:
        ZooError: values that are neither numbers nor texts.
    """
    forced = {"decimal": reading.decimal, "thousands": reading.thousands}
    semicolons = reading.file.delimiter == ";"  # as where commas are decimal marks
    simple = reading.decimal in (None, ".") and reading.thousands is None and not semicolons
    texts = {column: _counted(source, column, reading.missing, simple=simple) for column in columns}
    counts = [
        one.counts for column, one in texts.items() if one is not None and column not in reading.categorical_columns
    ]
    hint = reading.decimal
    if hint is None and reading.thousands is None:
        hint = "," if any(map(surely_comma, counts)) else "." if any(map(surely_point, counts)) else None
        if hint == "," and simple:  # by which 1.203 is no fraction
            texts = {column: _counted(source, column, reading.missing, simple=False) for column in columns}
    for column, one in texts.items():
        if one is not None and one.counts:
            guess = guess_format(one.counts, hint=hint, semicolons=semicolons, **forced)
            plain = guess.form[:2] == (".", "") and all(map(is_number, one.counts))
            texts[column] = replace(one, guess=Guess(PLAIN, 1.0, guess.unsure) if plain else guess)
    return texts


def _counted(source: Source, column: str, missing: Sequence[str], *, simple: bool) -> Cells | None:
    """Return a column's texts, without their guess, None for a column of numbers.

    ``simple``: plain numbers need no look at each.
    """
    cells = source.frame[column]
    if isinstance(cells.dtype, pd.CategoricalDtype):
        cells = cells.astype(object)
    if pd.api.types.is_datetime64_any_dtype(cells):
        raise _date(source, column, str(cells.iloc[0]))
    if pd.api.types.is_numeric_dtype(cells) and not pd.api.types.is_complex_dtype(cells):
        return None
    filled = cells.dropna()
    numbers = pd.to_numeric(filled, errors="coerce") if _of_texts(filled) else pd.Series(np.nan, index=filled.index)
    plain = bool(numbers.notna().all())
    codes = plain and bool((numbers == numbers.round()).all()) and _padded(filled)
    if plain and simple and not codes:
        return Cells({}, {}, len(filled), len(filled), Guess(PLAIN, 1.0))
    counts, marks, others = {}, {}, 0
    try:
        modalities = filled.value_counts()
    except TypeError:  # lists and the like
        modalities = filled.iloc[:1].astype(object).map(id).value_counts()
        _check_kind(source, column, filled.iloc[0])
    for value, count in modalities.items():
        _check_kind(source, column, value)
        if not isinstance(value, (str, bool, np.bool_)):
            others += count
            continue
        text = str(value).strip()
        side = marks if text.lower() in MARKS or text in missing else counts
        side[text] = side.get(text, 0) + count
    return Cells(counts, marks, others, len(filled), Guess(PLAIN, 0.0), codes)


def _of_texts(cells: pd.Series) -> bool:
    """Tell whether cells are texts, numbers or flags, which pandas can look at."""
    return len(cells) > 0 and isinstance(cells.iloc[0], (str, bool, np.bool_, abstract.Real))


def _padded(cells: pd.Series) -> bool:
    """Tell whether whole numbers have leading zeros, in texts of one length or in a tenth of them."""
    texts = cells.astype(str).str.strip()
    padded = texts.str.startswith("0") & (texts.str.len() > 1) & texts.str.isdigit()
    if not padded.any() or not texts.str.isdigit().all():
        return False
    return bool(texts.str.len().nunique() == 1 or padded.mean() >= STRAY)


def _check_kind(source: Source, column: str, value: object) -> None:
    if isinstance(value, (str, bool, np.bool_, abstract.Real)) or type(value).__name__ == "Decimal":
        return
    if isinstance(value, (datetime.date, datetime.datetime)):
        raise _date(source, column, str(value))
    kind = type(value).__name__
    raise ZooError(
        f"{source.name}: column {column!r} holds values of type {kind}; must be numbers or texts; "
        f"{source.leave_out(column)}"
    )


def number_format(source: Source, column: str, reading: Reading, cells: Cells | None) -> Format | None:
    """Return how a column's numbers are written, None for a column of text.

    Raises:
        ZooError: dates, texts that hardly ever come twice.
    """
    if column in reading.categorical_columns:
        return None
    if cells is None:
        return PLAIN
    number = not cells.counts or (cells.strays <= STRAY and cells.guess.share + cells.numbers > 0)
    if (number and not cells.codes) or column in reading.numeric_columns:
        return cells.guess.form
    counts, total = cells.counts, sum(cells.counts.values())
    dates = sum(count for text, count in counts.items() if len(text) <= LONGEST and DATE.fullmatch(text))
    example = next(iter(source.frame[column].dropna()))
    if dates > 0.95 * total:
        raise _date(source, column, str(example))
    if len(counts) > max(0.5 * total, FEW):
        words = [text for text in counts if not any(map(str.isdigit, text))]
        if 0 < len(words) <= 3 and cells.guess.share >= 0.5:
            raise ZooError(
                f"{source.name}: column {column!r} holds numbers and {words[0][:40]!r} ({counts[words[0]]:,} rows); "
                f"empty these cells{f' or pass data.missing=[{words[0]}]' if source.options else ''}"
            )
        raise ZooError(
            f"{source.name}: column {column!r} holds {len(counts):,} different texts in {total:,} rows, such as "
            f"{str(example)[:40]!r}, from which nothing can be learnt; {source.leave_out(column)}"
            f"{_quantity_advice(counts, total)}"
        )
    return None


def _parsed(source: Source, forms: Mapping[str, Format | None], missing: Sequence[str]) -> Source:
    """Return a source whose columns of numbers are parsed, so that this is done once.

    Raises:
        ZooError: text or infinity in a column of numbers, with its place.
    """
    numbers = {column: numbers_of(source, column, form, missing) for column, form in forms.items() if form is not None}
    return replace(source, frame=source.frame.assign(**numbers))


def _quantity_advice(counts: Mapping[str, int], total: int) -> str:
    return ", or take the units off where they are numbers" if _quantities(counts) > 0.5 * total else ""


def _quantities(counts: Mapping[str, int]) -> int:
    """Return how many rows hold a number with something beside it, such as 7.5 °C or <4."""
    if not any(not is_number(text) and QUANTITY.match(text) for text in counts):
        return 0
    return sum(count for text, count in counts.items() if QUANTITY.match(text))


def _remarks(source: Source, spec: TableSpec, guesses: Mapping[str, Cells | None], text: Sequence[str]) -> list[str]:
    """Return notes on columns that may be meant otherwise than they were read."""
    lines = []
    for column, categories in zip(spec.columns, spec.categories, strict=True):
        cells = guesses[column]
        if not categories and _is_id(source.frame[column].to_numpy(), cells):
            lines.append(
                f"note: {source.name}: column {column!r} rises by row and is another number in each; if it is an id, "
                f"{source.leave_out(column)}"
            )
        if cells is None or column in text:
            continue
        if not categories:
            lines += _two_ways(source, column, cells)
        if categories and cells.codes and source.options:
            lines.append(
                f"note: {source.name}: column {column!r} has leading zeros and is read as text; pass "
                f"data.numeric_columns=[{column}] if it holds numbers"
            )
        elif categories and _quantities(cells.counts) > 0.5 * sum(cells.counts.values()):
            example = next(text for text in cells.counts if not is_number(text) and QUANTITY.match(text))
            lines.append(
                f"warning: {source.name}: column {column!r} is read as text, but most of its texts begin with a "
                f"number, such as {example[:40]!r}; leave units and signs away to have numbers"
            )
    for column in spec.reading.target if spec.target_type == "number" else ():
        lines += _two_ways(source, column, guesses[column])
    return lines


def _two_ways(source: Source, column: str, cells: Cells | None) -> list[str]:
    """Return a note where the decimal mark of a column of numbers could be another."""
    if cells is None or not cells.guess.unsure or not source.options:
        return []
    decimal = cells.guess.form[0] if cells.guess.form else "."
    example = next(text for text in cells.counts if "," in text or "." in text)
    return [
        f"note: {source.name}: column {column!r} is read with the decimal mark {decimal!r}, though {example!r} "
        f"could be either; pass data.decimal='{',' if decimal == '.' else '.'}' if that is wrong"
    ]


def _is_id(values: np.ndarray, texts: Cells | None) -> bool:
    """Tell whether numbers rise, or fall, from row to row as those of an index or an id do."""
    if len(values) < ORDERED or (texts is not None and texts.guess.form != PLAIN):
        return False
    step = np.diff(values)
    return bool((values == np.round(values)).all() and ((step > 0).all() or (step < 0).all()))


def _date(source: Source, column: str, example: str) -> ZooError:
    return ZooError(
        f"{source.name}: column {column!r} holds dates, such as {example!r}; {source.leave_out(column)}, or "
        f"put what matters of them (year, month, weekday, days since) into columns of numbers"
    )


def numbers_of(source: Source, column: str, form: Format = PLAIN, missing: Sequence[str] = ()) -> np.ndarray:
    """Return a column of numbers, NaN where one is missing.

    Raises:
        ZooError: text or infinity, with its place.
    """
    advice = f", or take the column as text by data.categorical_columns=[{column}]" if source.options else ""
    cells = source.frame[column]
    return as_numbers(cells, lambda row: source.at(column, row), advice, form=form, missing=tuple(missing))


# --- targets ---


def learn_from(source: Source, reading: Reading, guesses: Mapping[str, Cells | None]) -> Learnt:
    """Return what is to be learnt: the task as asked, or as the target's values suggest.

    Text, flags and at most 20 different whole numbers are classes; other numbers are regressed; several columns are
    labels that may be true together.

    Raises:
        ZooError: missing values, one value only, text where numbers are to be regressed, labels that are not 0 or 1.
    """
    if not reading.target:
        return Learnt(np.zeros(len(source.frame), dtype=np.int64), "reconstruction")
    for column in reading.target:
        _check_filled(source, column, guesses[column], reading.missing)
    if len(reading.target) > 1:
        blank = Learnt(np.empty(0), "classification", tuple(reading.target), multilabel=True, missing=reading.missing)
        return replace(blank, y=targets(source, reading.target, blank))
    (column,) = reading.target
    blank = _one_target(source, column, reading, guesses[column])
    return replace(blank, y=targets(source, reading.target, blank))


def _check_filled(source: Source, column: str, cells: Cells | None, missing: Sequence[str]) -> None:
    texts = as_texts(source.frame[column], missing=tuple(missing))
    blank = texts == ""
    if cells is not None and cells.marks and cells.strays <= STRAY:  # numbers, and marks for a missing one
        blank |= texts.str.lower().isin(MARKS)
    gaps = np.flatnonzero(blank.to_numpy())
    if len(gaps):
        raise ZooError(f"{source.at(column, gaps[0])}: the target is missing; fill it in or delete the row")
    if texts.nunique() < 2:
        only = texts.iloc[0]
        raise ZooError(f"{source.name}: the target {column!r} is {only!r} in every row; nothing can be learnt")


def _one_target(source: Source, column: str, reading: Reading, cells: Cells | None) -> Learnt:
    """Return task and classes of a target, without its numbers."""
    values, form = None, PLAIN
    flags = pd.api.types.is_bool_dtype(source.frame[column])
    if cells is None and not flags:
        values = numbers_of(source, column)
    elif cells is not None and not cells.strays and not cells.codes:
        form = cells.guess.form
        values = numbers_of(source, column, form, reading.missing)
    task = reading.task if reading.task not in registry.unsupervised_tasks() else None
    if task is None:
        task = "classification" if values is None or few_whole(values) else "regression"
    if registry.task_entry(task).target == "number":
        return Learnt(np.empty(0), task, form=form if cells is None else cells.guess.form, missing=reading.missing)
    texts = category_texts(source.frame[column], missing=reading.missing)
    names = sorted(texts.unique(), key=float) if is_numeric(texts.unique()) else sorted(texts.unique())
    if len(names) > max(0.5 * len(texts), FEW):
        if cells is not None and 0 < cells.strays <= STRAY:
            numbers_of(source, column, cells.guess.form, reading.missing)
        advice = "" if cells is None else _quantity_advice(cells.counts, len(texts))
        raise ZooError(
            f"{source.name}: the target {column!r} has {len(names):,} different values in {len(texts):,} rows, such as "
            f"{names[0][:40]!r}, too many for classes{advice}"
        )
    words = [name for name in names if name.lower() in MARKS]
    if words and source.options:
        count = int((texts == words[0]).sum())
        print(
            f"note: {source.name}: {words[0]!r} is a class of {column!r} ({count:,} rows); if it stands for a missing "
            f"value, pass data.missing=[{words[0]}]",
            file=sys.stderr,
        )
    return Learnt(np.empty(0), task, tuple(names), missing=reading.missing)


def few_whole(values: np.ndarray) -> bool:
    """Tell whether numbers are taken for classes: at most 20 different ones, all whole."""
    return bool((values == np.round(values)).all()) and len(np.unique(values)) <= FEW


def as_target(spec: TableSpec, values: np.ndarray) -> torch.Tensor:
    """Return a target as a model learns it: float32, less what ``spec`` subtracts; class numbers as they are."""
    if spec.target_type != "number" or spec.multilabel:
        return torch.tensor(values)
    return torch.from_numpy((values - spec.target_offset).astype(np.float32))


def learnt_of(spec: TableSpec) -> Learnt:
    """Return how ``targets`` reads a target of such data."""
    reading = spec.reading
    return Learnt(
        np.empty(0), spec.task, spec.classes, spec.multilabel, form=reading.target_format, missing=reading.missing
    )


TRUE, FALSE = ("1", "true", "yes", "y", "t"), ("0", "false", "no", "n", "f", "-1")


def targets(source: Source, target: Sequence[str], learnt: Learnt) -> np.ndarray:
    """Return a frame's target as numbers, by what was learnt of the training frame's.

    Raises:
        ZooError: a value that training lacks, or text in a target of numbers.
    """
    if learnt.multilabel:
        labels = np.zeros((len(source.frame), len(target)), dtype=np.float32)
        for number, column in enumerate(target):
            text = as_texts(source.frame[column], numeric=True).str.lower()
            wrong = np.flatnonzero(~text.isin([*TRUE, *FALSE]).to_numpy())
            if len(wrong):
                said = f"{source.frame[column].iloc[wrong[0]]!r} is no label; must be 0 or 1 in each of several targets"
                raise ZooError(f"{source.at(column, wrong[0])}: {said}")
            labels[:, number] = text.isin(TRUE)
        return labels
    column = target[0]
    if learnt.target_type == "number":
        values = numbers_of(source, column, learnt.form, learnt.missing)
        if np.isnan(values).any():
            at = source.at(column, int(np.flatnonzero(np.isnan(values))[0]))
            raise ZooError(f"{at}: the target is missing; fill it in or delete the row")
        return values
    found = category_codes(source.frame[column], learnt.classes, missing=learnt.missing) - 1
    strange = np.flatnonzero(found < 0)
    if len(strange):
        value = source.frame[column].iloc[strange[0]]
        raise ZooError(f"{source.at(column, strange[0])}: the class {value!r} does not occur in training")
    return found.astype(np.int64)


def table_spec(
    name: str,
    frame: pd.DataFrame,
    forms: Mapping[str, Format | None],
    learnt: Learnt,
    train: np.ndarray,
    *,
    positive: str | None = None,
    reading: TableReading | None = None,
) -> TableSpec:
    """Return the spec of a table, all of its statistics those of the rows ``train``; ``forms`` is None for text."""
    reading = reading or TableReading()
    categories, impute_values, missing_indicators, mean, std, bin_edges, offsets = [], [], [], [], [], [], []
    for column in frame.columns:
        cells, form = frame[column].iloc[train], forms[column]
        if form is None:
            categories.append(tuple(sorted(category_texts(cells, missing=reading.missing).unique())))
            for values, blank in ((impute_values, 0.0), (mean, 0.0), (std, 1.0), (offsets, 0.0), (bin_edges, ())):
                values.append(blank)
            continue
        values = as_numbers(cells, lambda row: f"{name}, row {row + 1}", form=form, missing=reading.missing)
        gaps = np.isnan(values)
        values = values[~gaps] if not gaps.all() else np.zeros(1)
        offsets.append(offset_of(values, f"{name}: column {column!r}"))
        values = values - offsets[-1] if offsets[-1] else values
        categories.append(())
        impute_values.append(float(np.median(values)))
        missing_indicators += [column] if gaps.any() else []
        mean.append(float(values.mean()))
        std.append(float(values.std()) or 1.0)
        bin_edges.append(quantile_edges(values))
    y, classes = learnt.y[train], learnt.classes
    regressed = learnt.target_type == "number"
    target_offset = offset_of(y, f"{name}: the target") if regressed else 0.0
    y = (y - target_offset).astype(np.float32) if regressed else y
    return TableSpec(
        name=name,
        task=learnt.task,
        input_shape=(len(frame.columns) + len(missing_indicators),),
        classes=classes,
        multilabel=learnt.multilabel,
        positive_class=_positive(y, classes, positive) if len(classes) == 2 and not learnt.multilabel else 1,
        mean=(*mean, *[0.0] * len(missing_indicators)),
        std=(*std, *[1.0] * len(missing_indicators)),
        target_mean=float(y.mean(dtype=np.float64)) if regressed else 0.0,
        target_std=(float(y.std(dtype=np.float64)) or 1.0) if regressed else 1.0,
        target_offset=target_offset,
        class_counts=class_counts(y, len(classes)),
        rows=len(y),
        columns=tuple(map(str, frame.columns)),
        categories=tuple(categories),
        impute_values=tuple(impute_values),
        missing_indicators=tuple(missing_indicators),
        bin_edges=tuple(bin_edges),
        reading=replace(
            reading,
            formats=tuple(form or PLAIN for form in forms.values()) if any(forms.values()) else (),
            offsets=tuple(offsets) if any(offsets) else (),
        ),
    )


def offset_of(values: np.ndarray, name: str) -> float:
    """Return what is subtracted from numbers in float64, so that float32 keeps their differences; mostly 0.

    Raises:
        ZooError: differences that are too small for float32.
    """
    mean, std = float(values.mean()), float(values.std())
    if 0 < std < SMALLEST:
        raise ZooError(f"{name} varies by {std:.2g}, too little for float32; multiply it")
    return float(np.round(mean)) if abs(mean) > LARGE * (std or 1.0) else 0.0


def quantile_edges(values: np.ndarray) -> tuple[float, ...]:
    """Return at most 65 different values that cut a column into bins: quantiles of its rows.

    Where these coincide, as in a column that is mostly 0, the rest are spread evenly over its other values.
    """
    bin_edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)))
    others = np.setdiff1d(values, bin_edges)
    places = np.linspace(0, max(len(others) - 1, 0), min(BINS + 1 - len(bin_edges), len(others))).round().astype(int)
    return tuple(np.union1d(bin_edges, others[places]).tolist())


def _positive(y: np.ndarray, classes: tuple[str, ...], asked: str | None) -> int:
    """Return which of two classes is the one to find: as asked, else the rarer."""
    if asked is not None:
        name = as_text(asked, numeric=is_numeric(classes))
        if name not in classes:
            raise unknown("class in data.positive_class", asked, classes)
        return classes.index(name)
    return rarer(y)


def described(source: Source, spec: TableSpec, target: Sequence[str]) -> str:
    """Return the line that says how a frame was understood."""
    text = [f"{c} ({len(v)})" for c, v in zip(spec.columns, spec.categories, strict=True) if v]
    numbers = len(spec.columns) - len(text)
    said = [f"{numbers} {'column' if numbers == 1 else 'columns'} of numbers"]
    said += [f"{len(text)} of text: {', '.join(text[:8])}{', …' if len(text) > 8 else ''}"] if text else []
    said += _formats_described(spec, target)
    if spec.missing_indicators:
        reading = spec.reading
        forms = dict(zip(spec.columns, reading.formats or (PLAIN,) * len(spec.columns), strict=True))
        gaps = {c: np.isnan(numbers_of(source, c, forms[c], reading.missing)).sum() for c in spec.missing_indicators}
        said.append("missing: " + ", ".join(f"{n:,} of {c}{_marks_of(source, c)}" for c, n in gaps.items()))
    what = spec.task
    if spec.multilabel:
        what = f"{len(spec.classes)} labels at once"
    elif spec.classes:
        shown = ", ".join(spec.classes[:6]) + (", …" if len(spec.classes) > 6 else "")
        what = f"classification: {shown}"
        if len(spec.classes) == 2:
            what += f"; to find: {spec.classes[spec.positive_class]}"
    learnt = f"{', '.join(target)} ({what})" if target else "to give it back"
    return f"{source.name}: learns {learnt} from {'; '.join(said)}"


def _formats_described(spec: TableSpec, target: Sequence[str]) -> list[str]:
    """Return how numbers are written, where that is not plain, with the columns that are."""
    reading = spec.reading
    forms = dict(zip(spec.columns, reading.formats, strict=False))
    forms |= dict.fromkeys(target, reading.target_format) if spec.target_type == "number" else {}
    words: dict[str, list[str]] = {}
    for column, form in forms.items():
        decimal, thousands, unit = form or (".", "", "")
        names = [f"decimal mark {decimal!r}"] if decimal != "." else []
        names += [f"thousands separator {thousands!r}"] if thousands else []
        for name in (*names, *([unit] if unit else [])):
            words.setdefault(name, []).append(column)
    return [f"{name} in {', '.join(c[:8])}{', …' if len(c) > 8 else ''}" for name, c in words.items()]


def _marks_of(source: Source, column: str) -> str:
    """Return the texts other than an empty cell that stand for a missing value in a column of numbers."""
    cells = source.frame[column]
    if pd.api.types.is_numeric_dtype(cells):
        return ""
    words = as_texts(cells)
    marks = sorted(word for word in words.unique() if word and word.lower() in MARKS)
    return f" (as {', '.join(map(repr, marks[:3]))})" if marks else ""
