"""Classification: one of several classes, or several labels at once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import MeanMetric, Metric
from torchmetrics.classification import MulticlassAccuracy, MultilabelAccuracy

from zoo.config.schema import ObjectiveOptions
from zoo.data.dataset import Batch, Dataset, Split
from zoo.data.spec import DataSpec
from zoo.exceptions import ZooError
from zoo.metrics import defined
from zoo.metrics.scores import Scores, best_threshold, classification_scores
from zoo.registry import register_task
from zoo.tasks.base import Baselines, Example, Metrics, Plots, Task, number_schema, object_schema

METRICS = ("accuracy", "balanced_accuracy", "auroc", "average_precision")


@register_task("classification", target="class")
class Classification(Task):
    """Classification by cross-entropy: ``output`` (B, K) has logits, and ``y`` (B,) class indices as int64.

    For two classes, AUROC and average precision refer to ``spec.positive_class``. For more classes, they are means.
    """

    monitor, mode, monitors = "accuracy", "max", (*METRICS, "nll")
    rejected_options = dict.fromkeys(("loss",), "the target is a class")
    metric_labels: ClassVar[Mapping[str, str]] = {"nll": "log loss"}
    example = Example(lambda metrics, dataset: metrics["accuracy"], 0.9, 0.98, "accuracy {:.3f} is below", mode="max")
    weights: Tensor | None

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.spec = spec
        self.classes, self.positive, self.counts = spec.classes, spec.positive_class, spec.class_counts
        self.constant("weights", None)

    @classmethod
    def from_spec(cls, spec: DataSpec) -> Task:
        """Return the task for a spec, which is multilabel classification if rows have several labels."""
        return MultilabelClassification(spec) if spec.multilabel else cls(spec)

    @classmethod
    def output_shape(cls, spec: DataSpec) -> tuple[int, ...]:
        """Return (K,), one logit per class."""
        return (len(spec.classes),)

    def configure(self, options: ObjectiveOptions, *, label_smoothing: float) -> None:
        """Apply the options of a run; label smoothing and class weights apply to the training loss only."""
        super().configure(options, label_smoothing=label_smoothing)
        self.threshold_metric = options.threshold
        if options.threshold is not None and len(self.classes) != 2:
            raise ZooError(f"objective.threshold: requires two classes; there are {len(self.classes)}")
        if options.class_weights is not None:
            self.constant("weights", self.balanced_weights())

    def balanced_weights(self) -> Tensor:
        """Return weights (K,) with which each class has the same total weight: N / (K · rows of the class)."""
        rows = torch.tensor(self.counts, dtype=torch.float32).clamp(min=1)
        return rows.sum() / (len(rows) * rows)

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the cross-entropy, a scalar: the mean over rows, weighted by class weights.

        Mixed images count for both classes, in the proportions of the mixture.
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

    def metrics(self, stage: str) -> Metrics:
        """Return the loss, accuracy and the monitored metric for validation, and all metrics for the test."""
        names = METRICS if stage == "test" else [name for name in METRICS if name in ("accuracy", self.monitor)]
        known = dict(zip(METRICS, self.all_metrics(), strict=True))
        return Metrics({"nll": MeanMetric(), **{name: known[name] for name in names}})

    def all_metrics(self) -> tuple[Metric, ...]:
        """Return new metrics in the order of METRICS."""
        k = len(self.classes)
        rankings = (
            (defined.TwoClassAUROC(), defined.TwoClassAveragePrecision())
            if k == 2
            else (defined.MeanAUROC(k), defined.MeanAveragePrecision(k))
        )
        return (MulticlassAccuracy(k, average="micro"), defined.MeanRecall(k), *rankings)

    def update(self, metrics: Metrics, output: Tensor, batch: Batch) -> None:
        """Update the metrics with a batch; ``nll`` is the cross-entropy without smoothing and weights."""
        y, probability = batch["y"], output.float().softmax(1)
        nll = F.cross_entropy(output.float(), y, reduction="none")
        labels, ranking = (self.labels(probability), y), (probability, y)
        if len(self.classes) == 2:
            ranking = (probability[:, self.positive], (y == self.positive).long())
        metrics.feed(nll=(nll,), accuracy=labels, balanced_accuracy=labels, auroc=ranking, average_precision=ranking)

    def labels(self, probability: Tensor) -> Tensor:
        """Return the predicted class index (B,) of each row: the likeliest class, or by the positive class's threshold."""
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

    def baselines(self, dataset: Dataset, options: Mapping[str, Any]) -> Baselines:
        """Return the ``majority`` and a ``logistic regression``, which reads texts as sets of tokens."""
        from zoo.tasks.baselines import logistic_regression, majority

        return {"majority": partial(majority, dataset), "logistic regression": partial(logistic_regression, dataset)}

    def constant_baselines(self, split: Split) -> dict[str, Scores]:
        """Return the scores of ``majority``, the class frequencies of the training rows, if they are known."""
        if not self.counts:
            return {}
        y, rows = np.asarray(split["y"]), self.spec.rows if self.spec.multilabel else sum(self.counts)
        frequency = np.array(self.counts) / max(rows, 1)
        scores = classification_scores(self.spec, np.broadcast_to(frequency, (len(y), len(frequency))), y)
        return {"majority": {name: value for name, value in scores.items() if not np.isnan(value)}}

    def plots(self, dataset: Dataset, predictions: dict[str, Any], visualizations: Mapping[str, Tensor]) -> Plots:
        """Return plots of the confusion matrix, precision and recall, and of misclassified images."""
        from zoo.tasks.plots import confusion_plot, mistakes, precision_recall

        y: Any = dataset.test["y"]
        probability, plots = predictions["probability"], Plots()
        if len(self.classes) == 2:
            truth, score = (y == self.positive).float()[:, None], probability[:, self.positive][:, None]
            plots["precision_recall.png"] = partial(precision_recall, score, truth, [self.classes[self.positive]])
        labels = torch.tensor([self.classes.index(label) for label in predictions["label"]])
        plots["confusion.png"] = partial(confusion_plot, labels, y, self.classes)
        if self.spec.spatial:
            plots["mistakes.png"] = partial(mistakes, dataset.test["x"], probability, y, self.classes)
        return plots

    @classmethod
    def output_schema(cls, spec: DataSpec) -> dict[str, Any]:
        """Return the schema of a ``label`` and the ``probability`` of each class."""
        label: dict[str, Any] = {"type": "string", "enum": list(spec.classes)}
        if spec.multilabel:
            label = {"type": "array", "items": label}
        return object_schema(label=label, probability=object_schema(**dict.fromkeys(spec.classes, number_schema())))


