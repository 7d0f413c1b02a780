"""The base class of tasks, and parts that they share."""

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

Plots = dict[str, Callable[[Path], Path]]  # file name to a function that writes the plot and returns its path
Baselines = dict[str, Callable[[], Scores]]


@dataclass(frozen=True)
class Example:
    """The scores that a fit of a few seconds on a modality's synthetic data must reach in the conformance checks.

    ``score(metrics, dataset)`` returns a score. The test score must reach ``floor``, which no constant prediction does.
    The fit ends once the validation score reaches ``enough``. ``message`` formats a score for an error. ``mode`` is
    "max" if a higher score is better.
    """

    score: Callable[[Mapping[str, float], Any], float]
    floor: float
    enough: float
    message: str
    mode: str = "min"

    def reaches(self, score: float, bound: float) -> bool:
        """Return whether a score is at least as good as ``bound``."""
        return score >= bound if self.mode == "max" else score <= bound


class Task(nn.Module):
    """A task: loss, metrics, the metric to monitor, predictions, baselines and plots for a network's output.

    A task is a submodule of its model, so its tensors are on the model's device. They are buffers that no checkpoint
    holds, since the spec and the options determine them. ``register_task`` registers a subclass; one file is enough.

    - ``monitor`` is the validation metric that selects the best checkpoint, and ``mode`` is "min" or "max". A run may
      choose another of ``monitors``.
    - ``fallback_monitor`` is a validation metric that is defined for all rows while the weights are finite. It is
      monitored where the ``monitor`` is undefined.
    - ``rejected_options`` maps options of ``objective`` that do not apply to the task to a reason.
    - ``options`` and ``label_smoothing`` of a run apply to the training loss only.
    - ``threshold`` applies to the probability of the positive class of two (None: the likelier class), or to a score. If
      ``threshold_metric`` names a metric, the threshold is chosen for it on validation data after training.
    - ``collects_outputs``: keep the test outputs of all rows for plots.
    - ``lower_is_better`` names the metrics for which a lower value is better.
    - ``metric_labels`` has the printed names of metrics that differ from those in other tasks.
    - ``example`` is for the conformance checks.
    - ``progress_axis`` is the x axis of learning curves.
    - ``demo`` is the page of ``zoo demo``: predict, reconstruct, generate, sample or play.
    - ``command`` is the command that uses the folder of a trained model.
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
        """Return the task for a spec."""
        return cls(spec)

    @classmethod
    def output_shape(cls, spec: DataSpec) -> tuple[int, ...]:
        """Return the shape of a network's output for one sample."""
        raise NotImplementedError

    @classmethod
    def output_size(cls, spec: DataSpec) -> int:
        """Return the size of a network's output for one sample; in language modeling for one token."""
        return math.prod(cls.output_shape(spec))

    def constant(self, name: str, value: Tensor | None) -> None:
        """Register a tensor that the spec and the options determine, under ``name``."""
        self.register_buffer(name, value, persistent=False)

    def configure(self, options: ObjectiveOptions, *, label_smoothing: float) -> None:
        """Apply the options of a run: monitor their metric, or the task's default.

        Raises:
            ZooError: the task has no such metric, or an option does not apply to it.
        """
        self.options, self.label_smoothing = options, label_smoothing
        monitor, known = options.monitor or type(self).monitor, self.monitors or (type(self).monitor,)
        if monitor not in known:
            raise unknown("objective.monitor", monitor, known)
        self.watch(monitor)
        for name, reason in self.rejected_options.items():
            if getattr(options, name) is not None:
                raise ZooError(f"objective.{name}: does not apply to this task: {reason}")

    def watch(self, metric: str) -> None:
        """Monitor another validation metric, which selects the best checkpoint."""
        self.monitor, self.mode = metric, "min" if metric in self.lower_is_better else "max"

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the mean loss of a batch, a scalar."""
        raise NotImplementedError

    def batch_statistics(self, output: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Return sums over the batch that become training means, computed on the device of the output."""
        return {}

    def ensemble_mean(self, outputs: Tensor) -> Tensor:
        """Return the output (B, …) of an ensemble's mean prediction from its outputs (B, members, …)."""
        return outputs.mean(1)

    def metrics(self, stage: str) -> Metrics:
        """Return new metrics for ``val`` (cheap, each epoch) or ``test`` (all)."""
        raise NotImplementedError

    def update(self, metrics: Metrics, output: Any, batch: Batch) -> None:
        """Update the metrics with a batch; ``output`` is the result of the model's ``eval_step``."""
        raise NotImplementedError

    def test_scores(self, outputs: Iterable[tuple[Any, Batch]]) -> Scores:
        """Return the test metrics of outputs and their batches."""
        metrics = self.metrics("test")
        for output, batch in outputs:
            self.update(metrics, output, batch)
        return metrics.scalars()

    def predictions(self, output: Tensor) -> dict[str, Tensor]:
        """Return named predictions for an output: probabilities, or values in original units."""
        raise NotImplementedError

    def postprocess(self, predictions: dict[str, Tensor]) -> dict[str, Any]:
        """Return the predictions for users: predicted values, and the labels of classes."""
        return {**predictions}

    def collect(self, output: Any, batch: Batch) -> Tensor | None:
        """Return one entry per row of a test batch, for ``postprocess_outputs`` and ``choose_threshold``, or None."""
        return output if self.collects_outputs else None

    def postprocess_outputs(self, collected: Tensor) -> dict[str, Any]:
        """Return the predictions for plots from the collected outputs."""
        return self.postprocess(self.predictions(collected))

    def choose_threshold(self, collected: Tensor, y: Tensor) -> float:
        """Return the best threshold for ``threshold_metric`` on these rows."""
        raise NotImplementedError

    def metric_names(self, stage: str) -> list[str] | None:
        """Return the names of a stage's metrics; None if they depend on the data."""
        return list(dict.fromkeys([*self.metrics(stage), self.monitor]))

    def baselines(self, dataset: Dataset, options: Mapping[str, Any]) -> Baselines:
        """Return named functions that compute the test scores of simpler predictors.

        ``options`` are those of the model to compare with.
        """
        return {}

    def constant_baselines(self, split: Split) -> dict[str, Scores]:
        """Return metrics, on the rows of a new file, of predictions that depend on training data only."""
        return {}

    def plots(self, dataset: Dataset, predictions: dict[str, Any], visualizations: Mapping[str, Tensor]) -> Plots:
        """Return functions, by file name, that plot the test's ``predictions`` and a model's ``visualizations``."""
        return {}

    def callbacks(self, model: Any, folder: Path) -> list[Callback]:
        """Return callbacks that write to a run's ``folder`` while ``model`` trains."""
        return []

    @classmethod
    def output_schema(cls, spec: DataSpec) -> dict[str, Any] | None:
        """Return the JSON schema of one row's prediction; None if ``zoo serve`` cannot predict single rows."""
        return None

    @classmethod
    def data_options(cls, spec: DataSpec) -> dict[str, Any]:
        """Return the data options that give rows of the size in ``spec``, by dotted key."""
        return {}


class EpochSamples(Callback):
    """Writes a model's samples to ``path`` after each epoch, by ``write``.

    If that fails, it prints a warning and stops.
    """

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
    """Return the JSON schema of an object with all of ``properties``."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def number_schema(dimensions: int = 0) -> dict[str, Any]:
    """Return the JSON schema of a number, or of nested lists of numbers."""
    return {"type": "array", "items": number_schema(dimensions - 1)} if dimensions else {"type": "number"}


class Metrics(MetricCollection):
    """A metric collection whose members are updated by name, since they take different arguments."""

    def __init__(self, metrics: dict[str, Any]) -> None:
        super().__init__(metrics, compute_groups=False)

    def feed(self, **arguments: tuple[Any, ...]) -> None:
        """Update the named metrics that the collection has."""
        for name, values in arguments.items():
            if name in self:
                self[name].update(*values)

    def scalars(self) -> Scores:
        """Return the metrics that are defined, as numbers."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # warnings about metrics without an update
            return {name: float(value) for name, value in self.compute().items() if not torch.isnan(value)}


class TransformedMean(MeanMetric):
    """A function of a mean. Processes reduce the mean, not its function."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def compute(self) -> Tensor:
        """Return the function of the mean."""
        return self.function(super().compute())
