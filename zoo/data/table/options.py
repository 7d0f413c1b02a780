"""How a frame's columns are to be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from zoo.data.table.spec import TableReading
from zoo.exceptions import ZooError


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

    @property
    def missing(self) -> tuple[str, ...]:
        """Texts that stand for a missing value, beside the usual marks."""
        return self.reading.missing
