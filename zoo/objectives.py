"""What each task asks of a network's output: loss, counts while training, metrics, the figure to watch, decoding."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import MeanAbsoluteError, MeanMetric, MeanSquaredError, MetricCollection, R2Score
from torchmetrics.classification import (
    BinaryAUROC,
    BinaryAveragePrecision,
    MulticlassAccuracy,
    MulticlassAUROC,
    MulticlassAveragePrecision,
    MultilabelAccuracy,
    MultilabelAUROC,
    MultilabelAveragePrecision,
    MultilabelRecall,
    MultilabelSpecificity,
)

from zoo.data.dataset import Batch
from zoo.errors import ZooError, unknown
from zoo.options import ObjectiveOptions
from zoo.spec import PADDING, DataSpec


class Objective(Protocol):
    """The part of a task that a ZooModule calls."""

    monitor: str  # the validation figure that picks the best checkpoint
    mode: str  # min or max
    threshold: float | None  # on the probability of the positive of two classes; None: the likelier one

    def configure(self, options: ObjectiveOptions, *, label_smoothing: float) -> None:
        """Take up a run's options."""

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the mean loss of a batch, a scalar."""

    def count(self, output: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Return sums over the batch that become training means, counted where the output lies."""

    def metrics(self, stage: str) -> MetricCollection:
        """Return fresh metrics for ``val`` (cheap, each epoch) or ``test`` (all)."""

    def update(self, metrics: MetricCollection, output: Tensor, batch: Batch) -> None:
        """Add a batch to metrics of ``metrics``."""

    def choose_threshold(self, output: Tensor, y: Tensor, figure: str) -> float:
        """Return the threshold that is best for ``figure`` on these rows; asked for where one is to be chosen."""

    def answer(self, output: Tensor) -> dict[str, Tensor]:
        """Return what the output means, by name: probabilities, or values in original units."""

    def decode(self, output: Tensor) -> dict[str, Any]:
        """Return what a user reads: the answer, and the labels of classes."""

    def keep(self, output: Tensor, batch: Batch) -> Tensor | None:
        """Return what is kept of a test batch, for ``decode`` and pictures; None: nothing."""


class _Metrics(MetricCollection):
    """A collection whose members are fed by name, since a mean loss and an accuracy take different arguments."""

    def feed(self, **arguments: tuple[Any, ...]) -> None:
        for name, values in arguments.items():
            if name in self:
                self[name].update(*values)


def _multiclass(classes: int) -> dict[str, Any]:
    return {
        "accuracy": MulticlassAccuracy(classes, average="micro"),
        "balanced_accuracy": MulticlassAccuracy(classes, average="macro"),
        "auroc": MulticlassAUROC(classes),
        "average_precision": MulticlassAveragePrecision(classes),
    }


