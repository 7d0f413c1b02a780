"""Windows of a series without forecasts: to reconstruct them, to tell anomalies from normal ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.data.dataset import Dataset, Rows, Windows
from zoo.data.prepare import with_anomaly_classes
from zoo.data.series.spec import SeriesSpec
from zoo.exceptions import ZooError


def without_forecasts(dataset: Dataset) -> Dataset:
    """Return windows of a series that lie in one part each; of validation and test forecasts read the past before too.

    Where it is known which rows are anomalies, y says whether a window holds one, and training has none of these.
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
        raise ZooError(f"{spec.name}: every window to train on holds an anomaly; shorten data.context_length")
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
    """Return the windows of a split that lie in it; those of validation and test begin after the context before it."""
    context = 0 if name == "train" else split["x"].length
    windows = {key: Windows(value.base, value.length, first=context) for key, value in split.items() if key != "y"}
    if not len(windows["x"]):
        steps = context or spec.input_shape[0]
        raise ZooError(f"{spec.name}: data.context_length={steps} is longer than its rows of {name}")
    return windows


def held(marked: Windows) -> Tensor:
    """Return for each window whether one of its rows is marked, (N,) 0 or 1."""
    sums = torch.cat([torch.zeros(1, dtype=torch.int64), marked.base.long().cumsum(0)])
    ends = sums[marked.first + marked.length :]
    return (ends - sums[marked.first : marked.first + len(ends)] > 0).long()
