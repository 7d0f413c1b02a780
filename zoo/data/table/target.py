"""The target of a frame: classes, numbers, or several labels at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from zoo import registry
from zoo.data.table.columns import FEW, STRAY, TextCounts, numbers_of, quantity_advice
from zoo.data.table.numbers import MARKS, PLAIN, Format
from zoo.data.table.read import as_texts, category_codes, category_texts, is_numeric
from zoo.data.table.source import FrameOptions, Table
from zoo.data.table.spec import TableSpec
from zoo.exceptions import ZooError
from zoo.utils.console import print_note

TRUE, FALSE = ("1", "true", "yes", "y", "t"), ("0", "false", "no", "n", "f", "-1")


@dataclass(frozen=True)
class Target:
    """The columns that are learned, and how: as one of ``classes``, as a number, or as several labels at once.

    ``form`` is how a target's numbers are written, ``missing`` are the texts that stand for none.
    """

    columns: Sequence[str]
    task: str
    classes: tuple[str, ...] = ()
    multilabel: bool = False
    form: Format = PLAIN
    missing: tuple[str, ...] = ()

    @classmethod
    def of(cls, spec: TableSpec, columns: Sequence[str]) -> Target:
        """Return the target of such data, in ``columns``."""
        reading = spec.reading
        return cls(columns, spec.task, spec.classes, spec.multilabel, reading.target_format, reading.missing)

    @property
    def target_type(self) -> str:
        """What the task learns from: class or number."""
        return registry.task_entry(self.task).target

    def values(self, table: Table) -> np.ndarray:
        """Return the target of a table's rows as numbers (N,), or (N, K) of several labels; 0 where there is none.

        Raises:
            ZooError: a value that training lacks, or text in a target of numbers.
        """
        if not self.columns:
            return np.zeros(len(table.cells), dtype=np.int64)
        if self.multilabel:
            return np.stack([_flags(table, column) for column in self.columns], axis=1)
        (column,) = self.columns
        if self.target_type == "number":
            values = numbers_of(table, column, self.form, self.missing)
            if np.isnan(values).any():
                raise _missing(table, int(np.isnan(values).argmax()), column)
            return values
        codes = category_codes(table.cells[column], self.classes, missing=self.missing) - 1
        if (codes < 0).any():
            row = int((codes < 0).argmax())
            value = table.cells[column].iloc[row]
            raise ZooError(f"{table.at(row, column)}: the class {value!r} does not occur in training")
        return codes.astype(np.int64)


def _flags(table: Table, column: str) -> np.ndarray:
    """Return a column of labels as 0 and 1, float32."""
    texts = as_texts(table.cells[column], numeric=True).str.lower()
    wrong = np.flatnonzero(~texts.isin([*TRUE, *FALSE]).to_numpy())
    if len(wrong):
        value = table.cells[column].iloc[wrong[0]]
        message = f"{value!r} is no label; must be 0 or 1 in each of several targets"
        raise ZooError(f"{table.at(wrong[0], column)}: {message}")
    return np.asarray(texts.isin(TRUE), dtype=np.float32)


def _missing(table: Table, row: int, column: str) -> ZooError:
    return ZooError(f"{table.at(row, column)}: the target is missing; fill it in or delete the row")


def infer_target(table: Table, options: FrameOptions, counts: Mapping[str, TextCounts | None]) -> Target:
    """Return the target: its task as in ``options``, or as its values suggest.

    Text, flags and at most 20 different whole numbers are classes; other numbers are regressed; several columns are
    labels that may be true together.

    Raises:
        ZooError: missing values, one value only, text where numbers are to be regressed.
    """
    if not options.target:
        return Target((), "reconstruction")
    for column in options.target:
        _check_filled(table, column, counts[column], options.missing)
    if len(options.target) > 1:
        names = tuple(options.target)
        return Target(names, "classification", names, multilabel=True, missing=options.missing)
    (column,) = options.target
    return _one_target(table, column, options, counts[column])


def _check_filled(table: Table, column: str, counts: TextCounts | None, missing: tuple[str, ...]) -> None:
    texts = as_texts(table.cells[column], missing=missing)
    blank = texts == ""
    if counts is not None and counts.marks and counts.strays <= STRAY:  # numbers, and marks for a missing one
        blank |= texts.str.lower().isin(MARKS)
    if blank.any():
        raise _missing(table, int(blank.to_numpy().argmax()), column)
    if texts.nunique() < 2:
        only = texts.iloc[0]
        raise ZooError(f"{table.path}: the target {column!r} is {only!r} in every row; nothing can be learnt")


def _one_target(table: Table, column: str, options: FrameOptions, counts: TextCounts | None) -> Target:
    values, missing = None, options.missing
    form = PLAIN if counts is None else counts.guess.form
    if counts is None and not pd.api.types.is_bool_dtype(table.cells[column]):
        values = numbers_of(table, column)
    elif counts is not None and not counts.strays and not counts.codes:
        values = numbers_of(table, column, form, missing)
    task = options.task if options.task not in registry.unsupervised_tasks() else None
    if task is None:
        task = "classification" if values is None or few_integers(values) else "regression"
    if registry.task_entry(task).target == "number":
        return Target((column,), task, form=form, missing=missing)
    texts = category_texts(table.cells[column], missing=missing)
    names = sorted(texts.unique(), key=float if is_numeric(texts.unique()) else None)
    if len(names) > max(0.5 * len(texts), FEW):
        if counts is not None and 0 < counts.strays <= STRAY:
            numbers_of(table, column, form, missing)
        advice = "" if counts is None else quantity_advice(counts.counts, len(texts))
        raise ZooError(
            f"{table.path}: the target {column!r} has {len(names):,} different values in {len(texts):,} rows, such as "
            f"{names[0][:40]!r}, too many for classes{advice}"
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
    """Tell whether numbers are taken for classes: at most 20 different ones, all whole."""
    return bool((values == np.round(values)).all()) and len(np.unique(values)) <= FEW


def as_target(spec: TableSpec, values: np.ndarray) -> torch.Tensor:
    """Return a target as a model learns it: float32, less the offset of ``spec``; class numbers as they are."""
    if spec.target_type != "number" or spec.multilabel:
        return torch.tensor(values)
    return torch.from_numpy((values - spec.target_offset).astype(np.float32))
