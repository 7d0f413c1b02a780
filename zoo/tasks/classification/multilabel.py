"""Multi-label classification: several labels that may be true together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import MeanMetric, MetricCollection
from torchmetrics.classification import MultilabelAccuracy

from zoo.config.schema import ObjectiveOptions
from zoo.data.dataset import Batch, Dataset, Split
from zoo.data.spec import DataSpec
from zoo.metrics.defined import LabelAUROC, LabelAveragePrecision, LabelBalancedAccuracy
from zoo.metrics.scores import classification_scores
from zoo.tasks.base import Draw, Metrics, Scores, Task, reject_options

METRICS = ("accuracy", "balanced_accuracy", "auroc", "average_precision")


class MultilabelClassification(Task):
    """Several labels that may be true together. ``output`` (B, K) logits, ``y`` (B, K) float, 0 or 1.

    The loss is the mean binary cross-entropy; metrics are means over the labels, accuracy the share of correct ones.
    """

    monitor, mode = "average_precision", "max"
    metric_labels: ClassVar[Mapping[str, str]] = {"nll": "log loss"}
    weights: Tensor | None

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.spec = spec
        self.classes, self.counts, self.rows = spec.classes, spec.class_counts, spec.rows
        self.label_smoothing = 0.0
        self.constant("weights", None)

    def configure(self, options: ObjectiveOptions, *, label_smoothing: float) -> None:
        """Take up a run's options."""
        self.label_smoothing = label_smoothing
        self.select_monitor(options.monitor, [*METRICS, "nll"])
        reject_options(options, "there are several labels at once", "threshold", "loss")
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
        """Return the sum over rows of the share of correct labels."""
        return {"accuracy": ((output > 0) == (batch["y"] > 0.5)).float().mean(1).sum()}

    def ensemble_mean(self, outputs: Tensor) -> Tensor:
        """Return the logits of the mean probabilities of an ensemble's logits (B, members, labels)."""
        return torch.logit(outputs.float().sigmoid().mean(1), eps=1e-6)

    def metrics(self, stage: str) -> MetricCollection:
        """Return loss, accuracy and the monitored metric; for the test all of them."""
        k = len(self.classes)
        metrics: dict[str, Any] = {
            "accuracy": MultilabelAccuracy(k, average="macro"),
            "balanced_accuracy": LabelBalancedAccuracy(k),
            "auroc": LabelAUROC(k),
            "average_precision": LabelAveragePrecision(k),
        }
        if stage != "test":
            metrics = {name: metric for name, metric in metrics.items() if name in ("accuracy", self.monitor)}
        return Metrics({"nll": MeanMetric(), **metrics}, compute_groups=False)

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

    def baselines(self, dataset: Dataset, options: Mapping[str, Any]) -> dict[str, Callable[[], Scores]]:
        """Return the ``majority`` and a ``logistic regression`` for each label."""
        from zoo.tasks.classification.baselines import logistic_regression, majority

        return {"majority": partial(majority, dataset), "logistic regression": partial(logistic_regression, dataset)}

    def constant_baselines(self, split: Split) -> dict[str, Scores]:
        """Return the scores of the training rows' label frequencies."""
        return constant_scores(self.spec, split, np.array(self.counts) / max(self.rows, 1))

    def plots(
        self, dataset: Dataset, predictions: dict[str, Any], visualizations: Mapping[str, Tensor]
    ) -> dict[str, Draw]:
        """Return what draws precision and recall of each label."""
        from zoo.tasks.classification.plots import multilabel_plots

        return multilabel_plots(dataset, predictions)


def constant_scores(spec: DataSpec, split: Split, frequency: np.ndarray) -> dict[str, Scores]:
    """Return the scores of ``majority``: the same probabilities (K,) for all rows, where the counts are known."""
    if not spec.class_counts:
        return {}
    y = np.asarray(split["y"])
    scores = classification_scores(spec, np.broadcast_to(frequency, (len(y), len(frequency))), y)
    return {"majority": {name: value for name, value in scores.items() if not np.isnan(value)}}
