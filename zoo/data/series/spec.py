"""Time series: what a data set of one says of itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from zoo.data.spec import DataSpec


@dataclass(frozen=True)
class SeriesReading:
    """How a time series' file is read; what is empty is found out from the file.

    ``time`` names the column of times, or those that are parts of one (a date and a time of day). ``time_format``
    says how times are written and ``time_zone`` how offsets count (see ``zoo.data.series.times``); ``step`` is the
    calendar's (see ``zoo.data.series.calendar``). ``formats`` has for each column how its numbers are written (see
    ``zoo.data.table.cells``), ``missing`` what stands for a missing value beside the usual marks. ``fill_method`` linear or
    last fills gaps, None rejects them.
    """

    time: tuple[str, ...] = ()
    time_format: str = ""
    time_zone: str = ""
    step: tuple[str | int | float, ...] = ()
    formats: tuple[tuple[str, ...], ...] = ()
    missing: tuple[str, ...] = ()
    fill_method: str | None = None
    delimiter: str | None = field(default=None, compare=False)
    header: bool | None = field(default=None, compare=False)


@dataclass(frozen=True)
class SeriesSpec(DataSpec):
    """Windows of a time series: ``input_shape`` is (L, C), the last L steps of ``columns``.

    A forecast is ``target_shape`` (H, columns), of the columns with the numbers ``targets`` over the next H steps;
    ``seasonal_period`` is in steps, 1 where none is known.
    """

    modality: ClassVar[str] = "series"

    columns: tuple[str, ...] = ()
    target_shape: tuple[int, ...] = ()
    targets: tuple[int, ...] = ()
    seasonal_period: int = 1
    reading: SeriesReading = SeriesReading()
