"""Time series: a CSV with a time column, its past to read and its future to predict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from zoo.config.schema import check_choice, check_number
from zoo.data.dataset import Card, Dataset, Windows
from zoo.data.download import fetch, read_checked, root_folder
from zoo.data.series.anomaly_windows import marked
from zoo.data.series.calendar import season_of
from zoo.data.series.regular_grid import open_series, read_series, source_of, with_options, without_index
from zoo.data.series.spec import SeriesReading, SeriesSpec
from zoo.data.table.csv_file import column_named
from zoo.data.table.read import as_text
from zoo.exceptions import ZooError
from zoo.registry import register_data

CO2 = Card(
    source="statsmodels.datasets.co2, weekly carbon dioxide over Mauna Loa, 1958 to 2001",
    licence="public domain",
    citation="Keeling, Whorf: Atmospheric CO2 records from sites in the SIO air sampling network, 2004",
)
ETT = Card(
    source="https://github.com/zhouhaoyi/ETDataset",
    licence="CC BY-ND 4.0",
    citation="Zhou et al.: Informer, AAAI 2021",
    md5={"ETTh1.csv": "8381763947c85f4be6ac456c508460d6"},
)
MOST_ROUNDING = 100  # steps of float32 that a column must vary by
HOURS, WEEKS = ("seconds", 3600.0), ("seconds", 604_800.0)


@register_data("series", tasks=("forecasting",), modality="series")
def series(
    *,
    path: str | None = None,
    time: str | int | Sequence[str] | None = None,
    dayfirst: bool | None = None,
    columns: Sequence[str] | None = None,
    targets: Sequence[str] | None = None,
    past: int = 104,
    horizon: int = 26,
    val: float = 0.1,
    test: float = 0.2,
    fill: str | None = None,
    season: int | None = None,
    anomalies: str | None = None,
    delimiter: str | None = None,
    header: bool | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
    missing: Sequence[str | float] = (),
) -> Dataset:
    """Return a CSV's numbers over time; null: weekly carbon dioxide over Mauna Loa, as bundled with statsmodels.

    ``past`` steps of ``columns`` are read (null: all) and the next ``horizon`` steps of ``targets`` predicted (null: of
    what is read). The last share ``test`` of the rows is test, ``val`` before it validation; each window whose future
    lies in a part counts. ``time`` names the column of times, or those of date and time of day (null: found out), which
    must rise by even steps of a calendar, unless ``fill`` fills gaps: linear, or with the last value. ``dayfirst`` says
    that 01/02/2020 is the first of February (null: what makes the steps even). ``season`` is how many steps lie between
    alike ones, for the naive forecast beside the result (null: found out). ``anomalies`` is a file of stretches in
    which something was wrong (see ``zoo.data.series.anomaly_windows``), for models that find such windows. ``decimal``
    and ``thousands`` are the marks of all numbers (null: found out column by column), ``missing`` texts or numbers
    that stand for a missing value beside the usual marks.

    Raises:
        ZooError: gaps, duplicates or text, a past or horizon longer than a part allows, an unknown column.
    """
    if path is None:
        if anomalies is not None:
            raise ZooError("data.anomalies: tells of a series of your own; name it by data.path=")
        reading = SeriesReading(step=WEEKS, fill="linear")
        recorded = Recorded("series", "carbon dioxide", _co2(), ["co2"], [0], season=52, reading=reading)
        return cut_series(recorded, past=past, horizon=horizon, val=val, test=test, card=CO2)
    marks = [missing] if isinstance(missing, (str, float, int)) else missing
    reading = SeriesReading(delimiter=delimiter, header=header, missing=tuple(map(as_text, marks)))
    table = open_series(Path(path), reading)
    reading = replace(reading, delimiter=table.delimiter, header=table.header)
    reading = with_options(reading, table, time=time, dayfirst=dayfirst, fill=fill)
    read = [column_named(table, name, "data.columns") for name in columns] if columns else None
    aimed = [column_named(table, name, "data.targets") for name in targets] if targets else None
    if read is not None and aimed is not None:
        read += [name for name in aimed if name not in read]
    if read is None:
        table = without_index(table, keep=[*reading.time, *(aimed or ())])
    found = read_series(source_of(table), read, reading, decimal=decimal, thousands=thousands)
    places = [found.columns.index(name) for name in aimed or found.columns]
    odd = None if anomalies is None else marked(Path(anomalies), Path(path), found.grid.times, found.times)
    recorded = Recorded(
        Path(path).stem,
        str(path),
        found.values,
        found.columns,
        places,
        season=season or season_of(found.grid.calendar.step),
        odd=odd,
        reading=found.reading,
    )
    return cut_series(recorded, past=past, horizon=horizon, val=val, test=test)


@register_data("etth1", tasks=("forecasting",), modality="series")
def etth1(
    *, root: str | None = None, targets: Sequence[str] | None = None, past: int = 96, horizon: int = 96
) -> Dataset:
    """Return seven hourly columns of an electricity transformer, split as is customary: 8,640, 2,880 and 2,880 rows."""
    folder = root_folder(root) / "ett"
    address = "https://raw.githubusercontent.com/zhouhaoyi/ETDataset/main/ETT-small/ETTh1.csv"
    fetch("etth1", folder, {"ETTh1.csv": [address]}, ETT.md5)
    read_checked(folder / "ETTh1.csv", ETT.md5["ETTh1.csv"])
    frame = pd.read_csv(folder / "ETTh1.csv").drop(columns="date").iloc[:14_400]
    names = list(frame.columns)
    wanted = list(targets or names)
    for name in wanted:
        check_choice("data.targets", name, tuple(names))
    reading = SeriesReading(time=("date",), time_format="ymd", step=HOURS)
    places = [names.index(name) for name in wanted]
    recorded = Recorded("etth1", "ETTh1", frame.to_numpy(float), names, places, season=24, reading=reading)
    return cut_series(recorded, past=past, horizon=horizon, val=0.2, test=0.2, card=ETT)


def _co2() -> np.ndarray:
    from statsmodels.datasets import co2

    return co2.load_pandas().data["co2"].interpolate().to_numpy(float)[:, None]  # 59 weeks of 2,284 are missing


@dataclass(frozen=True)
class Recorded:
    """Numbers at even steps of time: ``values`` (N, columns), which columns are forecast, and how long a season is.

    ``where`` is what errors call it, ``reading`` how it was read; ``odd`` (N,) are the rows that are anomalies, where
    that is known.
    """

    name: str
    where: str
    values: np.ndarray
    columns: Sequence[str]
    targets: list[int]
    season: int
    odd: np.ndarray | None = None
    reading: SeriesReading = field(default_factory=SeriesReading)


def cut_series(
    recorded: Recorded, *, past: int, horizon: int, val: float, test: float, card: Card | None = None
) -> Dataset:
    """Return the windows by time, ``val`` and ``test`` being shares of the rows; statistics are of the training rows.

    Raises:
        ZooError: a part is too short for ``past`` and ``horizon``.
    """
    check_number("data.past", past, low=1, integer=True)
    check_number("data.horizon", horizon, low=1, integer=True)
    check_number("data.val", val, above=0, below=1)
    check_number("data.test", test, above=0, below=1)
    check_number("data.season", recorded.season, low=1, integer=True)
    values, where, targets = recorded.values, recorded.where, recorded.targets
    count = len(values)
    first_test = count - round(count * test)
    first_val = first_test - round(count * val)
    for part, rows in (("validation", first_test - first_val), ("test", count - first_test)):
        if rows < horizon:
            raise ZooError(f"{where}: data.horizon={horizon} is longer than its {rows} rows of {part}; shorten it")
    if first_val < past + horizon:
        raise ZooError(
            f"{where}: {first_val} rows to train on hold no window of data.past={past} and horizon={horizon}"
        )
    seen = values[:first_val]
    _check_precision(recorded, seen)
    base = torch.from_numpy(values.astype(np.float32))
    spec = SeriesSpec(
        name=recorded.name,
        task="forecasting",
        input_shape=(past, len(recorded.columns)),
        target_shape=(horizon, len(targets)),
        columns=tuple(map(str, recorded.columns)),
        targets=tuple(targets),
        mean=tuple(map(float, seen.mean(0))),
        std=tuple(float(s) or 1.0 for s in seen.std(0)),
        seasonal_period=recorded.season,
        rows=first_val,
        reading=recorded.reading,
    )
    bounds = [(0, first_val), (first_val - past, first_test), (first_test - past, count)]
    parts = [_windows(base[low:high], targets, past, horizon) for low, high in bounds]
    if recorded.odd is not None:
        odd = torch.from_numpy(recorded.odd)
        for part, (low, high) in zip(parts, bounds, strict=True):
            part["odd"] = Windows(odd[low:high], past, drop=horizon)
    return Dataset(spec, *parts, card)


def _check_precision(recorded: Recorded, seen: np.ndarray) -> None:
    """Raise ZooError where float32 would round away what a column differs by."""
    largest = np.abs(seen).max(0)
    for name, high, deviation in zip(recorded.columns, largest, seen.std(0), strict=True):
        if 0 < deviation < MOST_ROUNDING * high * np.finfo(np.float32).eps:
            said = f"varies by {deviation:.3g} around {high:.3g}, too little for float32; subtract a constant from it"
            raise ZooError(f"{recorded.where}, column {name!r}: {said}")


def _windows(base: torch.Tensor, targets: list[int], past: int, horizon: int) -> dict[str, Windows]:
    future = base[:, targets] if targets != list(range(base.shape[1])) else base
    return {"x": Windows(base, past, drop=horizon), "y": Windows(future, horizon, first=past)}
