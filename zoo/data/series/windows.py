"""Windows of series for reconstruction, evaluation and anomaly detection."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from zoo.data.dataset import Dataset, Rows, Windows
from zoo.data.labeled import Labeled, chosen_options, left_out_notes
from zoo.data.prepare import with_anomaly_classes
from zoo.data.series.regular_grid import open_series, read_series, with_options
from zoo.data.series.spec import SeriesSpec
from zoo.data.series.times import Times, readings
from zoo.exceptions import ZooError


def in_anomaly_windows(path: Path, series: Path, times: np.ndarray, like: Times) -> np.ndarray:
    """Return the mask (N,) of ``times`` that are in an anomaly interval of a JSON file.

    The file has a list of pairs [from, to], or a mapping from file names to such lists. Times have the format of the
    series, ``like``, or start with the year.

    Raises:
        ZooError: if the file cannot be read, or does not have exactly one entry for this series.
    """
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ZooError(f"data.anomaly_windows={path}: cannot be read as JSON ({type(error).__name__})") from None
    if isinstance(content, dict):
        names = [name for name in content if Path(name).name == series.name]
        if len(names) != 1:
            raise ZooError(f"data.anomaly_windows={path}: has {len(names)} entries for {series.name}; must have one")
        content = content[names[0]]
    inside = np.zeros(len(times), dtype=bool)
    for pair in content if isinstance(content, list) else [None]:
        cells = pd.Series(pair if isinstance(pair, list) and len(pair) == 2 else [None], dtype=object)
        ways = [way for way in readings(cells, format=like.format, zone=like.zone) if way.valid.all()]
        ways = [way for way in ways if way.values.dtype.kind == times.dtype.kind]
        if not ways or len(cells) != 2:
            raise ZooError(f"data.anomaly_windows={path}: {str(pair)[:60]} is not a pair of times [from, to]")
        first, last = ways[0].values
        inside |= (times >= first) & (times <= last)
    return inside


def without_forecasts(dataset: Dataset) -> Dataset:
    """Return windows without forecasts, each within one split.

    Forecasts of validation and test also use context from the split before. If anomalous rows are known, y marks
    windows that contain one, and training has no such windows.
    """
    spec = dataset.spec
    assert isinstance(spec, SeriesSpec)
    spec = replace(spec, target_shape=(), targets=())
    train, val, test = (_windows(spec, getattr(dataset, name), name) for name in ("train", "val", "test"))
    if "anomalous" not in train:
        return Dataset(spec, train, val, test)
    normal_rows = ~train["anomalous"].base.numpy()
    labels = [held(part["anomalous"]) for part in (train, val, test)]
    normal = torch.nonzero(labels[0] == 0).squeeze(1)
    if not len(normal):
        raise ZooError(f"{spec.name}: every training window contains an anomaly; reduce data.context_length")
    values = train["x"].base.numpy()[normal_rows].astype(np.float64)
    mean, std = values.mean(0), values.std(0)
    spec = replace(spec, mean=tuple(map(float, mean)), std=tuple(float(size) or 1.0 for size in std))
    spec = replace(spec, normal_classes=("normal",), rows=len(normal))
    return Dataset(
        with_anomaly_classes(spec, labels[2]),
        {"x": Rows(train["x"], normal), "y": labels[0][normal]},
        {"x": val["x"], "y": labels[1]},
        {"x": test["x"], "y": labels[2]},
    )


def _windows(spec: SeriesSpec, split: Any, name: str) -> dict[str, Windows]:
    """Return the windows within a split. Validation and test start after the context from the split before."""
    context = 0 if name == "train" else split["x"].length
    windows = {key: Windows(value.base, value.length, first=context) for key, value in split.items() if key != "y"}
    if not len(windows["x"]):
        steps = context or spec.input_shape[0]
        raise ZooError(f"{spec.name}: data.context_length={steps} exceeds the rows of the {name} split")
    return windows


def held(marked: Windows) -> Tensor:
    """Return whether each window contains a marked row, (N,) 0 or 1."""
    sums = torch.cat([torch.zeros(1, dtype=torch.int64), marked.base.long().cumsum(0)])
    ends = sums[marked.first + marked.length :]
    return (ends - sums[marked.first : marked.first + len(ends)] > 0).long()


def labeled_series(spec: SeriesSpec, data: Mapping[str, Any], part: str | None) -> Labeled:
    """Return all windows of a series, except those with gaps."""
    path = Path(data["path"])
    reading = replace(spec.reading, **chosen_options(data, "delimiter", "header"))
    table = open_series(path, reading, spec.columns)
    reading = with_options(reading, table, **chosen_options(data, "time_column", "dayfirst", "fill_method"))
    recorded = read_series(table, spec.columns, reading, last=0)
    values = recorded.values
    past = spec.input_shape[0]
    horizon = spec.target_shape[0] if spec.target_type == "future" else 0
    base = torch.from_numpy(values.astype(np.float32))
    split: dict[str, Any] = {"x": Windows(base, past, drop=horizon)}
    if horizon:
        split["y"] = Windows(base[:, list(spec.targets)], horizon, first=past)
    elif spec.normal_classes:
        split["y"] = _marked(path, data, recorded, past)
    gap = np.isnan(values).any(1)
    clean = (held(Windows(torch.from_numpy(gap), past + horizon)) == 0).numpy()
    if not clean.any():
        raise ZooError(f"{path}: has {len(values)} rows; a window needs {past + horizon} rows without a gap")
    if clean.all():
        return Labeled(split)
    index = torch.from_numpy(np.flatnonzero(clean))
    split = {key: value[index] if isinstance(value, Tensor) else Rows(value, index) for key, value in split.items()}
    return Labeled(split, notes=left_out_notes(int((~clean).sum()), "with a gap", what="windows"))


def _marked(path: Path, data: Mapping[str, Any], recorded: Any, past: int) -> Tensor:
    """Return whether each window contains an anomalous row."""
    if data.get("anomaly_windows") is None:
        raise ZooError(f"{path}: has no anomaly labels; set data.anomaly_windows= to a JSON file of intervals")
    anomalous = in_anomaly_windows(Path(data["anomaly_windows"]), path, recorded.grid.times, recorded.times)
    return held(Windows(torch.from_numpy(anomalous), past))
