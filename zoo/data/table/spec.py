"""Tables: what a data set of rows and columns says of itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from zoo.data.spec import DataSpec
from zoo.exceptions import ZooError


@dataclass(frozen=True)
class Dialect:
    """The ``delimiter``, ``quoting`` and ``header`` of a CSV as training's file had them (None: look at the file)."""

    delimiter: str | None = field(default=None, compare=False)
    quoting: str | None = field(default=None, compare=False)
    header: bool | None = field(default=None, compare=False)


@dataclass(frozen=True)
class TableReading(Dialect):
    """How a table is read.

    ``target`` names the columns that training learned. ``missing`` are texts and numbers that stand for a missing
    value, beside the usual marks. ``formats`` has for each column how its numbers are written
    (see ``zoo.data.table.cells``), ``target_format`` that of a target. ``offsets`` are subtracted from the columns
    in float64, so that large numbers keep their small differences in float32; without any, columns are in their own
    units. Tables that differ in their files alone are equal.
    """

    target: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    formats: tuple[tuple[str, ...], ...] = ()
    target_format: tuple[str, ...] = ()
    offsets: tuple[float, ...] = ()


@dataclass(frozen=True)
class FrameOptions:
    """How a frame is read: ``task`` None is inferred, ``categorical_columns`` are columns of numbers that stand for
    categories, ``numeric_columns`` such that are numbers in any case.

    Where a task needs no labels, there may be no ``target``. ``decimal`` and ``thousands`` force how all columns'
    numbers are written; ``reading`` is how the frame's file was read.
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
            raise ZooError(f"data.thousands={self.thousands!r}: must be . , ' _ a blank, or '' for none")
        if self.decimal is not None and self.decimal == self.thousands:
            raise ZooError(f"data.thousands={self.thousands!r}: is data.decimal too")


@dataclass(frozen=True)
class TableSpec(DataSpec):
    """Rows of a table: ``input_shape`` is (columns,), numbers in their own units.

    ``categories`` has for each of ``columns`` the texts that it may hold, numbered from 1 in x (0: another text, or
    none), and nothing for a column of numbers. ``impute_values`` stand in x where a number is missing; for each of
    the columns ``missing_indicators`` a further column of x, at the end, is 1 there. ``bin_edges`` are at most 65 of
    the training rows' values, from the smallest to the largest, between which a column of numbers falls into bins;
    nothing for others.
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
        """Numbers in one row once its categories are one-hot."""
        return self.inputs + sum(len(categories) - 1 for categories in self.categories if categories)
