"""The base class of tasks, and what they share."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torchmetrics import MeanMetric, MetricCollection

from zoo.config.schema import ObjectiveOptions
from zoo.data.dataset import Batch, Dataset, Split
from zoo.data.spec import DataSpec
from zoo.exceptions import ZooError, unknown
from zoo.metrics.scores import Scores
from zoo.utils.console import Guard

Plots = dict[str, Callable[[Path], Path]]  # by file name: writes a plot and returns where
Baselines = dict[str, Callable[[], Scores]]


@dataclass(frozen=True)
class Example:
    """What a fit of seconds on a modality's generated data must reach, for the conformance checks.

    ``score(metrics, dataset)`` is compared: the test's with ``floor``, which no constant answer reaches; validation's
    with ``enough``, which ends the fit. ``message`` formats the score. ``mode`` says whether more is better.
    """

    score: Callable[[Mapping[str, float], Any], float]
    floor: float
    enough: float
    message: str
    mode: str = "min"

    def reaches(self, score: float, bound: float) -> bool:
        """Tell whether a score is as good as ``bound``."""
        return score >= bound if self.mode == "max" else score <= bound


class Task(nn.Module):
    """What a task asks of a network's output: loss, metrics, the metric to monitor, predictions, baselines, plots.

    It is a part of its model, so that its tensors are where the model is: buffers that no checkpoint holds, since spec
    and options say what they are. A subclass is registered with ``register_task``; one file is enough.

    ``monitor`` is the validation metric that picks the best checkpoint, ``mode`` min or max, ``monitors`` those that a
    run may choose for it. ``rejected_options`` says of options in ``objective`` why they do not go with the task. A run's
    ``options`` and ``label_smoothing`` are for the training loss. ``threshold`` is on the
    probability of the positive of two classes (None: the likelier one), or on a score; where ``threshold_metric`` names a
    metric, it is chosen for it on validation, after training. ``fallback_monitor`` is the validation metric that every
    set of rows has as long as the weights are finite; it is monitored where the ``monitor`` is not defined.

    Where it ``collects_outputs``, the rows of the test's outputs are kept for plots. ``lower_is_better`` names the
    metrics of which less is better, ``metric_labels`` has the words for keys that mean something else in other tasks,
    ``example`` is for the conformance checks, ``progress_axis`` the x axis of learning curves. ``demo`` names the page
    of ``zoo demo``: predict, reconstruct, generate, sample, or play. ``command`` is the command that uses a trained
    model's folder.
    """

    name: ClassVar[str] = ""
    monitor: str
    mode: str
    monitors: Sequence[str] = ()
    rejected_options: ClassVar[Mapping[str, str]] = {}
    options = ObjectiveOptions()
    label_smoothing = 0.0
    fallback_monitor: str = "nll"
    threshold: float | None = None
    threshold_metric: str | None = None
    detects_anomalies: bool = False
    collects_outputs: ClassVar[bool] = True
    lower_is_better: ClassVar[tuple[str, ...]] = (
        *("nll", "perplexity", "bits_per_character", "rmse", "mae", "mse", "sse"),
        *("frechet_pca", "frechet_zoo_cnn"),
    )
    metric_labels: ClassVar[Mapping[str, str]] = {}
    example: ClassVar[Example | None] = None
    progress_axis: ClassVar[str] = "epoch"
    demo: ClassVar[str] = "predict"
    command: ClassVar[str] = "zoo predict {} INPUT…"

    @classmethod
    def from_spec(cls, spec: DataSpec) -> Task:
        """Return the task of a spec."""
        return cls(spec)

    @classmethod
    def output_shape(cls, spec: DataSpec) -> tuple[int, ...]:
        """Return the shape of a network's output for one sample."""
        raise NotImplementedError

    @classmethod
    def output_size(cls, spec: DataSpec) -> int:
        """Return how many numbers a network gives: for one sample, of a text for one symbol."""
        return math.prod(cls.output_shape(spec))

    def constant(self, name: str, value: Tensor | None) -> None:
        """Keep a tensor that follows from spec and options, under ``name``."""
        self.register_buffer(name, value, persistent=False)

    def configure(self, options: ObjectiveOptions, *, label_smoothing: float) -> None:
        """Take up a run's options: monitor the metric that they name, else the task's default.

        Raises:
            ZooError: the task has no such metric, or an option does not go with it.
        """
        self.options, self.label_smoothing = options, label_smoothing
        monitor, known = options.monitor or type(self).monitor, self.monitors or (type(self).monitor,)
        if monitor not in known:
            raise unknown("objective.monitor", monitor, known)
        self.watch(monitor)
        for name, reason in self.rejected_options.items():
            if getattr(options, name) is not None:
                raise ZooError(f"objective.{name}: does not go with this task; {reason}")

    def watch(self, metric: str) -> None:
        """Have another validation metric pick the best checkpoint."""
        self.monitor, self.mode = metric, "min" if metric in self.lower_is_better else "max"

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the mean loss of a batch, a scalar."""
        raise NotImplementedError

    def batch_statistics(self, output: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Return sums over the batch that become training means, counted where the output lies."""
        return {}

    def ensemble_mean(self, outputs: Tensor) -> Tensor:
        """Return an output (B, …) for the mean prediction of an ensemble's outputs (B, members, …)."""
        return outputs.mean(1)

    def metrics(self, stage: str) -> Metrics:
        """Return fresh metrics for ``val`` (cheap, each epoch) or ``test`` (all)."""
        raise NotImplementedError

    def update(self, metrics: Metrics, output: Any, batch: Batch) -> None:
        """Add a batch to such metrics; ``output`` is what the model's ``eval_step`` returned."""
        raise NotImplementedError

    def test_scores(self, outputs: Iterable[tuple[Any, Batch]]) -> Scores:
        """Return the test's metrics of outputs with their batches."""
        metrics = self.metrics("test")
        for output, batch in outputs:
            self.update(metrics, output, batch)
        return metrics.scalars()

    def predictions(self, output: Tensor) -> dict[str, Tensor]:
        """Return what the output means, by name: probabilities, or values in original units."""
        raise NotImplementedError

    def postprocess(self, predictions: dict[str, Tensor]) -> dict[str, Any]:
        """Return what a user reads: the answer, and the labels of classes."""
        return {**predictions}

    def collect(self, output: Any, batch: Batch) -> Tensor | None:
        """Return a row for each of a test batch, for ``postprocess_outputs`` and ``choose_threshold``; None: nothing."""
        return output if self.collects_outputs else None

    def postprocess_outputs(self, collected: Tensor) -> dict[str, Any]:
        """Return the predictions that plots show, of the collected rows."""
        return self.postprocess(self.predictions(collected))

    def choose_threshold(self, collected: Tensor, y: Tensor) -> float:
        """Return the threshold that is best for ``threshold_metric`` on these rows."""
        raise NotImplementedError

    def metric_names(self, stage: str) -> list[str] | None:
        """Return the names of a stage's metrics; None where they depend on the data."""
        return list(dict.fromkeys([*self.metrics(stage), self.monitor]))

    def baselines(self, dataset: Dataset, options: Mapping[str, Any]) -> Baselines:
        """Return, by name, functions that measure what is simpler than a network on the test rows.

        ``options`` are those of the model that they are compared with.
        """
        return {}

    def constant_baselines(self, split: Split) -> dict[str, Scores]:
        """Return metrics, on the rows of a new file, of predictions that training data alone decides."""
        return {}

    def plots(self, dataset: Dataset, predictions: dict[str, Any], visualizations: Mapping[str, Tensor]) -> Plots:
        """Return, by file names, what draws the test's ``predictions`` and a model's ``visualizations``."""
        return {}

    def callbacks(self, model: Any, folder: Path) -> list[Callback]:
        """Return callbacks that write into a run's ``folder`` while ``model`` trains."""
        return []

    @classmethod
    def output_schema(cls, spec: DataSpec) -> dict[str, Any] | None:
        """Return the JSON schema of one row's prediction; None where ``zoo serve`` cannot answer by rows."""
        return None

    @classmethod
    def data_options(cls, spec: DataSpec) -> dict[str, Any]:
        """Return the options of data that give rows of the size in ``spec``, by dotted key."""
        return {}


