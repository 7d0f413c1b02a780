"""The time series modality."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from zoo.data.dataset import Dataset, Windows
from zoo.data.example import HORIZON, NOISE, TEST, TRAIN, VAL, WINDOW
from zoo.data.modality import Modality
from zoo.data.series.read import encode, from_json, read
from zoo.data.series.spec import SeriesSpec
from zoo.data.series.windows import labeled_series, without_forecasts
from zoo.registry import register_modality


@register_modality
class SeriesModality(Modality[SeriesSpec]):
    """Time series at regular steps."""

    spec = SeriesSpec
    tasks = ("forecasting", "reconstruction")
    raw_input = "the last steps of a series as an array, a data frame or a path"
    labeled_options = {  # noqa: RUF012
        "series": ("time_column", "dayfirst", "fill_method", "anomaly_windows", "delimiter", "header")
    }
    widget = "series_file"

    encode = staticmethod(encode)
    read = staticmethod(read)
    from_json = staticmethod(from_json)
    labeled = staticmethod(labeled_series)
    without_labels = staticmethod(without_forecasts)

    def request_row(self, spec: SeriesSpec) -> tuple[str, Any]:
        """Return the type of the last steps of a series."""
        from zoo.data.request_types import list_of, numbers_of_shape

        steps = spec.input_shape[0]
        about = f"The last {steps} steps of a series, each with {', '.join(spec.columns)} in this order."
        return about, list_of(numbers_of_shape(spec, spec.input_shape[-1:]), steps, steps)

    def request_example(self, spec: SeriesSpec) -> list[list[float]]:
        """Return steps at the mean."""
        from zoo.data.request_types import step_examples

        return step_examples(spec, spec.input_shape[0])

    def example(self, task: str, action_space: str = "") -> Dataset:
        """Return a generated series of two waves."""
        return generated_example()


def generated_example() -> Dataset:
    """Return a series of two waves: one slow, one fast with a large offset."""
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
