"""A series of the user's own as a trained model reads it: all of its windows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.data.dataset import Rows, Windows
from zoo.data.labeled import Labeled, chosen_options, left_out_notes
from zoo.data.series.anomaly_windows import in_anomaly_windows
from zoo.data.series.regular_grid import read_series, with_options
from zoo.data.series.source import open_series
from zoo.data.series.spec import SeriesSpec
from zoo.data.series.unlabeled import held
from zoo.exceptions import ZooError


def labeled_series(spec: SeriesSpec, data: Mapping[str, Any], part: str | None) -> Labeled:
    """Return all windows of a series; those with a gap in them are left out."""
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
        raise ZooError(f"{path}: has {len(values)} rows; a window takes {past + horizon} without a gap")
    if clean.all():
        return Labeled(split)
    index = torch.from_numpy(np.flatnonzero(clean))
    split = {key: value[index] if isinstance(value, Tensor) else Rows(value, index) for key, value in split.items()}
    return Labeled(split, notes=left_out_notes(int((~clean).sum()), "with a gap", what="windows"))


def _marked(path: Path, data: Mapping[str, Any], recorded: Any, past: int) -> Tensor:
    """Return for each window whether one of its rows is an anomaly."""
    if data.get("anomaly_windows") is None:
        raise ZooError(
            f"{path}: does not say which rows are anomalies; name the file that does by data.anomaly_windows="
        )
    anomalous = in_anomaly_windows(Path(data["anomaly_windows"]), path, recorded.grid.times, recorded.times)
    return held(Windows(torch.from_numpy(anomalous), past))
