"""Time series: a CSV with a time column, its past to read and its future to predict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from zoo.data.csvfile import Table, column_named, read_csv
from zoo.data.dataset import Card, Dataset, Windows
from zoo.data.files import fetch, read_checked, root_folder
from zoo.data.spans import marked
from zoo.errors import ZooError
from zoo.inputs.table import as_numbers
from zoo.options import check_choice, check_number
from zoo.registry import register_data
from zoo.spec import DataSpec

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
FILLS = ("linear", "last")
# Steps between alike ones, by how long one step is: a day of hours, a week of days, a year of weeks, months, quarters
SEASONS = {"hours": 24, "days": 7, "weeks": 52, "months": 12, "quarters": 4}


@register_data("series", tasks=("forecasting",), kind="series")
def series(
    *,
    path: str | None = None,
    time: str | int | None = None,
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
) -> Dataset:
    """Return a CSV's numbers over time; null: weekly carbon dioxide over Mauna Loa, as bundled with statsmodels.

    ``past`` steps of ``columns`` are read (null: all) and the next ``horizon`` steps of ``targets`` predicted (null: of
    what is read). The last share ``test`` of the rows is test, ``val`` before it validation; each window whose future
    lies in a part counts. ``time`` names the column of times (null: found out), which must rise evenly, unless ``fill``
    fills gaps: linear, or with the last value. ``season`` is how many steps lie between alike ones, for the naive
    forecast beside the result (null: found out). ``anomalies`` is a file of stretches in which something was wrong
    (see ``zoo.data.spans``), for models that find such windows.

    Raises:
        ZooError: gaps, duplicates or text, a past or horizon longer than a part allows, an unknown column.
    """
    if path is None:
        if anomalies is not None:
            raise ZooError("data.anomalies: tells of a series of your own; name it by data.path=")
        recorded = Recorded("series", "carbon dioxide", _co2(), ["co2"], [0], season=52)
        return cut_series(recorded, past=past, horizon=horizon, val=val, test=test, card=CO2)
    if fill is not None:
        check_choice("data.fill", fill, FILLS)
    table = read_csv(Path(path), delimiter=delimiter, header=header)
    times, clock = read_times(table, time)
    others = [name for name in table.cells.columns if name != clock]
    read = [column_named(table, name, "data.columns") for name in columns] if columns else others
    wanted = [column_named(table, name, "data.targets") for name in targets] if targets else read
    read += [name for name in wanted if name not in read]
    where = {name: _place(table, name) for name in read}
    values = np.stack([as_numbers(table.cells[name], where[name]) for name in read], 1)
    values, whole_times, step = evenly(table, times, clock, values, fill)
    _check_missing(table, read, values, fill)
    whole = pd.DataFrame(values)
    whole = whole.interpolate(limit_direction="both") if fill == "linear" else whole.ffill().bfill()
    found = season or SEASONS.get(step, 1)
    targeted = [read.index(name) for name in wanted]
    odd = None if anomalies is None else marked(Path(anomalies), Path(path), whole_times)
    recorded = Recorded(Path(path).stem, str(path), whole.to_numpy(), read, targeted, season=found, odd=odd)
    return cut_series(recorded, past=past, horizon=horizon, val=val, test=test)


@register_data("etth1", tasks=("forecasting",), kind="series")
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
    recorded = Recorded("etth1", "ETTh1", frame.to_numpy(float), names, [names.index(n) for n in wanted], season=24)
    return cut_series(recorded, past=past, horizon=horizon, val=0.2, test=0.2, card=ETT)


def _co2() -> np.ndarray:
    from statsmodels.datasets import co2

    return co2.load_pandas().data["co2"].interpolate().to_numpy(float)[:, None]  # 59 weeks of 2,284 are missing


@dataclass(frozen=True)
class Recorded:
    """Numbers at even steps of time: ``values`` (N, columns), which columns are forecast, and how long a season is.

    ``where`` is what errors call it; ``odd`` (N,) are the rows that are anomalies, where that is known.
    """

    name: str
    where: str
    values: np.ndarray
    columns: Sequence[str]
    targets: list[int]
    season: int
    odd: np.ndarray | None = None


def cut_series(
    recorded: Recorded, *, past: int, horizon: int, val: float, test: float, card: Card | None = None
) -> Dataset:
    """Return the windows by time, ``val`` and ``test`` being shares of the rows; statistics are of the training rows.

    Raises:
        ZooError: a part is too short for ``past`` and ``horizon``.
    """
    check_number("data.past", past, low=1, whole=True)
    check_number("data.horizon", horizon, low=1, whole=True)
    check_number("data.val", val, above=0, below=1)
    check_number("data.test", test, above=0, below=1)
    check_number("data.season", recorded.season, low=1, whole=True)
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
    base = torch.from_numpy(values.astype(np.float32))
    spec = DataSpec(
        name=recorded.name,
        kind="series",
        task="forecasting",
        input_shape=(past, len(recorded.columns)),
        target_shape=(horizon, len(targets)),
        columns=tuple(map(str, recorded.columns)),
        targets=tuple(targets),
        mean=tuple(map(float, seen.mean(0))),
        std=tuple(float(s) or 1.0 for s in seen.std(0)),
        season=recorded.season,
        rows=first_val,
    )
    bounds = [(0, first_val), (first_val - past, first_test), (first_test - past, count)]
    parts = [_windows(base[low:high], targets, past, horizon) for low, high in bounds]
    if recorded.odd is not None:
        odd = torch.from_numpy(recorded.odd)
        for part, (low, high) in zip(parts, bounds, strict=True):
            part["odd"] = Windows(odd[low:high], past, drop=horizon)
    return Dataset(spec, *parts, card)


def _windows(base: torch.Tensor, targets: list[int], past: int, horizon: int) -> dict[str, Windows]:
    future = base[:, targets] if targets != list(range(base.shape[1])) else base
    return {"x": Windows(base, past, drop=horizon), "y": Windows(future, horizon, first=past)}


def read_times(table: Table, asked: str | int | None) -> tuple[pd.Series, str]:
    """Return a table's times, as dates or numbers, and the name of their column.

    Raises:
        ZooError: none of the columns holds times, or one of them is not a time.
    """
    names = [column_named(table, asked, "data.time")] if asked is not None else list(table.cells.columns)
    for name in names:
        cells = table.cells[name]
        if asked is None and pd.to_numeric(cells, errors="coerce").notna().all():
            continue  # a column of numbers is a time only where it is said to be
        if pd.to_numeric(cells, errors="coerce").notna().all():
            return pd.to_numeric(cells), name
        times = pd.to_datetime(cells, errors="coerce", format="mixed")
        if times.notna().all() or (asked is not None and times.notna().any()) or times.notna().mean() > 0.9:
            bad = np.flatnonzero(times.isna())
            if len(bad):
                said = f"{table.path}, line {table.lines[bad[0]]}, column {name!r}: {str(cells.iloc[bad[0]])[:40]!r}"
                raise ZooError(f"{said} is no time; mend or delete the line")
            return times, name
    raise ZooError(
        f"{table.path}: no column holds times (columns: {', '.join(map(str, names[:20]))}); name it by data.time="
    )


def evenly(
    table: Table, times: pd.Series, clock: str, values: np.ndarray, fill: str | None
) -> tuple[np.ndarray, np.ndarray, str | None]:
    """Return values at even times, NaN where there was a gap, the times, and how long a step is, where it has a name.

    Raises:
        ZooError: times that come twice, run backwards, or leave a gap that ``fill`` does not fill.
    """
    place = [f"{table.path}, line {line}, column {clock!r}" for line in table.lines]
    order = np.argsort(times.to_numpy(), kind="stable")
    if (order != np.arange(len(order))).any():
        back = int(np.flatnonzero(np.diff(times.to_numpy()) < np.diff(times.to_numpy())[:1] * 0)[0]) + 1
        raise ZooError(f"{place[back]}: {table.cells[clock].iloc[back]} comes before the line above; sort the rows")
    double = np.flatnonzero(times.duplicated())
    if len(double):
        raise ZooError(
            f"{place[double[0]]}: {table.cells[clock].iloc[double[0]]} is there twice; keep one line of each"
        )
    whole, step = _grid(times)
    missing = ~np.isin(whole, times.to_numpy())
    strays = ~np.isin(times.to_numpy(), whole)
    if not missing.any() and not strays.any():
        return values, whole, step
    if strays.any() or fill is None:
        after = int(np.flatnonzero(np.diff(times.to_numpy()) != np.diff(whole[:2]))[0]) if step != "months" else 0
        after = int(np.flatnonzero(missing)[0]) - 1 if missing.any() else after
        shown = table.cells[clock].iloc[min(after, len(times) - 1)]
        said = f"{place[min(after, len(times) - 1)]}: after {shown} the steps are not even"
        raise ZooError(f"{said} ({missing.sum()} are missing); fill the gaps, or have data.fill=linear or last do it")
    at = np.searchsorted(whole, times.to_numpy())
    even = np.full((len(whole), values.shape[1]), np.nan)
    even[at] = values
    return even, whole, step


def _grid(times: pd.Series) -> tuple[np.ndarray, str | None]:
    """Return all times from the first to the last, by the step that is most frequent, and what that step is called."""
    raw = times.to_numpy()
    if len(raw) < 3:
        return raw, None
    if not np.issubdtype(raw.dtype, np.datetime64):
        step = pd.Series(np.diff(raw)).mode()[0]
        return raw[0] + step * np.arange(round((raw[-1] - raw[0]) / step) + 1), None
    days = times.dt.day
    months = (times.dt.year * 12 + times.dt.month).diff().dropna()
    if (
        (days == days.iloc[0]).all()
        and months.mode()[0] in (1, 3, 12)
        and (times.diff().dropna() > pd.Timedelta("27D")).all()
    ):
        by = int(months.mode()[0])
        grid = pd.date_range(raw[0], periods=int(months.sum()) // by + 1, freq=pd.DateOffset(months=by))
        return grid.to_numpy(raw.dtype), {1: "months", 3: "quarters", 12: "years"}[by]
    step = times.diff().mode()[0]
    names = {pd.Timedelta("1h"): "hours", pd.Timedelta("1D"): "days", pd.Timedelta("7D"): "weeks"}
    grid = pd.date_range(raw[0], raw[-1], freq=step)
    return grid.to_numpy(raw.dtype), names.get(step)


def times_after(times: np.ndarray, step: str | None, count: int) -> list[str]:
    """Return the ``count`` times after even ``times``, as text; ``step`` as ``evenly`` returns it."""
    if not np.issubdtype(times.dtype, np.datetime64):
        each = times[-1] - times[-2]
        return [f"{times[-1] + each * (number + 1):g}" for number in range(count)]
    months = {"months": 1, "quarters": 3, "years": 12}.get(step or "")
    by = pd.DateOffset(months=months) if months else pd.Timedelta(times[-1] - times[-2])
    found = pd.date_range(times[-1], periods=count + 1, freq=by)[1:]
    whole = (found.normalize() == found).all()
    return [str(time.date()) if whole else str(time) for time in found]


def _place(table: Table, name: str):  # type: ignore[no-untyped-def]
    return lambda row: f"{table.path}, line {table.lines[row]}, column {name!r}"


def _check_missing(table: Table, names: Sequence[str], values: np.ndarray, fill: str | None) -> None:
    rows, columns = np.nonzero(np.isnan(values))
    if len(rows) and fill is None:
        line = table.lines[min(rows[0], len(table.lines) - 1)]
        raise ZooError(
            f"{table.path}, line {line}, column {names[columns[0]]!r}: is empty ({len(rows)} values are missing); fill "
            f"them, or have data.fill=linear or last do it"
        )
    for number, name in enumerate(names):
        if np.isnan(values[:, number]).all():
            raise ZooError(f"{table.path}: column {name!r} is empty; leave it out by data.columns=")
