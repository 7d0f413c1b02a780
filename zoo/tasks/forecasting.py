"""Forecasting: the next steps of a time series."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import MeanAbsoluteError, MeanSquaredError

from zoo.data.dataset import Batch, Dataset, Split
from zoo.data.loader import EvalLoader
from zoo.data.series.spec import SeriesSpec
from zoo.data.spec import DataSpec
from zoo.metrics.scores import Scores
from zoo.registry import register_task
from zoo.tasks.base import Baselines, Example, Metrics, Plots, Task, number_schema, object_schema


@register_task("forecasting", target="future")
class Forecasting(Task):
    """Forecasting of standardized values: ``output`` (B, H, C), and ``y`` (B, H, C) in original units.

    ``mse`` and ``mae`` are in units of the training standard deviation of each column, as in the literature.
    ``mse_original`` and ``mae_original`` are in the columns' own units.
    """

    monitor, mode, fallback_monitor = "mse", "min", "mse"
    metric_labels: ClassVar[Mapping[str, str]] = {"mse": "MSE (standardized)", "mae": "MAE (standardized)"}
    monitors = ("mse", "mae")
    rejected_options = dict.fromkeys(("class_weights", "threshold"), "the target is the future of a series")
    example = Example(lambda metrics, dataset: metrics["mse"], 0.5, 0.3, "MSE {:.3f} σ² is above")
    mean: Tensor
    std: Tensor

    def __init__(self, spec: SeriesSpec) -> None:
        super().__init__()
        self.spec = spec
        every = len(spec.input_shape) and spec.input_shape[1]
        mean, std = (v if len(v) == every else v * every for v in (spec.mean, spec.std))
        for name, values in (("mean", mean), ("std", std)):
            self.constant(name, torch.tensor([values[n] for n in spec.targets]))

    @classmethod
    def output_shape(cls, spec: DataSpec) -> tuple[int, ...]:
        """Return (H, C): prediction length, columns."""
        return spec.target_shape

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the mean error over steps and columns, squared or with ``objective.loss=mae`` absolute; a scalar."""
        error = F.l1_loss if self.options.loss == "mae" else F.mse_loss
        return error(output.float(), self.standard(batch["y"]))

    def standard(self, y: Tensor) -> Tensor:
        """Return standardized values."""
        return (y - self.mean) / self.std

    def metrics(self, stage: str) -> Metrics:
        """Return squared and absolute errors, standardized and in original units."""
        kinds = {"mse": MeanSquaredError, "mae": MeanAbsoluteError}
        return Metrics({f"{name}{unit}": kind() for unit in ("", "_original") for name, kind in kinds.items()})

    def update(self, metrics: Metrics, output: Tensor, batch: Batch) -> None:
        """Update the metrics with a batch."""
        # contiguous, since torchmetrics flattens by view
        pair = (output.float().contiguous(), self.standard(batch["y"]).contiguous())
        original = (self.predictions(output)["value"].contiguous(), batch["y"].contiguous())
        metrics.feed(mse=pair, mae=pair, mse_original=original, mae_original=original)

    def predictions(self, output: Tensor) -> dict[str, Tensor]:
        """Return ``value`` (B, H, C) in original units."""
        output = output.float()
        return {"value": output * self.std + self.mean}

    def baselines(self, dataset: Dataset, options: Mapping[str, Any]) -> Baselines:
        """Return ``repeat last`` and, if the seasonal period is known and within the context, ``seasonal naive``."""
        periods = {"repeat last": 1}
        if 1 < self.spec.seasonal_period <= self.spec.input_shape[0]:
            periods["seasonal naive"] = self.spec.seasonal_period
        return {name: partial(self._naive, dataset.test, period) for name, period in periods.items()}

    def _naive(self, test: Split, period: int) -> Scores:
        """Return the scores of forecasts that repeat the last ``period`` steps."""
        index = torch.arange(self.spec.target_shape[0]) % period - period  # counted from the end
        columns = list(self.spec.targets)
        return self.test_scores((self.standard(b["x"][:, index][:, :, columns]), b) for b in EvalLoader(test))

    def constant_baselines(self, split: Split) -> dict[str, Scores]:
        """Return the scores of all baselines, none of which is trained."""
        measures = self.baselines(Dataset(self.spec, split, split, split), {})
        return {name: measure() for name, measure in measures.items()}

    def plots(self, dataset: Dataset, predictions: dict[str, Any], visualizations: Mapping[str, Tensor]) -> Plots:
        """Return plots of forecasts and of their errors."""
        from zoo.tasks.plots import errors_by_step, forecasts

        value = predictions["value"]
        return {
            "forecasts.png": partial(forecasts, dataset, value),
            "errors.png": partial(errors_by_step, dataset, value),
        }

    @classmethod
    def output_schema(cls, spec: DataSpec) -> dict[str, Any]:
        """Return the schema of a ``value`` (H, C)."""
        return object_schema(value=number_schema(2))

    @classmethod
    def data_options(cls, spec: DataSpec) -> dict[str, Any]:
        """Return the context length and the prediction length."""
        return {"data.context_length": spec.input_shape[0], "data.prediction_length": spec.target_shape[0]}
