"""Tabular datasets: any CSV, and built-in tables."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from zoo import registry
from zoo.data.dataset import Dataset, Splits, rows
from zoo.data.download import fetch, root_folder
from zoo.data.table.cells import PLAIN, Table, as_numbers, column_named
from zoo.data.table.csv_file import read_csv
from zoo.data.table.frames import Target, as_target, describe, frame_dataset, table_spec
from zoo.data.table.read import as_text, encode
from zoo.data.table.spec import Dialect, FrameOptions, TableReading, TableSpec
from zoo.exceptions import ZooError
from zoo.registry import register_data
from zoo.utils.console import print_note, print_progress

ADULT_COLUMNS = (
    *("age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation", "relationship"),
    *("race", "sex", "capital-gain", "capital-loss", "hours-per-week", "native-country", "income"),
)


def table(
    name: str,
    x: np.ndarray,
    y: np.ndarray,
    splits: Splits,
    *,
    columns: tuple[str, ...] = (),
    classes: tuple[str, ...] = (),
) -> Dataset:
    """Return numbers ``x`` (N, columns) as a Dataset: classification if ``classes`` are given, otherwise regression."""
    target = Target(("y",), "classification" if classes else "regression", classes)
    y = y.astype(np.int64 if classes else np.float64)
    index = splits.cut(y, stratify=bool(classes), classes=classes)
    frame = pd.DataFrame(x, columns=columns or [f"column_{n + 1}" for n in range(x.shape[1])])
    for column in frame.columns:
        as_numbers(frame[column], lambda row, column=column: f"{name}, row {row + 1}, column {column!r}")  # type: ignore[misc]
    spec = table_spec(name, frame, dict.fromkeys(frame.columns, PLAIN), target, y, index[0])
    inputs, targets = encode(spec, x)["x"], as_target(spec, y)
    train, val, test = (rows(inputs, targets, part) for part in index)
    return Dataset(spec, train, val, test)


@register_data("breast_cancer", tasks=("classification",), modality="table")
def breast_cancer(*, folds: int = 5, fold: int = 0, split_seed: int = 0) -> Dataset:
    """Return the breast cancer dataset: 569 biopsies with 30 features, malignant or benign."""
    return _from_sklearn("breast_cancer", Splits(folds, fold, split_seed))


@register_data("wine", tasks=("classification",), modality="table")
def wine(*, folds: int = 5, fold: int = 0, split_seed: int = 0) -> Dataset:
    """Return the wine dataset: 178 wines from three growers with 13 chemical features."""
    return _from_sklearn("wine", Splits(folds, fold, split_seed))


@register_data("diabetes", tasks=("regression",), modality="table")
def diabetes(*, folds: int = 5, fold: int = 0, split_seed: int = 0) -> Dataset:
    """Return the diabetes dataset: 442 patients with 10 unscaled features. Target: disease progression after a year."""
    return _from_sklearn("diabetes", Splits(folds, fold, split_seed), scaled=False)


def _from_sklearn(name: str, splits: Splits, **options: Any) -> Dataset:
    """Return a table from scikit-learn."""
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")(**options)
    columns, classes = tuple(map(str, bunch.feature_names)), tuple(map(str, bunch.get("target_names", ())))
    return table(name, bunch.data, bunch.target, splits, columns=columns, classes=classes)


@register_data("csv", tasks=("classification", "regression"), modality="table")
def csv(
    *,
    path: str | None = None,
    target: str | int | Sequence[str | int] | None = None,
    task: str | None = None,
    test: str | None = None,
    drop_columns: Sequence[str] = (),
    categorical_columns: Sequence[str] = (),
    numeric_columns: Sequence[str] = (),
    positive_class: str | None = None,
    delimiter: str | None = None,
    quoting: str = "auto",
    header: bool | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
    missing: Sequence[str | float | None] | str | float = (),
    folds: int = 5,
    fold: int = 0,
    split_seed: int = 0,
) -> Dataset:
    """Return the rows of a CSV. Several target columns give multilabel classification.

    Unsupervised models need no target. If there is one, it selects normal classes and colors plots of codes.

    Args:
        ``path``: CSV file
        ``target``: target column: its name or position (-1: the last); a list of columns for multilabel classification
        ``test``: separate test file; null: one of the folds
        ``drop_columns``: columns to leave out
        ``categorical_columns``: numeric columns to read as categories
        ``numeric_columns``: columns to read as numbers in any case, such as codes with leading zeros
        ``positive_class``: positive class in binary classification; null: the rarer class
        ``delimiter``: character between cells; null: inferred
        ``quoting``: auto, minimal (quotation marks enclose cells) or none (they are ordinary characters)
        ``header``: whether the first line has the column names; null: inferred
        ``decimal``: decimal mark of all numbers, . or ,; null: inferred for each column
        ``thousands``: thousands separator, '' for none; null: inferred for each column
        ``missing``: additional markers of missing values; -, NA, n/a and similar ones are recognized

    Raises:
        ZooError: if the file is not a table or cannot be used for training. The message says where and how to fix it.
    """
    if path is None:
        raise ZooError("data.path: must name the CSV file, for example data.path=prices.csv")
    cells = read_csv(Path(path), Dialect(delimiter, quoting, header))
    chosen: Any = target if isinstance(target, Sequence) and not isinstance(target, str) else [target]
    if target is None and task in registry.unsupervised_tasks():
        chosen = []
    targets = [column_named(cells, one, "data.target") for one in chosen]
    used = (*targets, *categorical_columns, *numeric_columns)
    index = [name for name in cells.nameless if name not in used and _is_index(cells, name)]
    if index:
        print_note(f"{path}: left out {', '.join(index)}, an unnamed index column")
    cells = replace(cells, cells=cells.cells.drop(columns=index))
    options = FrameOptions(
        targets,
        task=task,
        categorical_columns=tuple(categorical_columns),
        drop_columns=tuple(name for name in drop_columns if name not in index),
        positive_class=positive_class,
        numeric_columns=tuple(numeric_columns),
        decimal=decimal,
        thousands=thousands,
        reading=TableReading(cells.delimiter, cells.quoting, cells.header, missing=_marks(missing)),
    )
    test_cells = None
    if test is not None:
        known = [name for name in cells.cells.columns if name not in drop_columns] if cells.header else ()
        test_cells = read_csv(Path(test), Dialect(delimiter or cells.delimiter, quoting, cells.header), known=known)
    dataset = frame_dataset("csv", cells, options, Splits(folds, fold, split_seed), test=test_cells)
    print_progress(describe(cells, cast(TableSpec, dataset.spec), targets))
    return dataset


def _marks(missing: Sequence[str | float | None] | str | float) -> tuple[str, ...]:
    """Return data.missing as texts. An unquoted null becomes "null"."""
    marks = [missing] if isinstance(missing, (str, float, int)) else missing
    return tuple("null" if mark is None else as_text(mark) for mark in marks)


def _is_index(table: Table, name: str) -> bool:
    """Return whether an unnamed column is an index: a unique or counting first column, or an empty column."""
    cells = table.cells[name]
    numbers = pd.to_numeric(cells, errors="coerce")
    counted = cells.is_unique or bool((numbers == numbers.round()).all())
    return (name == table.cells.columns[0] and counted) or bool(cells.isna().all())


@register_data("adult", tasks=("classification",), modality="table")
def adult(*, root: str | None = None, split_seed: int = 0) -> Dataset:
    """Return the Adult census dataset: 48,842 people with 14 features. Target: income over $50,000 a year.

    The test set is the official third of the rows.
    """
    parts = []
    for file, text in fetch("adult", root_folder(root) / "tabular").items():
        skipped = int(file == "adult.test")  # the first line is a comment
        options: dict[str, Any] = {"header": None, "names": ADULT_COLUMNS, "skipinitialspace": True}
        frame = pd.read_csv(io.BytesIO(text), na_values="?", skiprows=skipped, **options)
        frame["income"] = frame["income"].str.rstrip(".")
        parts.append(Table.of_frame(file, frame))
    splits = Splits(split_seed=split_seed)
    return frame_dataset("adult", parts[0], FrameOptions(["income"]), splits, test=parts[1])


@register_data("california_housing", tasks=("regression",), modality="table")
def california_housing(*, root: str | None = None, folds: int = 5, fold: int = 0, split_seed: int = 0) -> Dataset:
    """Return the California housing dataset: 20,640 districts with 9 features. Target: median house value.

    One feature is text, and 207 cells are missing.
    """
    ((file, content),) = fetch("california_housing", root_folder(root) / "tabular").items()
    rows_of_file = Table.of_frame(file, pd.read_csv(io.BytesIO(content)), first=2)
    options = FrameOptions(["median_house_value"], task="regression")
    splits = Splits(folds, fold, split_seed)
    return frame_dataset("california_housing", rows_of_file, options, splits)
