"""Regression: a number for each row."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import MeanAbsoluteError, MeanSquaredError

from zoo.data.dataset import Batch, Dataset, Split
from zoo.data.spec import DataSpec
from zoo.metrics.defined import DefinedR2
from zoo.metrics.scores import Scores, regression_scores
from zoo.registry import register_task
from zoo.tasks.base import Baselines, Example, Metrics, Plots, Task, number_schema, object_schema


@register_task("regression", target="number")
class Regression(Task):
    """Regression of a standardized target: ``output`` (B, 1), and ``y`` (B,) in original units less ``target_offset``."""

    monitor, mode, fallback_monitor = "rmse", "min", "rmse"
    monitors = ("rmse", "mae", "r2")
    rejected_options = dict.fromkeys(("class_weights", "threshold"), "the target is a number")
    example = Example(
        lambda metrics, dataset: metrics["rmse"] / dataset.spec.target_std, 0.5, 0.35, "RMSE {:.3f} σ is above"
    )

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.mean, self.std, self.offset = spec.target_mean, spec.target_std, spec.target_offset

    @classmethod
    def output_shape(cls, spec: DataSpec) -> tuple[int, ...]:
        """Return (1,)."""
        return (1,)

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the mean error in units of the target's standard deviation, a scalar; squared unless ``loss=mae``."""
        y = batch["y"]
        if "share" in batch:
            y = batch["share"] * y + (1 - batch["share"]) * batch["y2"]
        error = F.l1_loss if self.options.loss == "mae" else F.mse_loss
        return error(output.squeeze(1), (y - self.mean) / self.std)

    def metrics(self, stage: str) -> Metrics:
        """Return RMSE, MAE and R² in original units."""
        return Metrics({"rmse": MeanSquaredError(squared=False), "mae": MeanAbsoluteError(), "r2": DefinedR2()})

    def update(self, metrics: Metrics, output: Tensor, batch: Batch) -> None:
        """Update the metrics with a batch, in original units."""
        pair = (self.value(output), batch["y"])
        # standardized, since R² of large numbers loses precision
        standard = (output.float().squeeze(1), (batch["y"] - self.mean) / self.std)
        metrics.feed(rmse=pair, mae=pair, r2=standard)

    def value(self, output: Tensor) -> Tensor:
        """Return predicted values (B,) in the units of ``y``."""
        return output.float().squeeze(1) * self.std + self.mean

    def predictions(self, output: Tensor) -> dict[str, Tensor]:
        """Return ``value`` (B,) in original units, as float64 if float32 would lose precision."""
        value = self.value(output)
        if not self.offset:
            return {"value": value}
        device = "cpu" if value.device.type == "mps" else value.device  # MPS has no float64
        return {"value": value.to(device, torch.float64) + self.offset}

    def baselines(self, dataset: Dataset, options: Mapping[str, Any]) -> Baselines:
        """Return the ``mean`` and a ``linear regression``."""
        from zoo.tasks.baselines import linear_regression, mean

        return {"mean": partial(mean, dataset), "linear regression": partial(linear_regression, dataset)}

    def constant_baselines(self, split: Split) -> dict[str, Scores]:
        """Return the scores of predicting the ``mean`` of the training rows."""
        y = np.asarray(split["y"])
        return {"mean": regression_scores(np.full(len(y), self.mean), y)}

    def plots(self, dataset: Dataset, predictions: dict[str, Any], visualizations: Mapping[str, Tensor]) -> Plots:
        """Return a plot of predicted against true values."""
        from zoo.tasks.plots import predicted_against_true

        y: Any = dataset.test["y"]
        return {"truth.png": partial(predicted_against_true, predictions["value"], y + self.offset)}

    @classmethod
    def output_schema(cls, spec: DataSpec) -> dict[str, Any]:
        """Return the schema of a ``value``."""
        return object_schema(value=number_schema())
