"""Classes that exclude each other, and labels that do not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import MeanMetric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MultilabelAccuracy

from zoo.config.schema import ObjectiveOptions
from zoo.data.dataset import Batch
from zoo.data.spec import DataSpec
from zoo.exceptions import ZooError
from zoo.metrics.defined import (
    LabelAUROC,
    LabelAveragePrecision,
    LabelBalancedAccuracy,
    MeanAUROC,
    MeanAveragePrecision,
    MeanRecall,
    TwoClassAUROC,
    TwoClassAveragePrecision,
)
from zoo.registry import register_task
from zoo.tasks.base import Metrics, Task, best_threshold, refuse, watched


def _multiclass(classes: int) -> dict[str, Any]:
    return {
        "accuracy": MulticlassAccuracy(classes, average="micro"),
        "balanced_accuracy": MeanRecall(classes),
        "auroc": MeanAUROC(classes),
        "average_precision": MeanAveragePrecision(classes),
    }


@register_task("classification")
class Classification(Task):
    """Cross-entropy over classes. ``output`` (B, K) logits, ``y`` (B,) int64.

    Of two classes, AUROC and average precision are those of ``spec.positive_class``; of more, means over the classes.
    """

    monitor, mode = "accuracy", "max"
    weights: Tensor | None

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.classes, self.positive, self.counts = spec.classes, spec.positive_class, spec.class_counts
        self.label_smoothing = 0.0  # these are set by configure
        self.constant("weights", None)

    @classmethod
    def from_spec(cls, spec: DataSpec) -> Task:
        """Return the task of a spec: that of several labels at once where it has such."""
        return MultilabelClassification(spec) if spec.multilabel else cls(spec)

    def configure(self, options: ObjectiveOptions, *, label_smoothing: float) -> None:
        """Take up a run's options; smoothing and weights are for the training loss alone."""
        self.label_smoothing = label_smoothing
        self.monitor, self.mode = watched(options.monitor, "accuracy", [*_multiclass(2), "nll"])
        refuse(options, "the target is a class", "loss")
        self.threshold_metric = options.threshold
        if options.threshold is not None and len(self.classes) != 2:
            raise ZooError(f"objective.threshold: is for two classes; there are {len(self.classes)}")
        if options.class_weights is not None:
            self.constant("weights", balanced(self.counts))

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the cross-entropy, a scalar: the mean over rows, weighted by their classes' weights.

        Mixed images count for both classes, by their shares in each.
        """
        weights = None if self.weights is None else self.weights.to(output.dtype)
        if "share" not in batch:
            return F.cross_entropy(output, batch["y"], weights, label_smoothing=self.label_smoothing)
        total: Tensor | float = 0.0
        weight: Tensor | float = 0.0
        for y, share in ((batch["y"], batch["share"]), (batch["y2"], 1 - batch["share"])):
            rows = F.cross_entropy(output, y, weights, label_smoothing=self.label_smoothing, reduction="none")
            total = total + (share * rows).sum()
            weight = weight + (share if weights is None else share * weights[y]).sum()
        return total / weight

    def batch_statistics(self, output: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Return the number of right answers."""
        return {"accuracy": (output.argmax(1) == batch["y"]).sum()}

    def metrics(self, stage: str) -> MetricCollection:
        """Return loss, accuracy and the watched figure; for the test all of them."""
        found = _multiclass(len(self.classes))
        if len(self.classes) == 2:
            found |= {"auroc": TwoClassAUROC(), "average_precision": TwoClassAveragePrecision()}
        if stage != "test":
            found = {name: metric for name, metric in found.items() if name in ("accuracy", self.monitor)}
        return Metrics({"nll": MeanMetric(), **found}, compute_groups=False)

    def update(self, metrics: MetricCollection, output: Tensor, batch: Batch) -> None:
        """Add a batch; ``nll`` is the plain cross-entropy, without smoothing and weights."""
        y, probability = batch["y"], output.float().softmax(1)
        assert isinstance(metrics, Metrics)
        nll = F.cross_entropy(output.float(), y, reduction="none")
        labels, ranked = (self.labels(probability), y), (probability, y)
        if len(self.classes) == 2:
            ranked = (probability[:, self.positive], (y == self.positive).long())
        metrics.feed(nll=(nll,), accuracy=labels, balanced_accuracy=labels, auroc=ranked, average_precision=ranked)

    def labels(self, probability: Tensor) -> Tensor:
        """Return the number of each row's class (B,): the likeliest, or by the threshold on the positive's."""
        if self.threshold is None:
            return probability.argmax(1)
        found = (probability[:, self.positive] >= self.threshold).long()
        return found if self.positive == 1 else 1 - found

    def choose_threshold(self, kept: Tensor, y: Tensor) -> float:
        """Return the threshold on the positive class's probability that is best for ``threshold_metric`` on these rows."""
        assert self.threshold_metric is not None
        return best_threshold(kept.float().softmax(1)[:, self.positive], y == self.positive, self.threshold_metric)

    def predictions(self, output: Tensor) -> dict[str, Tensor]:
        """Return ``probability`` (B, K)."""
        return {"probability": output.float().softmax(1)}

    def postprocess(self, predictions: dict[str, Tensor]) -> dict[str, Any]:
        """Return the class ``label`` of each row and ``probability`` (B, K)."""
        return {"label": [self.classes[i] for i in self.labels(predictions["probability"]).tolist()], **predictions}


