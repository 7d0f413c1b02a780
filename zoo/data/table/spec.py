"""Specs and options of tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from zoo.data.spec import DataSpec
from zoo.exceptions import ZooError


@dataclass(frozen=True)
class Dialect:
    """``delimiter``, ``quoting`` and ``header`` of a CSV, as in the training file (None: infer)."""

    delimiter: str | None = field(default=None, compare=False)
    quoting: str | None = field(default=None, compare=False)
    header: bool | None = field(default=None, compare=False)


@dataclass(frozen=True)
class TableReading(Dialect):
    """How a table is parsed.

    ``target`` names the target columns of training. ``missing`` are additional markers of missing values. ``formats``
    has the number format of each column (see ``zoo.data.table.cells``), and ``target_format`` that of the target.

    ``offsets`` are subtracted from the columns in float64, so that float32 keeps small differences between large
    numbers. Without offsets, columns are in their original units. Equality ignores the dialect of the file.
    """

    target: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    formats: tuple[tuple[str, ...], ...] = ()
    target_format: tuple[str, ...] = ()
    offsets: tuple[float, ...] = ()


@dataclass(frozen=True)
class FrameOptions:
    """Options for the conversion of a data frame to a dataset.

    A ``task`` of None is inferred. ``categorical_columns`` are numeric columns to read as categories, and
    ``numeric_columns`` are always numbers. Unsupervised tasks need no ``target``. ``decimal`` and ``thousands``
    override the number format of all columns. ``reading`` is how the file was parsed.
    """

    target: Sequence[str]
    task: str | None = None
    categorical_columns: Sequence[str] = ()
    drop_columns: Sequence[str] = ()
    positive_class: str | None = None
    numeric_columns: Sequence[str] = ()
    decimal: str | None = None
    thousands: str | None = None
    reading: TableReading = field(default_factory=TableReading)

    def __post_init__(self) -> None:
        if self.decimal not in (None, ".", ","):
            raise ZooError(f"data.decimal={self.decimal!r}: must be . or ,")
        if self.thousands not in (None, "", ".", ",", " ", "'", "_"):
            raise ZooError(f"data.thousands={self.thousands!r}: must be . , ' _ a space, or '' for none")
        if self.decimal is not None and self.decimal == self.thousands:
            raise ZooError(f"data.thousands={self.thousands!r}: must differ from data.decimal")


@dataclass(frozen=True)
class TableSpec(DataSpec):
    """Rows of a table. ``input_shape`` is (columns,), with numbers in original units.

    ``categories`` has the known texts of each text column, and an empty tuple for each numeric column. In x, they are
    codes from 1 (0: unknown or missing). ``impute_values`` replace missing numbers in x. Each of the
    ``missing_indicators`` columns adds a column at the end of x, which is 1 for missing values.

    ``bin_edges`` has at most 65 increasing quantiles of the training rows for each numeric column, and an empty tuple
    for other columns.
    """

    modality: ClassVar[str] = "table"
    tabular: ClassVar[bool] = True

    columns: tuple[str, ...] = ()
    categories: tuple[tuple[str, ...], ...] = ()
    impute_values: tuple[float, ...] = ()
    missing_indicators: tuple[str, ...] = ()
    bin_edges: tuple[tuple[float, ...], ...] = ()
    reading: TableReading = TableReading()

    @property
    def encoded_size(self) -> int:
        """Number of values in one row after one-hot encoding."""
        return self.inputs + sum(len(categories) - 1 for categories in self.categories if categories)
