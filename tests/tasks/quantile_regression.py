"""A task of a user's own in one file, with a model that does it: quantiles of a number, by the pinball loss."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import MeanMetric

import zoo
from zoo.data.table.spec import TableSpec
from zoo.tasks.base import Example, Metrics, number_schema, object_schema

LEVELS = (0.1, 0.5, 0.9)


@zoo.register_task("quantile_regression", target="number", modalities=("table",))
class QuantileRegression(zoo.Task):
    """Pinball loss of the standardized target. ``output`` (B, levels), ``y`` (B,) in original units."""

    monitor, mode, fallback_monitor = "pinball", "min", "pinball"
    lower_is_better = ("pinball",)
    rejected_options = dict.fromkeys(("class_weights", "threshold", "loss"), "the target is a number")
    example = Example(lambda metrics, dataset: metrics["pinball"], 0.2, 0.1, "pinball loss {:.3f} is above")
    levels: Tensor

    def __init__(self, spec: zoo.DataSpec) -> None:
        super().__init__()
        self.mean, self.std = spec.target_mean, spec.target_std
        self.constant("levels", torch.tensor(LEVELS))

    @classmethod
    def output_shape(cls, spec):
        """Return (levels,)."""
        return (len(LEVELS),)

    def pinball(self, output: Tensor, y: Tensor) -> Tensor:
        """Return the loss of each row (B,)."""
        error = ((y - self.mean) / self.std).unsqueeze(1) - output
        return torch.maximum(self.levels * error, (self.levels - 1) * error).mean(1)

    def loss(self, output, batch):
        """Return the mean loss, a scalar."""
        return self.pinball(output, batch["y"]).mean()

    def metrics(self, stage: str) -> Metrics:
        """Return the loss, and the share of rows within the outer quantiles."""
        return Metrics({"pinball": MeanMetric(), "interval_coverage": MeanMetric()})

    def update(self, metrics, output, batch):
        """Add a batch."""
        quantiles = self.predictions(output)["quantiles"]
        inside = (quantiles[:, 0] <= batch["y"]) & (batch["y"] <= quantiles[:, -1])
        metrics.feed(pinball=(self.pinball(output.float(), batch["y"]),), interval_coverage=(inside.float(),))

    def predictions(self, output):
        """Return ``quantiles`` (B, levels) in original units."""
        return {"quantiles": output.float() * self.std + self.mean}

    def baselines(self, dataset, options):
        """Return the training rows' ``quantiles``, the same for all."""
        y = dataset.train["y"]
        output = ((y.quantile(self.levels) - self.mean) / self.std).expand(len(dataset.test["y"]), -1)
        return {"constant": lambda: self.test_scores([(output, {"y": dataset.test["y"]})])}

    @classmethod
    def output_schema(cls, spec):
        """Return the schema of ``quantiles``."""
        return object_schema(quantiles=number_schema(1))


@zoo.register("quantile_net")
class QuantileNet(zoo.FNN):
    """The fully connected network, for quantiles."""

    tasks, modalities = ("quantile_regression",), ("table",)

    def __init__(self, *, spec=None, **options) -> None:
        super().__init__(spec=spec or TableSpec("numbers", "quantile_regression", (2,)), **options)
