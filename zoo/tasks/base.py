"""The part of a task that the training loop calls, and what the tasks' objectives share."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric, MetricCollection

from zoo.config.schema import ObjectiveOptions
from zoo.data.dataset import Batch
from zoo.data.spec import DataSpec
from zoo.exceptions import ZooError, unknown

LESS_IS_BETTER = ("nll", "perplexity", "rmse", "mae", "mse", "sse", "frechet_pca", "frechet_zoo_cnn")


class Task(nn.Module):
    """What a task asks of a network's output: loss, counts while training, metrics, the figure to watch, decoding.

    It is a part of its model, so that its tensors are where the model is: buffers that no checkpoint holds, since spec
    and options say what they are.

    ``monitor`` is the validation figure that picks the best checkpoint, ``mode`` min or max. ``threshold`` is on the
    probability of the positive of two classes (None: the likelier one), or on a score; where ``threshold_metric`` names a
    figure, it is chosen for it on validation, after training. ``fallback_monitor`` is the validation figure that every set
    of rows has as long as the weights are finite; it is watched where the ``monitor`` is not defined.
    """

    name: ClassVar[str] = ""
    monitor: str
    mode: str
    fallback_monitor: str = "nll"
    threshold: float | None = None
    threshold_metric: str | None = None

    @classmethod
    def from_spec(cls, spec: DataSpec) -> Task:
        """Return the task of a spec."""
        return cls(spec)  # type: ignore[call-arg]

    def constant(self, name: str, value: Tensor | None) -> None:
        """Keep a tensor that follows from spec and options, under ``name``."""
        self.register_buffer(name, value, persistent=False)

    def configure(self, options: ObjectiveOptions, *, label_smoothing: float) -> None:
        """Take up a run's options."""
        raise NotImplementedError

    def watch(self, figure: str) -> None:
        """Have another validation figure pick the best checkpoint."""
        self.monitor, self.mode = figure, "min" if figure in LESS_IS_BETTER else "max"

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the mean loss of a batch, a scalar."""
        raise NotImplementedError

    def batch_statistics(self, output: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Return sums over the batch that become training means, counted where the output lies."""
        return {}

    def metrics(self, stage: str) -> MetricCollection:
        """Return fresh metrics for ``val`` (cheap, each epoch) or ``test`` (all)."""
        raise NotImplementedError

    def update(self, metrics: MetricCollection, output: Any, batch: Batch) -> None:
        """Add a batch to such metrics; ``output`` is what the model's ``eval_step`` returned."""
        raise NotImplementedError

    def predictions(self, output: Tensor) -> dict[str, Tensor]:
        """Return what the output means, by name: probabilities, or values in original units."""
        raise NotImplementedError

    def postprocess(self, predictions: dict[str, Tensor]) -> dict[str, Any]:
        """Return what a user reads: the answer, and the labels of classes."""
        return {**predictions}

    def collect(self, output: Any, batch: Batch) -> Tensor | None:
        """Return what is kept of a test batch, a row each, for ``postprocess_outputs`` and ``choose_threshold``; None: nothing."""
        kept: Tensor | None = output
        return kept

    def postprocess_outputs(self, kept: Tensor) -> dict[str, Any]:
        """Return what pictures show of what was kept."""
        return self.postprocess(self.predictions(kept))

    def choose_threshold(self, kept: Tensor, y: Tensor) -> float:
        """Return the threshold that is best for ``threshold_metric`` on these rows."""
        raise NotImplementedError


class Metrics(MetricCollection):
    """A collection whose members are fed by name, since a mean loss and an accuracy take different arguments."""

    def feed(self, **arguments: tuple[Any, ...]) -> None:
        """Update those that are there."""
        for name, values in arguments.items():
            if name in self:
                self[name].update(*values)

    def scalars(self) -> dict[str, float]:
        """Return the figures, those that are not defined left out."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of figures that nothing was added to
            return {name: float(value) for name, value in self.compute().items() if not torch.isnan(value)}


class Scaled(MeanMetric):
    """A function of a mean: what is summed over processes is the mean, not its function."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def compute(self) -> Tensor:
        """Return the function of the mean."""
        return self.function(super().compute())


def watched(asked: str | None, own: str, known: Sequence[str]) -> tuple[str, str]:
    """Return the figure that picks the best epoch, and whether more or less of it is better.

    Raises:
        ZooError: this task has no such figure.
    """
    name = asked or own
    if name not in known:
        raise unknown("objective.monitor", name, known)
    return name, "min" if name in LESS_IS_BETTER else "max"


def refuse(options: ObjectiveOptions, why: str, *names: str) -> None:
    """Raise ZooError where one of the options ``names`` was asked for."""
    asked = [name for name in names if getattr(options, name) is not None]
    if asked:
        raise ZooError(f"objective.{asked[0]}: does not go with this task; {why}")


def best_threshold(score: Tensor, truth: Tensor, figure: str) -> float:
    """Return where to cut scores (N,), so that ``figure`` of finding what is true (N,) by a higher score is best."""
    score = score.double()
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
    below = score[best + 1] if best + 1 < len(score) else torch.minimum(torch.zeros(()), 2 * score[best])
    return float((score[best] + below) / 2)
