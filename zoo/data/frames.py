"""Data frames to tables of numbers: which columns are numbers and which are text, what is missing, what is learnt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from zoo.data.dataset import Card, Dataset, Splits, class_counts, rarer, rows
from zoo.errors import ZooError, unknown
from zoo.inputs.table import as_numbers, as_texts, encode_frame
from zoo.spec import UNLABELLED, DataSpec

BINS = 64  # that a column of numbers is cut into, for networks that embed it piece by piece
FEW = 20  # different whole numbers up to which they are taken for classes
STRAY = 0.1  # share of texts up to which a column is one of numbers with text by mistake
DATE = re.compile(
    r"\d{4}[-/.]\d{1,2}([-/.]\d{1,2})?([ T]\d{1,2}:\d{2}.*)?$|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}( \d{1,2}:\d{2}.*)?$"
)


@dataclass(frozen=True)
class Source:
    """A frame, and how to speak of its rows: ``lines`` of the file it came from, or numbers from 1."""

    name: str
    frame: pd.DataFrame
    lines: np.ndarray

    def at(self, column: str, row: int) -> str:
        """Return the words for a cell."""
        return f"{self.name}, line {self.lines[row]}, column {column!r}"


@dataclass(frozen=True)
class Reading:
    """How a frame is read: ``task`` None is found out, ``text`` are columns of numbers that stand for kinds.

    Where a task needs no labels, there may be no ``target``.
    """

    target: Sequence[str]
    task: str | None = None
    text: Sequence[str] = ()
    drop: Sequence[str] = ()
    positive: str | None = None


@dataclass(frozen=True)
class Learnt:
    """What a frame's target is: numbers ``y`` (N,), or (N, K) of several labels at once, and the classes' names."""

    y: np.ndarray
    task: str
    classes: tuple[str, ...] = ()
    multilabel: bool = False


def frame_dataset(
    name: str, source: Source, reading: Reading, splits: Splits, *, test: Source | None = None, card: Card | None = None
) -> Dataset:
    """Return a frame as a Dataset; ``test`` is a frame of its own for the test, else one is cut off.

    Raises:
        ZooError: a column or a target that cannot be learnt from, with its place and what to do.
    """
    for asked, option in ((reading.drop, "data.drop"), (reading.text, "data.text")):
        for column in asked:
            if column not in source.frame.columns:
                raise unknown(f"column in {option}", column, source.frame.columns)
    dropped = set(reading.target) | set(reading.drop)
    columns = [str(c) for c in source.frame.columns if c not in dropped]
    if not columns:
        raise ZooError(f"{source.name}: no column is left to learn from")
    learnt = learn_from(source, reading)
    stratify = learnt.task == "classification" and not learnt.multilabel
    if test is None:
        train, val, held = splits.cut(learnt.y, stratify=stratify)
    else:
        train, val = splits.cut_val(learnt.y, stratify=stratify)
    kinds = {column: is_number_column(source, column, column in reading.text) for column in columns}
    spec = table_spec(name, source.frame[columns], kinds, learnt, train, positive=reading.positive)
    x = torch.from_numpy(encode_frame(spec, source.frame).astype(np.float32))
    y = torch.tensor(learnt.y)
    if test is None:
        parts = [rows(x, y, index) for index in (train, val, held)]
    else:
        parts = [rows(x, y, index) for index in (train, val)]
        parts.append(_test_split(test, spec, learnt, reading))
    if not reading.target:
        parts = [{"x": part["x"]} for part in parts]
    return Dataset(spec, parts[0], parts[1], parts[2], card)


def _test_split(test: Source, spec: DataSpec, learnt: Learnt, reading: Reading) -> dict[str, torch.Tensor]:
    lacking = [c for c in (*spec.columns, *reading.target) if c not in test.frame.columns]
    if lacking:
        raise ZooError(f"{test.name}: lacks the columns {', '.join(lacking)}")
    for column, levels in zip(spec.columns, spec.levels, strict=True):
        if not levels:
            numbers_of(test, column)
    y = targets(test, reading.target, learnt) if reading.target else np.zeros(len(test.frame))
    return {"x": torch.from_numpy(encode_frame(spec, test.frame).astype(np.float32)), "y": torch.tensor(y)}


def is_number_column(source: Source, column: str, as_kinds: bool) -> bool:
    """Tell columns of numbers from columns of text.

    Raises:
        ZooError: text where the rest are numbers, dates, texts that hardly ever come twice.
    """
    cells = source.frame[column]
    if pd.api.types.is_datetime64_any_dtype(cells):
        raise _date(source, column, str(cells.iloc[0]))
    given = cells.dropna()
    if as_kinds:
        return False
    if pd.api.types.is_numeric_dtype(cells) or not len(given):
        return True
    parsed = pd.to_numeric(given, errors="coerce")
    stray = given[parsed.isna()]
    if len(stray) <= STRAY * len(given):
        numbers_of(source, column)
        return True
    texts = given.astype(str)
    if texts.head(1000).map(lambda text: bool(DATE.match(text.strip()))).mean() > 0.95:
        raise _date(source, column, texts.iloc[0])
    different = texts.nunique()
    if different > max(0.5 * len(texts), 100):
        raise ZooError(
            f"{source.name}: column {column!r} holds {different:,} different texts in {len(texts):,} rows, such as "
            f"{texts.iloc[0][:40]!r}, from which nothing can be learnt; leave it out by data.drop=[{column}]"
        )
    return False


def _date(source: Source, column: str, example: str) -> ZooError:
    return ZooError(
        f"{source.name}: column {column!r} holds dates, such as {example!r}; leave it out by data.drop=[{column}], or "
        f"put what matters of them (year, month, weekday, days since) into columns of numbers"
    )


def numbers_of(source: Source, column: str) -> np.ndarray:
    """Return a column of numbers, NaN where one is missing.

    Raises:
        ZooError: text or infinity, with its place.
    """
    advice = f", or take the column as text by data.text=[{column}]"
    return as_numbers(source.frame[column], lambda row: source.at(column, row), advice)


def learn_from(source: Source, reading: Reading) -> Learnt:
    """Return what is to be learnt: the task as asked, or as the target's values suggest.

    Text, flags and at most 20 different whole numbers are classes; other numbers are regressed; several columns are
    labels that may be true together.

    Raises:
        ZooError: missing values, one value only, text where numbers are to be regressed, labels that are not 0 or 1.
    """
    if not reading.target:
        return Learnt(np.zeros(len(source.frame), dtype=np.int64), "reconstruction")
    several = len(reading.target) > 1
    for column in reading.target:
        missing = np.flatnonzero(source.frame[column].isna().to_numpy())
        if len(missing):
            raise ZooError(f"{source.at(column, missing[0])}: the target is missing; fill it in or delete the row")
        if source.frame[column].nunique() < 2:
            only = source.frame[column].iloc[0]
            raise ZooError(f"{source.name}: the target {column!r} is {only!r} in every row; nothing can be learnt")
    cells = source.frame[reading.target[0]]
    if several:
        blank = Learnt(np.empty(0), "classification", tuple(reading.target), multilabel=True)
    else:
        numbers = pd.to_numeric(cells, errors="coerce")
        numeric = bool(numbers.notna().all()) and not pd.api.types.is_bool_dtype(cells)
        few = numeric and bool((numbers == numbers.round()).all()) and numbers.nunique() <= FEW
        task = (reading.task if reading.task not in UNLABELLED else None) or (
            "regression" if numeric and not few else "classification"
        )
        if task == "regression":
            blank = Learnt(np.empty(0), task)
        else:
            values = as_texts(cells)
            names = sorted(values.unique(), key=float) if numeric else sorted(values.unique())
            if len(names) > max(0.5 * len(values), FEW):
                raise ZooError(
                    f"{source.name}: the target {reading.target[0]!r} has {len(names):,} different values in "
                    f"{len(values):,} rows, too many for classes"
                )
            blank = Learnt(np.empty(0), task, tuple(names))
    y = targets(source, reading.target, blank)
    return Learnt(y, blank.task, blank.classes, blank.multilabel)


TRUE, FALSE = ("1", "true", "yes", "y", "t"), ("0", "false", "no", "n", "f", "-1")


def targets(source: Source, target: Sequence[str], learnt: Learnt) -> np.ndarray:
    """Return a frame's target as numbers, by what was learnt of the training frame's.

    Raises:
        ZooError: a value that training lacks, or text in a target of numbers.
    """
    if learnt.multilabel:
        labels = np.zeros((len(source.frame), len(target)), dtype=np.float32)
        for number, column in enumerate(target):
            text = as_texts(source.frame[column]).str.lower()
            wrong = np.flatnonzero(~text.isin([*TRUE, *FALSE]).to_numpy())
            if len(wrong):
                said = f"{source.frame[column].iloc[wrong[0]]!r} is no label; must be 0 or 1 in each of several targets"
                raise ZooError(f"{source.at(column, wrong[0])}: {said}")
            labels[:, number] = text.isin(TRUE)
        return labels
    column = target[0]
    if learnt.task == "regression":
        values = numbers_of(source, column)
        if np.isnan(values).any():
            at = source.at(column, int(np.flatnonzero(np.isnan(values))[0]))
            raise ZooError(f"{at}: the target is missing; fill it in or delete the row")
        return values.astype(np.float32)
    numbers = {name: number for number, name in enumerate(learnt.classes)}
    found = as_texts(source.frame[column]).map(numbers)
    strange = np.flatnonzero(found.isna().to_numpy())
    if len(strange):
        value = source.frame[column].iloc[strange[0]]
        raise ZooError(f"{source.at(column, strange[0])}: the class {value!r} does not occur in training")
    return found.to_numpy(dtype=np.int64)


def table_spec(
    name: str,
    frame: pd.DataFrame,
    numeric: dict[str, bool],
    learnt: Learnt,
    train: np.ndarray,
    *,
    positive: str | None = None,
) -> DataSpec:
    """Return the spec of a table, all of its statistics those of the rows ``train``."""
    levels, fills, flagged, mean, std, edges = [], [], [], [], [], []
    for column in frame.columns:
        seen = frame[column].iloc[train]
        if not numeric[column]:
            levels.append(tuple(sorted(as_texts(seen).unique())))
            fills.append(0.0)
            mean.append(0.0)
            std.append(1.0)
            edges.append(())
            continue
        values = as_numbers(seen, lambda row: f"{name}, row {row + 1}")
        missing = np.isnan(values)
        values = values[~missing] if not missing.all() else np.zeros(1)
        levels.append(())
        fills.append(float(np.median(values)))
        flagged += [column] if missing.any() else []
        mean.append(float(values.mean()))
        std.append(float(values.std()) or 1.0)
        edges.append(bin_edges(values))
    y, classes = learnt.y[train], learnt.classes
    regressed = learnt.task == "regression"
    return DataSpec(
        name=name,
        kind="table",
        task=learnt.task,
        input_shape=(len(frame.columns) + len(flagged),),
        classes=classes,
        multilabel=learnt.multilabel,
        positive=_positive(y, classes, positive) if len(classes) == 2 and not learnt.multilabel else 1,
        mean=(*mean, *[0.0] * len(flagged)),
        std=(*std, *[1.0] * len(flagged)),
        target_mean=float(y.mean(dtype=np.float64)) if regressed else 0.0,
        target_std=(float(y.std(dtype=np.float64)) or 1.0) if regressed else 1.0,
        counts=class_counts(y, len(classes)),
        rows=len(y),
        columns=tuple(map(str, frame.columns)),
        levels=tuple(levels),
        fills=tuple(fills),
        flagged=tuple(flagged),
        edges=tuple(edges),
    )


def bin_edges(values: np.ndarray) -> tuple[float, ...]:
    """Return at most 65 different values that cut a column into bins: quantiles of its rows.

    Where these coincide, as in a column that is mostly 0, the rest are spread evenly over its other values.
    """
    edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)))
    others = np.setdiff1d(values, edges)
    places = np.linspace(0, max(len(others) - 1, 0), min(BINS + 1 - len(edges), len(others))).round().astype(int)
    return tuple(np.union1d(edges, others[places]).tolist())


def _positive(y: np.ndarray, classes: tuple[str, ...], asked: str | None) -> int:
    """Return which of two classes is the one to find: as asked, else the rarer."""
    if asked is not None:
        if str(asked) not in classes:
            raise unknown("class in data.positive", asked, classes)
        return classes.index(str(asked))
    return rarer(y)


def described(source: Source, spec: DataSpec, target: Sequence[str]) -> str:
    """Return the line that says how a frame was understood."""
    text = [f"{c} ({len(v)})" for c, v in zip(spec.columns, spec.levels, strict=True) if v]
    numbers = len(spec.columns) - len(text)
    said = [f"{numbers} {'column' if numbers == 1 else 'columns'} of numbers"]
    said += [f"{len(text)} of text: {', '.join(text[:8])}{', …' if len(text) > 8 else ''}"] if text else []
    if spec.flagged:
        count = {c: int(source.frame[c].isna().sum()) for c in spec.flagged}
        said.append("missing: " + ", ".join(f"{n:,} of {c}" for c, n in count.items()))
    what = spec.task
    if spec.multilabel:
        what = f"{len(spec.classes)} labels at once"
    elif spec.classes:
        shown = ", ".join(spec.classes[:6]) + (", …" if len(spec.classes) > 6 else "")
        what = f"classification: {shown}"
        if len(spec.classes) == 2:
            what += f"; to find: {spec.classes[spec.positive]}"
    learnt = f"{', '.join(target)} ({what})" if target else "to give it back"
    return f"{source.name}: learns {learnt} from {'; '.join(said)}"
