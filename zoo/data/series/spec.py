"""Specs of time series datasets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from zoo.data.spec import DataSpec


@dataclass(frozen=True)
class SeriesReading:
    """How the file of a time series is parsed. Empty fields are inferred from the file.

    ``time`` names the time column, or columns such as a date and a time of day. ``time_format`` is the format of
    times, and ``time_zone`` the handling of offsets (see ``zoo.data.series.times``). ``step`` is that of the calendar
    (see ``zoo.data.series.calendar``).

    ``formats`` has the number format of each column (see ``zoo.data.table.cells``). ``missing`` are additional markers
    of missing values. ``fill_method`` is linear or last; None makes gaps an error.
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
    """Windows of a time series. ``input_shape`` is (L, C), the last L steps of ``columns``.

    A forecast has the shape ``target_shape`` (H, columns): the next H steps of the columns with the indices
    ``targets``. ``seasonal_period`` is in steps, 1 if unknown.
    """

    modality: ClassVar[str] = "series"

    columns: tuple[str, ...] = ()
    target_shape: tuple[int, ...] = ()
    targets: tuple[int, ...] = ()
    seasonal_period: int = 1
    reading: SeriesReading = SeriesReading()
