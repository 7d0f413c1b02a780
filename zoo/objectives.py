"""What each task asks of a network's output: loss, counts while training, metrics, the figure to watch, decoding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import MeanAbsoluteError, MeanMetric, MeanSquaredError, MetricCollection, R2Score
from torchmetrics.classification import MulticlassAccuracy, MulticlassAUROC, MulticlassAveragePrecision

from zoo.data.dataset import Batch
from zoo.spec import DataSpec


class Objective(Protocol):
    """The part of a task that a ZooModule calls."""

    monitor: str  # the validation figure that picks the best checkpoint
    mode: str  # min or max

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the mean loss of a batch, a scalar."""

    def count(self, output: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Return sums over the batch that become training means, counted where the output lies."""

    def metrics(self, stage: str) -> MetricCollection:
        """Return fresh metrics for ``val`` (cheap, each epoch) or ``test`` (all)."""

    def update(self, metrics: MetricCollection, output: Tensor, batch: Batch) -> None:
        """Add a batch to metrics of ``metrics``."""

    def answer(self, output: Tensor) -> dict[str, Tensor]:
        """Return what the output means, by name: probabilities, or values in original units."""

    def decode(self, output: Tensor) -> dict[str, Any]:
        """Return what a user reads: the answer, and the labels of classes."""


class _Metrics(MetricCollection):
    """A collection whose members are fed by name, since a mean loss and an accuracy take different arguments."""

    def feed(self, **arguments: tuple[Any, ...]) -> None:
        for name, values in arguments.items():
            if name in self:
                self[name].update(*values)


class Classification:
    """Cross-entropy over classes. ``output`` (B, K) logits, ``y`` (B,) int64."""

    monitor, mode = "accuracy", "max"

    def __init__(self, spec: DataSpec) -> None:
        self.classes = spec.classes
        self.label_smoothing = 0.0  # set from the run's regularization; for training alone

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the cross-entropy, a scalar; of mixed images that of both classes, by their shares."""
        if "share" in batch:
            one, other = (
                F.cross_entropy(output, batch[y], label_smoothing=self.label_smoothing, reduction="none")
                for y in ("y", "y2")
            )
            return (batch["share"] * one + (1 - batch["share"]) * other).mean()
        return F.cross_entropy(output, batch["y"], label_smoothing=self.label_smoothing)

    def count(self, output: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Return the number of right answers."""
        return {"accuracy": (output.argmax(1) == batch["y"]).sum()}

    def metrics(self, stage: str) -> MetricCollection:
        """Return loss and accuracy, for the test also balanced accuracy and the ranking measures (macro)."""
        k = len(self.classes)
        found: dict[str, Any] = {"nll": MeanMetric(), "accuracy": MulticlassAccuracy(k, average="micro")}
        if stage == "test":
            found["balanced_accuracy"] = MulticlassAccuracy(k, average="macro")
            found["auroc"] = MulticlassAUROC(k)
            found["average_precision"] = MulticlassAveragePrecision(k)
        return _Metrics(found, compute_groups=False)

    def update(self, metrics: MetricCollection, output: Tensor, batch: Batch) -> None:
        """Add a batch; ``nll`` is the plain cross-entropy, without smoothing."""
        y, probability = batch["y"], output.float().softmax(1)
        assert isinstance(metrics, _Metrics)
        nll = F.cross_entropy(output.float(), y, reduction="none")
        pair = (probability, y)
        metrics.feed(nll=(nll,), accuracy=pair, balanced_accuracy=pair, auroc=pair, average_precision=pair)

    def answer(self, output: Tensor) -> dict[str, Tensor]:
        """Return ``probability`` (B, K)."""
        return {"probability": output.float().softmax(1)}

    def decode(self, output: Tensor) -> dict[str, Any]:
        """Return the class ``label`` of each row and ``probability`` (B, K)."""
        found = self.answer(output)
        return {"label": [self.classes[i] for i in found["probability"].argmax(1).tolist()], **found}


class Regression:
    """Squared error of the standardised target. ``output`` (B, 1), ``y`` (B,) in original units."""

    monitor, mode = "rmse", "min"

    def __init__(self, spec: DataSpec) -> None:
        self.mean, self.std = spec.target_mean, spec.target_std

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the mean squared error in units of the target's deviation, a scalar."""
        y = batch["y"]
        if "share" in batch:
            y = batch["share"] * y + (1 - batch["share"]) * batch["y2"]
        return F.mse_loss(output.squeeze(1), (y - self.mean) / self.std)

    def count(self, output: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Return nothing: the loss says it."""
        return {}

    def metrics(self, stage: str) -> MetricCollection:
        """Return RMSE, MAE and R² in original units."""
        found = {"rmse": MeanSquaredError(squared=False), "mae": MeanAbsoluteError(), "r2": R2Score()}
        return _Metrics(found, compute_groups=False)

    def update(self, metrics: MetricCollection, output: Tensor, batch: Batch) -> None:
        """Add a batch, in original units."""
        pair = (self.answer(output)["value"], batch["y"])
        assert isinstance(metrics, _Metrics)
        metrics.feed(rmse=pair, mae=pair, r2=pair)

    def answer(self, output: Tensor) -> dict[str, Tensor]:
        """Return ``value`` (B,) in original units."""
        return {"value": output.float().squeeze(1) * self.std + self.mean}

    def decode(self, output: Tensor) -> dict[str, Any]:
        """Return ``value`` (B,) in original units."""
        return {**self.answer(output)}


_OBJECTIVES: dict[str, Callable[[DataSpec], Objective]] = {
    "classification": Classification,
    "regression": Regression,
}


def objective_of(spec: DataSpec) -> Objective:
    """Return the objective of a spec's task."""
    return _OBJECTIVES[spec.task](spec)


def confusion(predicted: Tensor, y: Tensor, classes: int) -> Tensor:
    """Return counts (classes, classes): row the true class, column the answer."""
    return torch.bincount(y * classes + predicted, minlength=classes**2).view(classes, classes)
