"""Classification: one of several classes; ``multilabel`` has that of several labels at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import MeanMetric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from zoo.config.schema import ObjectiveOptions
from zoo.data.dataset import Batch, Dataset, Split
from zoo.data.spec import DataSpec
from zoo.exceptions import ZooError
from zoo.metrics.defined import MeanAUROC, MeanAveragePrecision, MeanRecall, TwoClassAUROC, TwoClassAveragePrecision
from zoo.registry import register_task
from zoo.tasks.base import (
    Draw,
    Example,
    Metrics,
    Scores,
    Task,
    best_threshold,
    number_schema,
    object_schema,
    reject_options,
)
from zoo.tasks.classification.multilabel import METRICS, MultilabelClassification, constant_scores


def _multiclass(classes: int) -> dict[str, Any]:
    return {
        "accuracy": MulticlassAccuracy(classes, average="micro"),
        "balanced_accuracy": MeanRecall(classes),
        "auroc": MeanAUROC(classes),
        "average_precision": MeanAveragePrecision(classes),
    }


@register_task("classification", target="class")
class Classification(Task):
    """Cross-entropy over classes. ``output`` (B, K) logits, ``y`` (B,) int64.

    Of two classes, AUROC and average precision are those of ``spec.positive_class``; of more, means over the classes.
    """

    monitor, mode = "accuracy", "max"
    metric_labels: ClassVar[Mapping[str, str]] = {"nll": "log loss"}
    example = Example(lambda metrics, dataset: metrics["accuracy"], 0.9, 0.98, "accuracy {:.3f} is below", mode="max")
    weights: Tensor | None

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.spec = spec
        self.classes, self.positive, self.counts = spec.classes, spec.positive_class, spec.class_counts
        self.label_smoothing = 0.0  # these are set by configure
        self.constant("weights", None)

    @classmethod
    def from_spec(cls, spec: DataSpec) -> Task:
        """Return the task of a spec: that of several labels at once where it has such."""
        return MultilabelClassification(spec) if spec.multilabel else cls(spec)

    @classmethod
    def output_shape(cls, spec: DataSpec) -> tuple[int, ...]:
        """Return (K,), a logit per class."""
        return (len(spec.classes),)

    def configure(self, options: ObjectiveOptions, *, label_smoothing: float) -> None:
        """Take up a run's options; smoothing and weights are for the training loss alone."""
        self.label_smoothing = label_smoothing
        self.select_monitor(options.monitor, [*METRICS, "nll"])
        reject_options(options, "the target is a class", "loss")
        self.threshold_metric = options.threshold
        if options.threshold is not None and len(self.classes) != 2:
            raise ZooError(f"objective.threshold: is for two classes; there are {len(self.classes)}")
        if options.class_weights is not None:
            self.constant("weights", balanced_weights(self.counts))

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the cross-entropy, a scalar: the mean over rows, weighted by their classes' weights.

        Mixed images count for both classes, by their shares in each.
        """
        weights = None if self.weights is None else self.weights.to(output.dtype)
        if "share" not in batch:
            return F.cross_entropy(output, batch["y"], weights, label_smoothing=self.label_smoothing)
        total, weight = output.new_zeros(()), output.new_zeros(())
        for y, share in ((batch["y"], batch["share"]), (batch["y2"], 1 - batch["share"])):
            rows = F.cross_entropy(output, y, weights, label_smoothing=self.label_smoothing, reduction="none")
            total = total + (share * rows).sum()
            weight = weight + (share if weights is None else share * weights[y]).sum()
        return total / weight

    def batch_statistics(self, output: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Return the number of correct predictions."""
        return {"accuracy": (output.argmax(1) == batch["y"]).sum()}

    def ensemble_mean(self, outputs: Tensor) -> Tensor:
        """Return the logits of the mean probabilities of an ensemble's logits (B, members, classes)."""
        return outputs.float().log_softmax(2).logsumexp(1) - math.log(outputs.shape[1])

    def metrics(self, stage: str) -> MetricCollection:
        """Return loss, accuracy and the monitored metric; for the test all of them."""
        metrics = _multiclass(len(self.classes))
        if len(self.classes) == 2:
            metrics |= {"auroc": TwoClassAUROC(), "average_precision": TwoClassAveragePrecision()}
        if stage != "test":
            metrics = {name: metric for name, metric in metrics.items() if name in ("accuracy", self.monitor)}
        return Metrics({"nll": MeanMetric(), **metrics}, compute_groups=False)

    def update(self, metrics: MetricCollection, output: Tensor, batch: Batch) -> None:
        """Add a batch; ``nll`` is the plain cross-entropy, without smoothing and weights."""
        y, probability = batch["y"], output.float().softmax(1)
        assert isinstance(metrics, Metrics)
        nll = F.cross_entropy(output.float(), y, reduction="none")
        labels, ranking = (self.labels(probability), y), (probability, y)
        if len(self.classes) == 2:
            ranking = (probability[:, self.positive], (y == self.positive).long())
        metrics.feed(nll=(nll,), accuracy=labels, balanced_accuracy=labels, auroc=ranking, average_precision=ranking)

    def labels(self, probability: Tensor) -> Tensor:
        """Return the number of each row's class (B,): the likeliest, or by the threshold on the positive's."""
        if self.threshold is None:
            return probability.argmax(1)
        label = (probability[:, self.positive] >= self.threshold).long()
        return label if self.positive == 1 else 1 - label

    def choose_threshold(self, collected: Tensor, y: Tensor) -> float:
        """Return the threshold on the positive class's probability that is best for ``threshold_metric`` on these rows."""
        assert self.threshold_metric is not None
        return best_threshold(collected.float().softmax(1)[:, self.positive], y == self.positive, self.threshold_metric)

    def predictions(self, output: Tensor) -> dict[str, Tensor]:
        """Return ``probability`` (B, K)."""
        return {"probability": output.float().softmax(1)}

    def postprocess(self, predictions: dict[str, Tensor]) -> dict[str, Any]:
        """Return the class ``label`` of each row and ``probability`` (B, K)."""
        return {"label": [self.classes[i] for i in self.labels(predictions["probability"]).tolist()], **predictions}

    def baselines(self, dataset: Dataset, options: Mapping[str, Any]) -> dict[str, Callable[[], Scores]]:
        """Return the ``majority`` and a ``logistic regression`` (of texts: on which tokens are in them)."""
        from zoo.tasks.classification.baselines import logistic_regression, majority

        return {"majority": partial(majority, dataset), "logistic regression": partial(logistic_regression, dataset)}

    def constant_baselines(self, split: Split) -> dict[str, Scores]:
        """Return the scores of the training rows' class frequencies."""
        return constant_scores(self.spec, split, np.array(self.counts) / max(sum(self.counts), 1))

    def plots(
        self, dataset: Dataset, predictions: dict[str, Any], visualizations: Mapping[str, Tensor]
    ) -> dict[str, Draw]:
        """Return what draws the confusion matrix, precision and recall, and mistakes on images."""
        from zoo.tasks.classification.plots import classification_plots

        return classification_plots(dataset, predictions)

    @classmethod
    def output_schema(cls, spec: DataSpec) -> dict[str, Any]:
        """Return the schema of a ``label`` and the ``probability`` of each class."""
        label: dict[str, Any] = {"type": "string", "enum": list(spec.classes)}
        if spec.multilabel:
            label = {"type": "array", "items": label}
        return object_schema(label=label, probability=object_schema(**dict.fromkeys(spec.classes, number_schema())))


def balanced_weights(counts: Sequence[int]) -> Tensor:
    """Return weights (K,) by which each class counts alike: N / (K · rows of the class)."""
    rows = torch.tensor(counts, dtype=torch.float32).clamp(min=1)
    return rows.sum() / (len(rows) * rows)