class Classification:
    """Cross-entropy over classes. ``output`` (B, K) logits, ``y`` (B,) int64.

    Of two classes, AUROC and average precision are those of ``spec.positive``; of more, means over the classes.
    """

    monitor, mode = "accuracy", "max"

    def __init__(self, spec: DataSpec) -> None:
        self.classes, self.positive, self.counts = spec.classes, spec.positive, spec.counts
        self.label_smoothing = 0.0  # these are set by configure
        self.weights: Tensor | None = None
        self.threshold: float | None = None

    def configure(self, options: ObjectiveOptions, *, label_smoothing: float) -> None:
        """Take up a run's options; smoothing and weights are for the training loss alone."""
        self.label_smoothing = label_smoothing
        self.monitor, self.mode = _watched(options.monitor, "accuracy", [*_multiclass(2), "nll"])
        _refuse(options, "the target is a class", "loss")
        if options.threshold is not None and len(self.classes) != 2:
            raise ZooError(f"objective.threshold: is for two classes; there are {len(self.classes)}")
        if options.class_weights is not None:
            self.weights = balanced(self.counts)

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the cross-entropy, a scalar; of mixed images that of both classes, by their shares."""
        weight = None if self.weights is None else self.weights.to(output)
        if "share" in batch:
            one, other = (
                F.cross_entropy(output, batch[y], weight, label_smoothing=self.label_smoothing, reduction="none")
                for y in ("y", "y2")
            )
            return (batch["share"] * one + (1 - batch["share"]) * other).mean()
        return F.cross_entropy(output, batch["y"], weight, label_smoothing=self.label_smoothing)

    def count(self, output: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Return the number of right answers."""
        return {"accuracy": (output.argmax(1) == batch["y"]).sum()}

    def metrics(self, stage: str) -> MetricCollection:
        """Return loss, accuracy and the watched figure; for the test all of them."""
        found = _multiclass(len(self.classes))
        if len(self.classes) == 2:
            found |= {"auroc": BinaryAUROC(), "average_precision": BinaryAveragePrecision()}
        if stage != "test":
            found = {name: metric for name, metric in found.items() if name in ("accuracy", self.monitor)}
        return _Metrics({"nll": MeanMetric(), **found}, compute_groups=False)

    def update(self, metrics: MetricCollection, output: Tensor, batch: Batch) -> None:
        """Add a batch; ``nll`` is the plain cross-entropy, without smoothing and weights."""
        y, probability = batch["y"], output.float().softmax(1)
        assert isinstance(metrics, _Metrics)
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

    def choose_threshold(self, output: Tensor, y: Tensor, figure: str) -> float:
        """Return the threshold on the positive class's probability that is best for ``figure`` on these rows."""
        score, truth = output.float().softmax(1)[:, self.positive].double(), y == self.positive
        order = score.argsort(descending=True, stable=True)
        score, truth = score[order], truth[order].double()
        hit = truth.cumsum(0)  # rows found rightly, with the threshold at each score
        false = (1 - truth).cumsum(0)
        positives, negatives = truth.sum().clamp(min=1), (1 - truth).sum().clamp(min=1)
        value = {
            "accuracy": hit + negatives - false,
            "balanced_accuracy": hit / positives + (negatives - false) / negatives,
            "f1": 2 * hit / (hit + false + positives),
        }[figure]
        last = torch.cat([score[1:] < score[:-1], torch.ones(1, dtype=torch.bool)])  # between different scores only
        best = int(torch.where(last, value, -torch.inf).argmax())
        below = score[best + 1] if best + 1 < len(score) else torch.zeros(())
        return float((score[best] + below) / 2)

    def answer(self, output: Tensor) -> dict[str, Tensor]:
        """Return ``probability`` (B, K)."""
        return {"probability": output.float().softmax(1)}

    def keep(self, output: Tensor, batch: Batch) -> Tensor | None:
        """Return the output."""
        return output

    def decode(self, output: Tensor) -> dict[str, Any]:
        """Return the class ``label`` of each row and ``probability`` (B, K)."""
        found = self.answer(output)
        return {"label": [self.classes[i] for i in self.labels(found["probability"]).tolist()], **found}


class Labels:
    """Several labels that may be true together. ``output`` (B, K) logits, ``y`` (B, K) float, 0 or 1.

    The loss is the mean binary cross-entropy; the figures are means over the labels, accuracy the share of right ones.
    """

    monitor, mode = "average_precision", "max"
    threshold = None

    def __init__(self, spec: DataSpec) -> None:
        self.classes, self.counts, self.rows = spec.classes, spec.counts, spec.rows
        self.label_smoothing = 0.0
        self.weights: Tensor | None = None

    def configure(self, options: ObjectiveOptions, *, label_smoothing: float) -> None:
        """Take up a run's options."""
        self.label_smoothing = label_smoothing
        self.monitor, self.mode = _watched(options.monitor, "average_precision", [*_multiclass(2), "nll"])
        _refuse(options, "there are several labels at once", "threshold", "loss")
        if options.class_weights is not None:  # of each label's true rows
            self.weights = torch.tensor([(self.rows - n) / max(n, 1) for n in self.counts])

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the binary cross-entropy, a scalar."""
        y = batch["y"]
        if "share" in batch:
            share = batch["share"].unsqueeze(1)
            y = share * y + (1 - share) * batch["y2"]
        y = y * (1 - self.label_smoothing) + self.label_smoothing / 2
        weight = None if self.weights is None else self.weights.to(output)
        return F.binary_cross_entropy_with_logits(output, y, pos_weight=weight)

    def count(self, output: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Return the sum over rows of the share of right labels."""
        return {"accuracy": ((output > 0) == (batch["y"] > 0.5)).float().mean(1).sum()}

    def metrics(self, stage: str) -> MetricCollection:
        """Return loss, accuracy and the watched figure; for the test all of them."""
        k = len(self.classes)
        found: dict[str, Any] = {
            "accuracy": MultilabelAccuracy(k, average="macro"),
            "balanced_accuracy": (MultilabelRecall(k) + MultilabelSpecificity(k)) / 2,
            "auroc": MultilabelAUROC(k),
            "average_precision": MultilabelAveragePrecision(k),
        }
        if stage != "test":
            found = {name: metric for name, metric in found.items() if name in ("accuracy", self.monitor)}
        return _Metrics({"nll": MeanMetric(), **found}, compute_groups=False)

    def update(self, metrics: MetricCollection, output: Tensor, batch: Batch) -> None:
        """Add a batch; ``nll`` is summed over the labels."""
        assert isinstance(metrics, _Metrics)
        output, y = output.float(), batch["y"]
        nll = F.binary_cross_entropy_with_logits(output, y, reduction="none").sum(1)
        pair = (output.sigmoid(), y.long())
        metrics.feed(nll=(nll,), accuracy=pair, balanced_accuracy=pair, auroc=pair, average_precision=pair)

    def answer(self, output: Tensor) -> dict[str, Tensor]:
        """Return ``probability`` (B, K), of each label for itself."""
        return {"probability": output.float().sigmoid()}

    def keep(self, output: Tensor, batch: Batch) -> Tensor | None:
        """Return the output."""
        return output

    def decode(self, output: Tensor) -> dict[str, Any]:
        """Return the list of ``label`` that are likely in each row, and ``probability`` (B, K)."""
        found = self.answer(output)
        likely = (found["probability"] > 0.5).tolist()
        return {"label": [[c for c, on in zip(self.classes, row, strict=True) if on] for row in likely], **found}