class MultilabelClassification(Task):
    """Several labels that may be true together. ``output`` (B, K) logits, ``y`` (B, K) float, 0 or 1.

    The loss is the mean binary cross-entropy; the figures are means over the labels, accuracy the share of right ones.
    """

    monitor, mode = "average_precision", "max"
    weights: Tensor | None

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.classes, self.counts, self.rows = spec.classes, spec.class_counts, spec.rows
        self.label_smoothing = 0.0
        self.constant("weights", None)

    def configure(self, options: ObjectiveOptions, *, label_smoothing: float) -> None:
        """Take up a run's options."""
        self.label_smoothing = label_smoothing
        self.monitor, self.mode = watched(options.monitor, "average_precision", [*_multiclass(2), "nll"])
        refuse(options, "there are several labels at once", "threshold", "loss")
        if options.class_weights is not None:  # of each label's true rows
            self.constant("weights", torch.tensor([(self.rows - n) / max(n, 1) for n in self.counts]))

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the binary cross-entropy, a scalar."""
        y = batch["y"]
        if "share" in batch:
            share = batch["share"].unsqueeze(1)
            y = share * y + (1 - share) * batch["y2"]
        y = y * (1 - self.label_smoothing) + self.label_smoothing / 2
        weights = None if self.weights is None else self.weights.to(output.dtype)
        return F.binary_cross_entropy_with_logits(output, y, pos_weight=weights)

    def batch_statistics(self, output: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Return the sum over rows of the share of right labels."""
        return {"accuracy": ((output > 0) == (batch["y"] > 0.5)).float().mean(1).sum()}

    def metrics(self, stage: str) -> MetricCollection:
        """Return loss, accuracy and the watched figure; for the test all of them."""
        k = len(self.classes)
        found: dict[str, Any] = {
            "accuracy": MultilabelAccuracy(k, average="macro"),
            "balanced_accuracy": LabelBalancedAccuracy(k),
            "auroc": LabelAUROC(k),
            "average_precision": LabelAveragePrecision(k),
        }
        if stage != "test":
            found = {name: metric for name, metric in found.items() if name in ("accuracy", self.monitor)}
        return Metrics({"nll": MeanMetric(), **found}, compute_groups=False)

    def update(self, metrics: MetricCollection, output: Tensor, batch: Batch) -> None:
        """Add a batch; ``nll`` is summed over the labels."""
        assert isinstance(metrics, Metrics)
        output, y = output.float(), batch["y"]
        nll = F.binary_cross_entropy_with_logits(output, y, reduction="none").sum(1)
        pair = (output.sigmoid(), y.long())
        metrics.feed(nll=(nll,), accuracy=pair, balanced_accuracy=pair, auroc=pair, average_precision=pair)

    def predictions(self, output: Tensor) -> dict[str, Tensor]:
        """Return ``probability`` (B, K), of each label for itself."""
        return {"probability": output.float().sigmoid()}

    def postprocess(self, predictions: dict[str, Tensor]) -> dict[str, Any]:
        """Return the list of ``label`` that are likely in each row, and ``probability`` (B, K)."""
        likely = (predictions["probability"] > 0.5).tolist()
        return {"label": [[c for c, on in zip(self.classes, row, strict=True) if on] for row in likely], **predictions}


def balanced(counts: Sequence[int]) -> Tensor:
    """Return weights (K,) by which each class counts alike: N / (K · rows of the class)."""
    seen = torch.tensor(counts, dtype=torch.float32).clamp(min=1)
    return seen.sum() / (len(seen) * seen)


def confusion(predicted: Tensor, y: Tensor, classes: int) -> Tensor:
    """Return counts (classes, classes): row the true class, column the answer."""
    return torch.bincount(y * classes + predicted, minlength=classes**2).view(classes, classes)
