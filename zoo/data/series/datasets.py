"""Time series datasets: CSV files with a time column, split into windows of context and forecast."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from zoo.config.schema import check_choice, check_number
from zoo.data.dataset import Dataset, Values, Windows
from zoo.data.download import fetch, root_folder
from zoo.data.series.calendar import seasonal_period_of
from zoo.data.series.regular_grid import open_series, read_series, with_options, without_index
from zoo.data.series.spec import SeriesReading, SeriesSpec
from zoo.data.series.windows import in_anomaly_windows
from zoo.data.table.cells import column_named
from zoo.data.table.read import as_text
from zoo.exceptions import ZooError
from zoo.registry import register_data

MOST_ROUNDING = 100  # minimum variation of a column, in float32 rounding steps
HOURS, WEEKS = ("seconds", 3600.0), ("seconds", 604_800.0)


@register_data("series", tasks=("forecasting",), modality="series")
def series(
    *,
    path: str | None = None,
    time_column: str | int | Sequence[str] | None = None,
    dayfirst: bool | None = None,
    columns: Sequence[str] | None = None,
    targets: Sequence[str] | None = None,
    context_length: int = 104,
    prediction_length: int = 26,
    val_size: float = 0.1,
    test_size: float = 0.2,
    fill_method: str | None = None,
    seasonal_period: int | None = None,
    anomaly_windows: str | None = None,
    delimiter: str | None = None,
    header: bool | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
    missing: Sequence[str | float] = (),
) -> Dataset:
    """Return a time series as windows of context and forecast.

    Rows are split by time: the last ones are the test set, and those before them validation. Times must increase in
    regular calendar steps. A window belongs to the split of its forecast.

    Args:
        ``path``: CSV with a time column; null: weekly CO₂ at Mauna Loa, included in statsmodels
        ``time_column``: column of times, or [date, time of day]; null: inferred
        ``dayfirst``: true: 01/02/2020 is February 1; null: the order that gives regular steps
        ``columns``: input columns; null: all
        ``targets``: columns to forecast; null: all input columns
        ``context_length``: number of input steps
        ``prediction_length``: number of forecast steps
        ``val_size``: fraction of the rows for validation, before the test rows
        ``test_size``: fraction of the rows for the test, the last ones
        ``fill_method``: how to fill gaps: linear | last; null: gaps are an error
        ``seasonal_period``: number of steps in a season, for the seasonal naive baseline; null: inferred
        ``anomaly_windows``: JSON file with intervals [from, to] of anomalies, for anomaly detection
        ``delimiter``: character between cells; null: inferred
        ``header``: whether the first line has the column names; null: inferred
        ``decimal``: decimal mark of all numbers, . or ,; null: inferred for each column
        ``thousands``: thousands separator, one of . , ' _ space or ''; null: inferred for each column
        ``missing``: additional markers of missing values; -, NA, n/a and similar ones are recognized

    Raises:
        ZooError: if there are gaps, duplicate times or text, a split is shorter than a window, or a column is unknown.
    """
    split = partial(
        split_series,
        context_length=context_length,
        prediction_length=prediction_length,
        val_size=val_size,
        test_size=test_size,
    )
    if path is None:
        if anomaly_windows is not None:
            raise ZooError("data.anomaly_windows: needs your own series; set data.path=")
        reading = SeriesReading(step=WEEKS, fill_method="linear")
        return split("series", "carbon dioxide", _co2(), ["co2"], [0], seasonal_period=52, reading=reading)
    marks = [missing] if isinstance(missing, (str, float, int)) else missing
    reading = SeriesReading(delimiter=delimiter, header=header, missing=tuple(map(as_text, marks)))
    table = open_series(Path(path), reading)
    reading = replace(reading, delimiter=table.delimiter, header=table.header)
    reading = with_options(reading, table, time_column=time_column, dayfirst=dayfirst, fill_method=fill_method)
    inputs = [column_named(table, name, "data.columns") for name in columns] if columns else None
    outputs = [column_named(table, name, "data.targets") for name in targets] if targets else None
    if inputs is not None and outputs is not None:
        inputs += [name for name in outputs if name not in inputs]
    if inputs is None:
        table = without_index(table, keep=[*reading.time, *(outputs or ())])
    even = read_series(table, inputs, reading, decimal=decimal, thousands=thousands)
    anomalous = None
    if anomaly_windows is not None:
        anomalous = in_anomaly_windows(Path(anomaly_windows), Path(path), even.grid.times, even.times)
    return split(
        Path(path).stem,
        str(path),
        even.values,
        even.columns,
        [even.columns.index(name) for name in outputs or even.columns],
        seasonal_period=seasonal_period or seasonal_period_of(even.grid.calendar.step),
        anomalous=anomalous,
        reading=even.reading,
    )


@register_data("etth1", tasks=("forecasting",), modality="series")
def etth1(
    *,
    root: str | None = None,
    targets: Sequence[str] | None = None,
    context_length: int = 96,
    prediction_length: int = 96,
) -> Dataset:
    """Return ETTh1, hourly data of an electricity transformer with seven columns.

    The standard split has 8,640, 2,880 and 2,880 rows.

    Args:
        ``root``: folder of built-in datasets; null: $ZOO_DATA, otherwise data/
        ``targets``: columns to forecast; null: all seven
        ``context_length``: number of input hours
        ``prediction_length``: number of forecast hours
    """
    folder = root_folder(root) / "ett"
    frame = pd.read_csv(io.BytesIO(fetch("etth1", folder)["ETTh1.csv"])).drop(columns="date").iloc[:14_400]
    names = list(frame.columns)
    outputs = list(targets or names)
    for name in outputs:
        check_choice("data.targets", name, tuple(names))
    reading = SeriesReading(time=("date",), time_format="ymd", step=HOURS)
    places = [names.index(name) for name in outputs]
    return split_series(
        "etth1",
        "ETTh1",
        frame.to_numpy(float),
        names,
        places,
        seasonal_period=24,
        reading=reading,
        context_length=context_length,
        prediction_length=prediction_length,
        val_size=0.2,
        test_size=0.2,
    )


def _co2() -> np.ndarray:
    from statsmodels.datasets import co2

    weeks: pd.Series = co2.load_pandas().data["co2"].interpolate()  # 59 weeks of 2,284 are missing
    return np.asarray(weeks, dtype=float)[:, None]


def split_series(
    name: str,
    source: str,
    values: np.ndarray,
    columns: Sequence[str],
    targets: list[int],
    *,
    seasonal_period: int,
    reading: SeriesReading,
    anomalous: np.ndarray | None = None,
    context_length: int,
    prediction_length: int,
    val_size: float,
    test_size: float,
) -> Dataset:
    """Split a series by time and return its windows. Statistics come from the training rows.

    Args:
        ``name``: name of the dataset.
        ``source``: name of the source in errors.
        ``values``: numbers (N, columns) at regular steps, without gaps.
        ``columns``: column names.
        ``targets``: indices of the columns to forecast.
        ``seasonal_period``: steps in a season, 1 if unknown.
        ``reading``: how the file was parsed.
        ``anomalous``: mask (N,) of anomalous rows, if known.
        ``context_length``, ``prediction_length``: steps of context and forecast.
        ``val_size``, ``test_size``: fractions of the rows.

    Raises:
        ZooError: if a split is too short for a window.
    """
    check_number("data.context_length", context_length, low=1, integer=True)
    check_number("data.prediction_length", prediction_length, low=1, integer=True)
    check_number("data.val_size", val_size, above=0, below=1)
    check_number("data.test_size", test_size, above=0, below=1)
    check_number("data.seasonal_period", seasonal_period, low=1, integer=True)
    count = len(values)
    first_test = count - round(count * test_size)
    first_val = first_test - round(count * val_size)
    _check_lengths(source, (first_val, first_test, count), context_length, prediction_length)
    train = values[:first_val]
    _check_precision(source, columns, train)
    base = torch.from_numpy(values.astype(np.float32))
    spec = SeriesSpec(
        name=name,
        task="forecasting",
        input_shape=(context_length, len(columns)),
        target_shape=(prediction_length, len(targets)),
        columns=tuple(map(str, columns)),
        targets=tuple(targets),
        mean=tuple(map(float, train.mean(0))),
        std=tuple(float(s) or 1.0 for s in train.std(0)),
        seasonal_period=seasonal_period,
        rows=first_val,
        reading=reading,
    )
    bounds = [(0, first_val), (first_val - context_length, first_test), (first_test - context_length, count)]
    parts = [_windows(base[low:high], targets, context_length, prediction_length) for low, high in bounds]
    if anomalous is not None:
        for part, (low, high) in zip(parts, bounds, strict=True):
            part["anomalous"] = Windows(torch.from_numpy(anomalous[low:high]), context_length, drop=prediction_length)
    train_split, val_split, test_split = parts
    return Dataset(spec, train_split, val_split, test_split)


def _check_lengths(source: str, ends: tuple[int, int, int], context_length: int, prediction_length: int) -> None:
    """Raise ZooError unless each split, which ends at its row of ``ends``, contains a window."""
    first_val, first_test, count = ends
    for part, rows in (("validation", first_test - first_val), ("test", count - first_test)):
        if rows < prediction_length:
            message = f"data.prediction_length={prediction_length} exceeds the {rows} {part} rows; reduce it"
            raise ZooError(f"{source}: {message}")
    if first_val < context_length + prediction_length:
        lengths = f"data.context_length={context_length} and data.prediction_length={prediction_length}"
        raise ZooError(f"{source}: {first_val} training rows are too few for a window of {lengths}")


def _check_precision(source: str, columns: Sequence[str], train: np.ndarray) -> None:
    """Raise ZooError if float32 would round away the differences within a column."""
    largest = np.abs(train).max(0)
    for name, high, deviation in zip(columns, largest, train.std(0), strict=True):
        if 0 < deviation < MOST_ROUNDING * high * np.finfo(np.float32).eps:
            size = f"varies by {deviation:.3g} around {high:.3g}, too little for float32; subtract a constant"
            raise ZooError(f"{source}, column {name!r}: {size}")


def _windows(base: Tensor, targets: list[int], context_length: int, prediction_length: int) -> dict[str, Values]:
    future = base[:, targets] if targets != list(range(base.shape[1])) else base
    return {
        "x": Windows(base, context_length, drop=prediction_length),
        "y": Windows(future, prediction_length, first=context_length),
    }