def balanced(counts: Sequence[int]) -> Tensor:
    """Return weights (K,) by which each class counts alike: N / (K · rows of the class)."""
    seen = torch.tensor(counts, dtype=torch.float32).clamp(min=1)
    return seen.sum() / (len(seen) * seen)


def _watched(asked: str | None, own: str, known: Sequence[str]) -> tuple[str, str]:
    """Return the figure that picks the best epoch, and whether more or less of it is better."""
    name = asked or own
    if name not in known:
        raise unknown("objective.monitor", name, known)
    return name, "min" if name in ("nll", "perplexity", "rmse", "mae", "mse") else "max"


class Regression:
    """Error of the standardised target. ``output`` (B, 1), ``y`` (B,) in original units."""

    monitor, mode = "rmse", "min"
    threshold = None

    def __init__(self, spec: DataSpec) -> None:
        self.mean, self.std = spec.target_mean, spec.target_std
        self.error = F.mse_loss

    def configure(self, options: ObjectiveOptions, *, label_smoothing: float) -> None:
        """Take up a run's options."""
        self.monitor, self.mode = _watched(options.monitor, "rmse", ("rmse", "mae", "r2"))
        self.error = F.l1_loss if options.loss == "mae" else F.mse_loss
        _refuse(options, "the target is a number", "class_weights", "threshold")

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the mean error in units of the target's deviation, squared unless ``objective.loss=mae``; a scalar."""
        y = batch["y"]
        if "share" in batch:
            y = batch["share"] * y + (1 - batch["share"]) * batch["y2"]
        return self.error(output.squeeze(1), (y - self.mean) / self.std)

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

    def keep(self, output: Tensor, batch: Batch) -> Tensor | None:
        """Return the output."""
        return output

    def decode(self, output: Tensor) -> dict[str, Any]:
        """Return ``value`` (B,) in original units."""
        return {**self.answer(output)}


