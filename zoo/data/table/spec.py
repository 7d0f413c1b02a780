"""Tables: what a data set of rows and columns says of itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from zoo.data.spec import DataSpec


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
    (see ``zoo.data.table.numbers``), ``target_format`` that of a target. ``offsets`` are subtracted from the columns
    in float64, so that large numbers keep their small differences in float32; without any, columns are in their own
    units. Tables that differ in their files alone are equal.
    """

    target: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    formats: tuple[tuple[str, ...], ...] = ()
    target_format: tuple[str, ...] = ()
    offsets: tuple[float, ...] = ()


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