class MultilabelClassification(Classification):
    """Classification with several labels per row: ``output`` (B, K) has logits, and ``y`` (B, K) floats, 0 or 1.

    The loss is the mean binary cross-entropy. Metrics are means over the labels, and accuracy is the share of correct
    labels.
    """

    monitor, mode = "average_precision", "max"
    rejected_options = dict.fromkeys(("threshold", "loss"), "rows have several labels")

    def balanced_weights(self) -> Tensor:
        """Return weights (K,) of the positive rows that give them the total weight of the negative rows, by label."""
        return torch.tensor([(self.spec.rows - n) / max(n, 1) for n in self.counts])

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

    def all_metrics(self) -> tuple[Metric, ...]:
        """Return fresh metrics in the order of METRICS."""
        k = len(self.classes)
        return (
            MultilabelAccuracy(k, average="macro"),
            defined.LabelBalancedAccuracy(k),
            defined.LabelAUROC(k),
            defined.LabelAveragePrecision(k),
        )

    def update(self, metrics: Metrics, output: Tensor, batch: Batch) -> None:
        """Update the metrics with a batch; ``nll`` is summed over the labels."""
        output, y = output.float(), batch["y"]
        nll = F.binary_cross_entropy_with_logits(output, y, reduction="none").sum(1)
        pair = (output.sigmoid(), y.long())
        metrics.feed(nll=(nll,), accuracy=pair, balanced_accuracy=pair, auroc=pair, average_precision=pair)

    def predictions(self, output: Tensor) -> dict[str, Tensor]:
        """Return the ``probability`` (B, K) of each label."""
        return {"probability": output.float().sigmoid()}

    def postprocess(self, predictions: dict[str, Tensor]) -> dict[str, Any]:
        """Return the list of predicted labels ``label`` of each row, and ``probability`` (B, K)."""
        likely = (predictions["probability"] > 0.5).tolist()
        return {"label": [[c for c, on in zip(self.classes, row, strict=True) if on] for row in likely], **predictions}

    def plots(self, dataset: Dataset, predictions: dict[str, Any], visualizations: Mapping[str, Tensor]) -> Plots:
        """Return a plot of precision and recall for each label."""
        from zoo.tasks.plots import precision_recall

        truth: Any = dataset.test["y"]
        return {"precision_recall.png": partial(precision_recall, predictions["probability"], truth, self.classes)}