class _Scaled(MeanMetric):
    """A function of a mean: what is summed over processes is the mean, not its function."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def compute(self) -> Tensor:
        return self.function(super().compute())


class LanguageModeling:
    """Cross-entropy of each next symbol. ``output`` (B, T, V) logits, ``y`` (B, T) int64; padding does not count.

    ``nll`` is in nats per symbol; perplexity is its exponential, and where symbols are characters it is given in bits
    too.
    """

    monitor, mode = "nll", "min"
    threshold = None

    def __init__(self, spec: DataSpec) -> None:
        self.vocabulary, self.characters = spec.vocabulary, spec.tokens == "characters"
        self.label_smoothing = 0.0

    def configure(self, options: ObjectiveOptions, *, label_smoothing: float) -> None:
        """Take up a run's options."""
        self.label_smoothing = label_smoothing
        self.monitor, self.mode = _watched(options.monitor, "nll", ("nll", "accuracy", "perplexity"))
        _refuse(options, "the target is the next symbol", "class_weights", "threshold", "loss")

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the mean cross-entropy, a scalar."""
        logits, y = output.flatten(0, 1), batch["y"].flatten()
        return F.cross_entropy(logits.float(), y, ignore_index=PADDING, label_smoothing=self.label_smoothing)

    def count(self, output: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Return nothing: the loss says it."""
        return {}

    def metrics(self, stage: str) -> MetricCollection:
        """Return nll, perplexity, accuracy and, of characters, bits per character."""
        found: dict[str, Any] = {"nll": MeanMetric(), "perplexity": _Scaled(torch.exp), "accuracy": MeanMetric()}
        if self.characters:
            found["bits_per_character"] = _Scaled(lambda nll: nll / math.log(2))
        return _Metrics(found, compute_groups=False)

    def update(self, metrics: MetricCollection, output: Tensor, batch: Batch) -> None:
        """Add a batch: each symbol counts alike."""
        assert isinstance(metrics, _Metrics)
        nll, right = self.surprise(output, batch), (output.argmax(2) == batch["y"]).float()
        inside = (batch["y"] != PADDING).float()
        pair = (nll, inside)
        metrics.feed(nll=pair, perplexity=pair, bits_per_character=pair, accuracy=(right, inside))

    def surprise(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the nats of each next symbol (B, T), 0 where it is padding."""
        logits = output.float().transpose(1, 2)
        return F.cross_entropy(logits, batch["y"], ignore_index=PADDING, reduction="none")

    def answer(self, output: Tensor) -> dict[str, Tensor]:
        """Return ``probability`` (B, T, V) of each symbol to come next."""
        return {"probability": output.float().softmax(2)}

    def keep(self, output: Tensor, batch: Batch) -> Tensor | None:
        """Return nothing: a test's outputs are the size of its text times that of the vocabulary."""
        return None

    def decode(self, output: Tensor) -> dict[str, Any]:
        """Return the likeliest next ``label`` of each text and ``probability`` (B, V) of what follows its end."""
        probability = output[:, -1].float().softmax(1)
        return {"label": [self.vocabulary[i] for i in probability.argmax(1).tolist()], "probability": probability}


class Forecasting:
    """Error of the standardised future. ``output`` (B, H, C), ``y`` (B, H, C) in original units.

    ``mse`` and ``mae`` are in units of the training deviation of each column, as the field gives them;
    ``mse_original`` and ``mae_original`` are in the columns' own.
    """

    monitor, mode = "mse", "min"
    threshold = None
    mean: Tensor

    def __init__(self, spec: DataSpec) -> None:
        every = len(spec.input_shape) and spec.input_shape[1]
        mean, std = (v if len(v) == every else v * every for v in (spec.mean, spec.std))
        self.mean, self.std = (torch.tensor([v[n] for n in spec.targets]) for v in (mean, std))
        self.error = F.mse_loss

    def configure(self, options: ObjectiveOptions, *, label_smoothing: float) -> None:
        """Take up a run's options."""
        self.monitor, self.mode = _watched(options.monitor, "mse", ("mse", "mae"))
        self.error = F.l1_loss if options.loss == "mae" else F.mse_loss
        _refuse(options, "the target is the future of a series", "class_weights", "threshold")

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the mean error over steps and columns, squared or, by ``objective.loss=mae``, absolute; a scalar."""
        return self.error(output.float(), self.standard(batch["y"]))

    def standard(self, y: Tensor) -> Tensor:
        """Return values in units of the training data's deviation."""
        return (y - self.mean.to(y)) / self.std.to(y)

    def count(self, output: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Return nothing: the loss says it."""
        return {}

    def metrics(self, stage: str) -> MetricCollection:
        """Return squared and absolute errors, standardised and in original units."""
        return _Metrics(
            {
                "mse": MeanSquaredError(),
                "mae": MeanAbsoluteError(),
                "mse_original": MeanSquaredError(),
                "mae_original": MeanAbsoluteError(),
            },
            compute_groups=False,
        )

    def update(self, metrics: MetricCollection, output: Tensor, batch: Batch) -> None:
        """Add a batch."""
        assert isinstance(metrics, _Metrics)
        # contiguous: torchmetrics flattens by view
        pair = (output.float().contiguous(), self.standard(batch["y"]).contiguous())
        original = (self.answer(output)["value"].contiguous(), batch["y"].contiguous())
        metrics.feed(mse=pair, mae=pair, mse_original=original, mae_original=original)

    def answer(self, output: Tensor) -> dict[str, Tensor]:
        """Return ``value`` (B, H, C) in original units."""
        output = output.float()
        return {"value": output * self.std.to(output) + self.mean.to(output)}

    def keep(self, output: Tensor, batch: Batch) -> Tensor | None:
        """Return the output."""
        return output

    def decode(self, output: Tensor) -> dict[str, Any]:
        """Return ``value`` (B, H, C) in original units."""
        return {**self.answer(output)}


def _refuse(options: ObjectiveOptions, why: str, *names: str) -> None:
    asked = [name for name in names if getattr(options, name) is not None]
    if asked:
        raise ZooError(f"objective.{asked[0]}: does not go with this task; {why}")


_OBJECTIVES: dict[str, Callable[[DataSpec], Objective]] = {
    "classification": Classification,
    "labels": Labels,
    "regression": Regression,
    "language_modeling": LanguageModeling,
    "forecasting": Forecasting,
}


def objective_of(spec: DataSpec) -> Objective:
    """Return the objective of a spec's task."""
    return _OBJECTIVES["labels" if spec.multilabel else spec.task](spec)


def confusion(predicted: Tensor, y: Tensor, classes: int) -> Tensor:
    """Return counts (classes, classes): row the true class, column the answer."""
    return torch.bincount(y * classes + predicted, minlength=classes**2).view(classes, classes)
