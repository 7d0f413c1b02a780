"""Time series: windows by time, gaps and duplicates, naive forecasts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import DATA

import zoo
from zoo.data import load
from zoo.exceptions import ZooError
from zoo.tasks.baselines import baselines


def hourly(rows: int = 400, columns: int = 2) -> pd.DataFrame:
    step = np.arange(rows)
    values = {f"c{n}": 10 * n + np.sin(step * 2 * np.pi / 24 + n) for n in range(columns)}
    return pd.DataFrame({"date": pd.date_range("2024-01-01", periods=rows, freq="h"), **values})


def write_csv(frame: pd.DataFrame, path: Path) -> str:
    frame.to_csv(path, index=False)
    return str(path)


OPTIONS = {"context_length": 24, "prediction_length": 6}


# --- windows ---


def test_windows_belong_to_the_split_of_their_target(tmp_path):
    frame = hourly()
    data = load("series", path=write_csv(frame, tmp_path / "s.csv"), **OPTIONS)
    assert data.sizes == (280 - 24 - 6 + 1, 40 - 6 + 1, 80 - 6 + 1)
    values = frame[["c0", "c1"]].to_numpy()
    for split, first in ((data.val, 280), (data.test, 320)):
        assert torch.allclose(split["y"][0], torch.from_numpy(values[first : first + 6]).float())
        assert torch.allclose(split["x"][0], torch.from_numpy(values[first - 24 : first]).float())
    assert torch.allclose(data.test["y"][74], torch.from_numpy(values[-6:]).float())
    assert data.spec.mean == pytest.approx(values[:280].mean(0))
    assert data.spec.seasonal_period == 24


def test_series_columns_and_targets_are_selected(tmp_path):
    path = write_csv(hourly(columns=3), tmp_path / "s.csv")
    data = load("series", path=path, columns=["c0", "c2"], targets=["c2"], **OPTIONS)
    assert data.spec.columns == ("c0", "c2")
    assert data.spec.targets == (1,)
    x, y = data.train["x"][3], data.train["y"][3]
    assert y.shape == (6, 1)
    assert torch.allclose(data.train["x"][9][-6:, 1:], y)
    assert x.shape == (24, 2)
    with pytest.raises(ZooError, match="did you mean 'c1'"):
        load("series", path=path, targets=["c11"], **OPTIONS)


def damaged(how: str) -> pd.DataFrame:
    frame = hourly().astype({"date": str})
    if how == "gap":
        return frame.drop(index=[50, 51])
    if how == "twice":
        return pd.concat([frame[:50], frame[49:]])
    if how == "backwards":
        return pd.concat([frame[:50], frame[60:], frame[50:60]])
    if how == "text":
        return frame.astype({"c1": object}).assign(c1=lambda f: f.c1.where(f.index != 7, "broken"))
    if how == "empty":
        return frame.assign(c1=frame.c1.where(frame.index != 7))
    if how == "no time":
        return frame.drop(columns="date")
    assert how == "bad time"
    return frame.assign(date=frame.date.where(frame.index != 7, "yesterday"))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("gap", "line 51, column 'date': the steps after 2024-01-03 01:00:00 are irregular .2 are missing."),
        ("twice", "line 52, column 'date': 2024-01-03 01:00:00 occurs twice"),
        ("backwards", "is earlier than the line above; sort the rows"),
        ("text", "line 9, column 'c1': 'broken' is text in a numeric column"),
        ("empty", "line 9, column 'c1': is empty .1 values are missing."),
        ("no time", "no column has times .columns: c0, c1.; set data.time_column="),
        ("bad time", "line 9, column 'date': 'yesterday' is not a time"),
    ],
)
def test_series_rejects_unreadable_files_in_one_line(tmp_path, how, message):
    with pytest.raises(ZooError, match=message) as caught:
        load("series", path=write_csv(damaged(how), tmp_path / "s.csv"), **OPTIONS)
    assert "\n" not in str(caught.value)


def test_fill_method_interpolates_or_repeats(tmp_path):
    path = write_csv(damaged("gap"), tmp_path / "s.csv")
    filled = load("series", path=path, fill_method="linear", **OPTIONS).train["x"].base[:60]
    values = torch.from_numpy(hourly()[["c0", "c1"]].to_numpy()[:60]).float()
    line = values[49] + (values[52] - values[49]) * torch.tensor([[1 / 3], [2 / 3]])
    assert torch.allclose(filled[50:52], line, atol=1e-5)
    assert torch.allclose(filled[52:], values[52:])
    last = load("series", path=path, fill_method="last", **OPTIONS).train["x"].base[50:52]
    assert torch.allclose(last, values[49].expand(2, 2))


def test_prediction_length_above_a_split_is_rejected(tmp_path):
    path = write_csv(hourly(), tmp_path / "s.csv")
    with pytest.raises(ZooError, match="data.prediction_length=50 exceeds the 40 validation rows"):
        load("series", path=path, context_length=24, prediction_length=50)
    with pytest.raises(ZooError, match="280 training rows are too few for a window of data.context_length=300"):
        load("series", path=path, context_length=300, prediction_length=6)


@pytest.mark.parametrize(("freq", "season"), [("h", 24), ("D", 7), ("MS", 12), ("QS", 4), ("7D", 52), ("5min", 1)])
def test_seasonal_period_from_frequency(tmp_path, freq, season):
    frame = hourly()
    frame["date"] = pd.date_range("1990-01-01", periods=len(frame), freq=freq)
    assert load("series", path=write_csv(frame, tmp_path / "s.csv"), **OPTIONS).spec.seasonal_period == season


def test_series_reads_local_files():
    if not (DATA / "tabular").is_dir():
        pytest.skip("the tables are not at hand (ZOO_DATA)")
    for file, rows in (("airline-passengers.csv", 144), ("monthly-sunspots.csv", 2820)):
        data = load("series", path=str(DATA / "tabular" / file), context_length=12, prediction_length=3)
        assert data.spec.seasonal_period == 12
        assert data.spec.rows == rows - round(rows * 0.2) - round(rows * 0.1)


def test_series_default_data_needs_no_file():
    data = load("series")
    assert data.spec.columns == ("co2",)
    assert not torch.isnan(data.train["x"].base).any()


# --- metrics ---


def test_naive_forecasts_equal_their_definitions(tmp_path):
    data = load("series", path=write_csv(hourly(), tmp_path / "s.csv"), **OPTIONS)
    values = hourly()[["c0", "c1"]].to_numpy()
    scale, test = values[:280].std(0), range(320, 320 + 75)
    last = [((values[t - 1] - values[t : t + 6]) / scale) ** 2 for t in test]
    before = [((values[t - 24 : t - 18] - values[t : t + 6]) / scale) ** 2 for t in test]
    measured = baselines(data)
    assert measured["repeat last"]["mse"] == pytest.approx(np.mean(last), rel=1e-3)
    assert measured["seasonal naive"]["mse"] == pytest.approx(np.mean(before), abs=1e-6)
    assert measured["repeat last"]["mse_original"] == pytest.approx(np.mean(last * scale**2), rel=1e-3)


def test_forecast_is_in_original_units(tmp_path):
    frame = hourly()
    path = write_csv(frame, tmp_path / "s.csv")
    options = {
        "data.path": path,
        "data.context_length": 24,
        "data.prediction_length": 6,
        "model_kwargs": {"patch_len": 6},
    }
    run = zoo.train("gru", "series", **options, trainer={"max_epochs": 8})
    assert run.metrics["test/mse"] < 0.1 < run.results["baselines"]["repeat last"]["mse"]
    value = run.model.predict(frame[:30])["value"]
    assert value.shape == (1, 6, 2)
    assert torch.allclose(value[0], torch.from_numpy(frame[["c0", "c1"]].to_numpy()[30:36]).float(), atol=0.5)
    assert {path.stem for path in run.plots} == {"curves", "gradient", "forecasts", "errors"}
    with pytest.raises(ZooError, match="must be .24, 2., the last 24 steps of c0, c1"):
        run.model.predict(frame[:10])
