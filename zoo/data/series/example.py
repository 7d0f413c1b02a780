"""A generated time series: two waves."""

from __future__ import annotations

import numpy as np
import torch

from zoo.data.dataset import Dataset, Windows
from zoo.data.example import HORIZON, NOISE, TEST, TRAIN, VAL, WINDOW
from zoo.data.series.spec import SeriesSpec


def example() -> Dataset:
    """Return two columns that swing, one slowly, one fast and high up."""
    rng = np.random.default_rng(0)
    past = 2 * WINDOW
    step = np.arange(TRAIN + VAL + TEST + past + HORIZON)
    values = np.stack([np.sin(step * 2 * np.pi / 16), 1000 + 50 * np.cos(step * 2 * np.pi / 6)], 1)
    values += rng.normal(size=values.shape) * NOISE * values.std(0)
    base = torch.from_numpy(values.astype(np.float32))
    train_values = values[: TRAIN + past]
    spec = SeriesSpec(
        name="generated series",
        task="forecasting",
        input_shape=(past, 2),
        target_shape=(HORIZON, 2),
        columns=("slow", "fast"),
        targets=(0, 1),
        mean=tuple(map(float, train_values.mean(0))),
        std=tuple(map(float, train_values.std(0))),
        seasonal_period=16,
        rows=TRAIN,
    )
    parts: list[dict[str, Windows]] = []
    begin = 0
    for rows in (TRAIN, VAL, TEST):
        part = base[begin : begin + rows + past + HORIZON - 1]
        parts.append({"x": Windows(part, past, drop=HORIZON), "y": Windows(part, HORIZON, first=past)})
        begin += rows
    train, val, test = parts
    return Dataset(spec, train, val, test)
