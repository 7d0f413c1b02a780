"""How raw data becomes numbers: one small dataclass per modality, kept with the model.

Training fills these in from the options and the files; prediction, evaluation, the server and the demo read new data
by them. Knows no torch.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class ImageReading:
    """How image files and arrays are read: ``resize_mode`` crop or resize brings them to the model's size.

    ``labels`` are the values in an archive of arrays that stand for the classes, in their order, where these have other
    names. ``integer_range`` and ``float_range`` are the values that became black and white in training's files of more
    than 8 bits, of whole numbers and of floats (see ``zoo.data.image.bit_depth``); None where training had no such
    files.
    """

    resize_mode: str = "crop"
    labels: tuple[str, ...] = ()
    integer_range: tuple[float, float] | None = None
    float_range: tuple[float, float] | None = None


@dataclass(frozen=True)
class TableReading:
    """How a table is read: ``delimiter``, ``quoting`` and ``header`` as training's file had them (None: look at it).

    ``target`` names the columns that training learned. ``missing`` are texts and numbers that stand for a missing
    value, beside the usual marks. ``formats`` has for each column how its numbers are written
    (see ``zoo.data.table.numbers``), ``target_format`` that of a target. ``offsets`` are subtracted from the columns
    in float64, so that large numbers keep their small differences in float32; without any, columns are in their own
    units. Tables that differ in their files alone are equal.
    """

    delimiter: str | None = field(default=None, compare=False)
    quoting: str | None = field(default=None, compare=False)
    header: bool | None = field(default=None, compare=False)
    target: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    formats: tuple[tuple[str, ...], ...] = ()
    target_format: tuple[str, ...] = ()
    offsets: tuple[float, ...] = ()


@dataclass(frozen=True)
class TextReading:
    """How texts are read from files: ``text_column`` and ``target`` of a table, ``""`` where there is no table.

    ``delimiter``, ``quoting`` and ``header`` are those of training's file (None: look at the file).
    """

    text_column: str = ""
    target: str = ""
    delimiter: str | None = field(default=None, compare=False)
    quoting: str | None = field(default=None, compare=False)
    header: bool | None = field(default=None, compare=False)


@dataclass(frozen=True)
class SeriesReading:
    """How a time series' file is read; what is empty is found out from the file.

    ``time`` names the column of times, or those that are parts of one (a date and a time of day). ``time_format``
    says how times are written and ``time_zone`` how offsets count (see ``zoo.data.series.times``); ``step`` is the
    calendar's (see ``zoo.data.series.calendar``). ``formats`` has for each column how its numbers are written (see
    ``zoo.data.table.numbers``), ``missing`` what stands for a missing value beside the usual marks. ``fill`` linear or
    last fills gaps, None rejects them.
    """

    time: tuple[str, ...] = ()
    time_format: str = ""
    time_zone: str = ""
    step: tuple[str | int | float, ...] = ()
    formats: tuple[tuple[str, ...], ...] = ()
    missing: tuple[str, ...] = ()
    fill: str | None = None
    delimiter: str | None = field(default=None, compare=False)
    header: bool | None = field(default=None, compare=False)


@dataclass(frozen=True)
class SequenceReading:
    """How sequences are read: ``frames`` is log_mel for recordings, ``""`` for arrays of numbers.

    ``normalize`` is recording where each recording's own level is taken off (see ``zoo.data.sequence.audio.levelled``).
    """

    frames: str = ""
    normalize: str = "none"


@dataclass(frozen=True)
class EnvironmentReading:
    """How an environment's observations are read.

    Images have their axes in the order ``layout`` (HW, HWC, CHW, or NHWC of N stacked frames) and values up to
    ``scale``; ``""`` stands for HWC where there are three axes, and for vectors.
    """

    layout: str = ""
    scale: float = 1.0


Reading = ImageReading | TableReading | TextReading | SeriesReading | SequenceReading | EnvironmentReading

READINGS: dict[str, type[Reading]] = {
    "image": ImageReading,
    "table": TableReading,
    "text": TextReading,
    "series": SeriesReading,
    "sequence": SequenceReading,
    "discrete": EnvironmentReading,
    "continuous": EnvironmentReading,
}