class EpochSamples(Callback):
    """Writes samples of a model to ``path`` after each epoch, by ``write``; a warning says where that failed."""

    def __init__(self, path: Path) -> None:
        self.path, self.guard = path, Guard()

    def write(self, model: Any) -> None:
        """Write the epoch's samples."""
        raise NotImplementedError

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Write the epoch's samples, unless that failed before."""
        if not self.guard.missing:
            self.guard.attempt("samples of each epoch", lambda: self.write(module), None)


def object_schema(**properties: Any) -> dict[str, Any]:
    """Return the JSON schema of an object that has all of ``properties``."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def number_schema(dimensions: int = 0) -> dict[str, Any]:
    """Return the JSON schema of a number, or of nested lists of numbers."""
    return {"type": "array", "items": number_schema(dimensions - 1)} if dimensions else {"type": "number"}


class Metrics(MetricCollection):
    """A collection whose members are fed by name, since a mean loss and an accuracy take different arguments."""

    def __init__(self, metrics: dict[str, Any]) -> None:
        super().__init__(metrics, compute_groups=False)

    def feed(self, **arguments: tuple[Any, ...]) -> None:
        """Update those that are there."""
        for name, values in arguments.items():
            if name in self:
                self[name].update(*values)

    def scalars(self) -> Scores:
        """Return the metrics that are defined, as numbers."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of metrics that nothing was added to
            return {name: float(value) for name, value in self.compute().items() if not torch.isnan(value)}


class TransformedMean(MeanMetric):
    """A function of a mean: the mean is reduced over processes, not its function."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def compute(self) -> Tensor:
        """Return the function of the mean."""
        return self.function(super().compute())
