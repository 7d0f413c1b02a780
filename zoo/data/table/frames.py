"""Convert data frames to datasets, with their specs and descriptions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from zoo import registry
from zoo.data.dataset import Dataset, Splits, class_counts, picked, rarer
from zoo.data.table.cells import MARKS, PLAIN, Format, Table, as_numbers, shortened
from zoo.data.table.columns import FEW, STRAY, TextCounts, guess_columns, number_format, print_remarks, quantity_advice
from zoo.data.table.read import as_text, as_texts, category_codes, category_texts, encode_frame, is_numeric, with_names
from zoo.data.table.spec import FrameOptions, TableReading, TableSpec
from zoo.exceptions import ZooError, unknown
from zoo.utils.console import print_note

BINS = 64  # bins of a numeric column, for piecewise linear encoding
LARGE = 1e4  # standard deviations from 0 beyond which float32 loses a thousandth of the differences or more
SMALLEST = 1e-35  # smallest standard deviation with an inverse in float32
TRUE, FALSE = ("1", "true", "yes", "y", "t"), ("0", "false", "no", "n", "f", "-1")


@dataclass(frozen=True)
class Target:
    """Target columns and their task: one of ``classes``, a number, or several labels.

    ``form`` is the number format of the target. ``missing`` are the markers of missing values.
    """

    columns: Sequence[str]
    task: str
    classes: tuple[str, ...] = ()
    multilabel: bool = False
    form: Format = PLAIN
    missing: tuple[str, ...] = ()

    @property
    def target_type(self) -> str:
        """Type of the target: class or number."""
        return registry.task_entry(self.task).target

    def values(self, table: Table) -> np.ndarray:
        """Return the targets of a table's rows (N,), or (N, K) for several labels. Without a target, they are 0.

        Raises:
            ZooError: if a class is unknown from training, or a numeric target has text.
        """
        if not self.columns:
            return np.zeros(len(table.cells), dtype=np.int64)
        if self.multilabel:
            return np.stack([_flags(table, column) for column in self.columns], axis=1)
        (column,) = self.columns
        if self.target_type == "number":
            values = table.numbers(column, self.form, self.missing)
            if np.isnan(values).any():
                raise _missing(table, int(np.isnan(values).argmax()), column)
            return values
        codes = category_codes(table.cells[column], self.classes, missing=self.missing) - 1
        if (codes < 0).any():
            row = int((codes < 0).argmax())
            value = table.cells[column].iloc[row]
            raise ZooError(f"{table.at(row, column)}: the class {value!r} is not in the training data")
        return codes.astype(np.int64)


def _flags(table: Table, column: str) -> np.ndarray:
    """Return a label column as 0 and 1, float32."""
    texts = as_texts(table.cells[column], numeric=True).str.lower()
    wrong = np.flatnonzero(~texts.isin([*TRUE, *FALSE]).to_numpy())
    if len(wrong):
        value = table.cells[column].iloc[wrong[0]]
        where = table.at(wrong[0], column)
        raise ZooError(f"{where}: {value!r} is not a label; must be 0 or 1 if there are several targets")
    return np.asarray(texts.isin(TRUE), dtype=np.float32)


def _missing(table: Table, row: int, column: str) -> ZooError:
    return ZooError(f"{table.at(row, column)}: the target is missing; fill it in or delete the row")


def infer_target(table: Table, options: FrameOptions, counts: Mapping[str, TextCounts | None]) -> Target:
    """Return the target with its task, from ``options`` or inferred from the values.

    Text, booleans and at most 20 different integers give classification. Other numbers give regression, and several
    columns give multilabel classification.

    Raises:
        ZooError: if values are missing, all values are equal, or a regression target has text.
    """
    if not options.target:
        return Target((), "reconstruction")
    for column in options.target:
        _check_filled(table, column, counts[column], options.reading.missing)
    if len(options.target) > 1:
        names = tuple(options.target)
        return Target(names, "classification", names, multilabel=True, missing=options.reading.missing)
    (column,) = options.target
    return _one_target(table, column, options, counts[column])


def _check_filled(table: Table, column: str, counts: TextCounts | None, missing: tuple[str, ...]) -> None:
    texts = as_texts(table.cells[column], missing=missing)
    blank = texts == ""
    if counts is not None and counts.marks and counts.strays <= STRAY:  # numeric, with markers of missing values
        blank |= texts.str.lower().isin(MARKS)
    if blank.any():
        raise _missing(table, int(blank.to_numpy().argmax()), column)
    if texts.nunique() < 2:
        only = texts.iloc[0]
        raise ZooError(f"{table.path}: the target {column!r} is {only!r} in every row; there is nothing to learn")


def _one_target(table: Table, column: str, options: FrameOptions, counts: TextCounts | None) -> Target:
    values, missing = None, options.reading.missing
    form = PLAIN if counts is None else counts.guess.form
    if counts is None and not pd.api.types.is_bool_dtype(table.cells[column]):
        values = table.numbers(column)
    elif counts is not None and not counts.strays and not counts.codes:
        values = table.numbers(column, form, missing)
    task = options.task if options.task not in registry.unsupervised_tasks() else None
    if task is None:
        task = "classification" if values is None or few_integers(values) else "regression"
    if registry.task_entry(task).target == "number":
        return Target((column,), task, form=form, missing=missing)
    texts = category_texts(table.cells[column], missing=missing)
    names = sorted(texts.unique(), key=float if is_numeric(texts.unique()) else None)
    if len(names) > max(0.5 * len(texts), FEW):
        if counts is not None and 0 < counts.strays <= STRAY:
            table.numbers(column, form, missing)
        advice = "" if counts is None else quantity_advice(counts.counts, len(texts))
        raise ZooError(
            f"{table.path}: the target {column!r} has {len(names):,} different values in {len(texts):,} rows, such as "
            f"{names[0][:40]!r}, which is too many for classes{advice}"
        )
    marks = [name for name in names if name.lower() in MARKS]
    if marks and table.options:
        count = int((texts == marks[0]).sum())
        print_note(
            f"{table.path}: {marks[0]!r} is a class of {column!r} ({count:,} rows); if it stands for a missing "
            f"value, pass data.missing=[{marks[0]}]"
        )
    return Target((column,), task, tuple(names), missing=missing)


def few_integers(values: np.ndarray) -> bool:
    """Return whether numbers are classes: at most 20 different integers."""
    return bool((values == np.round(values)).all()) and len(np.unique(values)) <= FEW


def as_target(spec: TableSpec, values: np.ndarray) -> torch.Tensor:
    """Convert target values for training: float32 less the offset of ``spec``, or class indices unchanged."""
    if spec.target_type != "number" or spec.multilabel:
        return torch.tensor(values)
    return torch.from_numpy((values - spec.target_offset).astype(np.float32))


def frame_dataset(
    name: str,
    table: Table,
    options: FrameOptions,
    splits: Splits,
    *,
    test: Table | None = None,
) -> Dataset:
    """Convert a data frame to a Dataset. Without a separate ``test`` frame, the test rows are split off.

    Raises:
        ZooError: if a column or the target cannot be used. The message says where and how to fix it.
    """
    table = replace(table, cells=with_names(table.cells, str(table.path)))
    if not len(table.cells):
        raise ZooError(f"{table.path}: has no rows")
    for option in ("drop_columns", "categorical_columns", "numeric_columns"):
        for column in getattr(options, option):
            if column not in table.cells.columns:
                raise unknown(f"column in data.{option}", column, table.cells.columns)
    columns = [str(c) for c in table.cells.columns if c not in {*options.target, *options.drop_columns}]
    if not columns:
        raise ZooError(f"{table.path}: no input column is left")
    guesses = guess_columns(table, [*columns, *options.target], options)
    target = infer_target(table, options, guesses)
    y = target.values(table)
    stratify = target.target_type == "class" and not target.multilabel
    cut: Callable[..., tuple[np.ndarray, ...]] = splits.cut if test is None else splits.cut_val
    index = cut(y, stratify=stratify, classes=target.classes, place=table.line)
    forms = {column: number_format(table, column, options, guesses[column]) for column in columns}
    reading = replace(options.reading, target=tuple(options.target), target_format=target.form)
    numbers = {
        column: table.numbers(column, form, reading.missing) for column, form in forms.items() if form is not None
    }
    table = replace(table, cells=table.cells.assign(**numbers))  # parse the numbers only once
    spec = table_spec(name, table.cells[columns], forms, target, y, index[0], reading, options.positive_class)
    split = _encoded(spec, table, y)
    if not table.options and (formats := _formats_described(spec, options.target)):
        print_note(f"{table.path}: numbers are read with {'; '.join(formats)}")
    print_remarks(table, spec, guesses, options.categorical_columns)
    parts = [picked(split, torch.from_numpy(part)) for part in index]
    if test is not None:
        parts.append(_test_split(test, spec, target))
    if not options.target:
        parts = [{"x": part["x"]} for part in parts]
    return Dataset(spec, parts[0], parts[1], parts[2])


def _test_split(test: Table, spec: TableSpec, target: Target) -> dict[str, Any]:
    test = replace(test, cells=with_names(test.cells, str(test.path)))
    lacking = [c for c in (*spec.columns, *target.columns) if c not in test.cells.columns]
    if lacking:
        raise ZooError(f"{test.path}: the columns {', '.join(lacking)} are missing")
    return _encoded(spec, test, target.values(test))


def _encoded(spec: TableSpec, table: Table, y: np.ndarray) -> dict[str, Any]:
    x = encode_frame(spec, table.cells, table)
    return {"x": torch.from_numpy(x.astype(np.float32)), "y": as_target(spec, y)}


class Column(NamedTuple):
    """Statistics of a column: its categories, or those of its numbers less ``offset``."""

    categories: tuple[str, ...] = ()
    impute_value: float = 0.0
    mean: float = 0.0
    std: float = 1.0
    bin_edges: tuple[float, ...] = ()
    offset: float = 0.0
    missing_indicator: bool = False


def _column(cells: pd.Series, name: str, form: Format | None, missing: tuple[str, ...]) -> Column:
    if form is None:
        return Column(tuple(sorted(category_texts(cells, missing=missing).unique())))
    values = as_numbers(cells, lambda row: f"{name}, row {row + 1}", form=form, missing=missing)
    gaps = np.isnan(values)
    values = values[~gaps] if not gaps.all() else np.zeros(1)
    offset = offset_of(values, f"{name}: column {str(cells.name)!r}")
    values = values - offset if offset else values
    median, mean, std = float(np.median(values)), float(values.mean()), float(values.std()) or 1.0
    return Column((), median, mean, std, quantile_edges(values), offset, bool(gaps.any()))


def table_spec(
    name: str,
    frame: pd.DataFrame,
    forms: Mapping[str, Format | None],
    target: Target,
    y: np.ndarray,
    train: np.ndarray,
    reading: TableReading | None = None,
    positive: str | None = None,
) -> TableSpec:
    """Return the spec of a table with statistics of the rows ``train``. ``forms`` is None for text columns."""
    reading = reading or TableReading()
    columns = {
        str(column): _column(frame[column].iloc[train], name, forms[column], reading.missing)
        for column in frame.columns
    }
    statistics = list(columns.values())
    missing_indicators = tuple(column for column, one in columns.items() if one.missing_indicator)
    flags = len(missing_indicators)
    y, classes = y[train], target.classes
    regressed = target.target_type == "number"
    target_offset = offset_of(y, f"{name}: the target") if regressed else 0.0
    y = (y - target_offset).astype(np.float32) if regressed else y
    return TableSpec(
        name=name,
        task=target.task,
        input_shape=(len(columns) + flags,),
        classes=classes,
        multilabel=target.multilabel,
        positive_class=_positive(y, classes, positive) if len(classes) == 2 and not target.multilabel else 1,
        mean=(*(one.mean for one in statistics), *[0.0] * flags),
        std=(*(one.std for one in statistics), *[1.0] * flags),
        target_mean=float(y.mean(dtype=np.float64)) if regressed else 0.0,
        target_std=(float(y.std(dtype=np.float64)) or 1.0) if regressed else 1.0,
        target_offset=target_offset,
        class_counts=class_counts(y, len(classes)),
        rows=len(y),
        columns=tuple(columns),
        categories=tuple(one.categories for one in statistics),
        impute_values=tuple(one.impute_value for one in statistics),
        missing_indicators=missing_indicators,
        bin_edges=tuple(one.bin_edges for one in statistics),
        reading=replace(
            reading,
            formats=tuple(form or PLAIN for form in forms.values()) if any(forms.values()) else (),
            offsets=tuple(one.offset for one in statistics) if any(one.offset for one in statistics) else (),
        ),
    )


def offset_of(values: np.ndarray, name: str) -> float:
    """Return an offset to subtract in float64, so that float32 keeps small differences. Usually 0.

    Raises:
        ZooError: if the differences are too small for float32.
    """
    mean, std = float(values.mean()), float(values.std())
    if 0 < std < SMALLEST:
        raise ZooError(f"{name} has a standard deviation of {std:.2g}, too small for float32; multiply the values")
    return float(np.round(mean)) if abs(mean) > LARGE * (std or 1.0) else 0.0


def quantile_edges(values: np.ndarray) -> tuple[float, ...]:
    """Return at most 65 distinct bin edges of a column: quantiles of its rows.

    If quantiles coincide, as in a column of mostly zeros, the remaining edges are spaced evenly over the other values.
    """
    bin_edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)))
    others = np.setdiff1d(values, bin_edges)
    places = np.linspace(0, max(len(others) - 1, 0), min(BINS + 1 - len(bin_edges), len(others))).round().astype(int)
    return tuple(np.union1d(bin_edges, others[places]).tolist())


def _positive(y: np.ndarray, classes: tuple[str, ...], positive: str | None) -> int:
    """Return the index of the positive class: ``positive``, otherwise the rarer class."""
    if positive is None:
        return rarer(y)
    name = as_text(positive, numeric=is_numeric(classes))
    if name not in classes:
        raise unknown("class in data.positive_class", positive, classes)
    return classes.index(name)


def describe(table: Table, spec: TableSpec, target: Sequence[str]) -> str:
    """Return a line that describes the inferred target and columns."""
    text = [f"{c} ({len(v)})" for c, v in zip(spec.columns, spec.categories, strict=True) if v]
    numbers = len(spec.columns) - len(text)
    inputs = [f"{numbers} {'column' if numbers == 1 else 'columns'} of numbers"]
    inputs += [f"{len(text)} of text: {shortened(text)}"] if text else []
    inputs += _formats_described(spec, target)
    if spec.missing_indicators:
        reading = spec.reading
        forms = dict(zip(spec.columns, reading.formats or (PLAIN,) * len(spec.columns), strict=True))
        gaps = {c: np.isnan(table.numbers(c, forms[c], reading.missing)).sum() for c in spec.missing_indicators}
        inputs.append("missing: " + ", ".join(f"{n:,} of {c}{_marks_of(table, c)}" for c, n in gaps.items()))
    kind = spec.task
    if spec.multilabel:
        kind = f"{len(spec.classes)} labels at once"
    elif spec.classes:
        kind = f"classification: {shortened(spec.classes, 6)}"
        if len(spec.classes) == 2:
            kind += f"; positive class: {spec.classes[spec.positive_class]}"
    learned = f"{', '.join(target)} ({kind})" if target else "a reconstruction"
    return f"{table.path}: learns {learned} from {'; '.join(inputs)}"


def _formats_described(spec: TableSpec, target: Sequence[str]) -> list[str]:
    """Describe the number formats other than plain, with their columns."""
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
    return [f"{name} in {shortened(c)}" for name, c in words.items()]


def _marks_of(table: Table, column: str) -> str:
    """Return the missing-value markers in a numeric column, except empty cells."""
    cells = table.cells[column]
    if pd.api.types.is_numeric_dtype(cells):
        return ""
    words = as_texts(cells)
    marks = sorted(word for word in words.unique() if word and word.lower() in MARKS)
    return f" (as {', '.join(map(repr, marks[:3]))})" if marks else ""
