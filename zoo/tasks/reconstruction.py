"""Data given back: how far off it is, and whether that tells anomalies from what is normal."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import MeanMetric, MetricCollection
from torchmetrics.classification import BinaryF1Score
from torchmetrics.image import StructuralSimilarityIndexMeasure

from zoo.config.schema import ObjectiveOptions
from zoo.data.dataset import Batch
from zoo.data.spec import DataSpec
from zoo.data.table.read import coded, numeric_columns
from zoo.metrics.defined import TwoClassAUROC, TwoClassAveragePrecision
from zoo.registry import register_task
from zoo.tasks.base import Metrics, Scaled, Task, best_threshold, refuse, watched
from zoo.utils.precision import to_widest_dtype

SMALLEST = 16  # pixels a side: SSIM looks at windows of 11
FALSE_ALARMS = 0.01  # of normal rows, by the threshold that is set where validation holds no anomaly


@register_task("reconstruction", unsupervised=True)
class Reconstruction(Task):
    """Squared error of what is given back. ``output`` is like ``target(x)``: images in [0, 1], else standardised.

    ``mse`` is the mean per number, ``sse`` the sum per row; of images, ``psnr`` is −10 log₁₀ mse in decibels. Where
    there are anomalies, they are ranked by their error, which then is that of the normal rows alone, and ``f1`` is
    found with a threshold from validation.
    """

    monitor, mode, fallback_monitor = "mse", "min", "mse"
    mean: Tensor
    std: Tensor
    numbers: Tensor  # the columns of a table that are no texts
    after_scale: Tensor  # what makes the answers of a table its values again
    after_shift: Tensor

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.spec, self.detects_anomalies = spec, bool(spec.normal_classes)
        mean, std = torch.tensor(spec.mean), torch.tensor(spec.std)
        self.constant("mean", mean)
        self.constant("std", std)
        self.offsets: list[float] = []  # that a table's large numbers are less of
        if spec.modality == "table":
            numbers = numeric_columns(spec)
            scale, shift = torch.ones(spec.encoded_size), torch.zeros(spec.encoded_size)
            scale[: len(numbers)], shift[: len(numbers)] = std[numbers], mean[numbers]
            for name, value in (("numbers", numbers), ("after_scale", scale), ("after_shift", shift)):
                self.constant(name, value)
            offsets = [*spec.reading.offsets, *[0.0] * spec.encoded_size]
            self.offsets = [offsets[n] for n in numbers] + [0.0] * (spec.encoded_size - len(numbers))

    def configure(self, options: ObjectiveOptions, *, label_smoothing: float) -> None:
        """Take up a run's options."""
        known = [name for name in self.names("test") if name not in ("f1", "ssim", "kl", "nll")]
        self.monitor, self.mode = watched(options.monitor, self.monitor, known)
        refuse(options, "the target is the input itself", "class_weights", "loss")
        if not self.detects_anomalies:
            refuse(options, "there are no anomalies to find; data.normal_classes says what is normal", "threshold")
        self.threshold_metric = options.threshold or ("f1" if self.detects_anomalies else None)

    def target(self, x: Tensor) -> Tensor:
        """Return what raw ``x`` is to be given back as: images as they are, tables coded, series standardised."""
        if self.spec.modality == "image":
            return x
        standard = (x - self.mean) / self.std
        return (
            coded(self.spec, x, standard.index_select(1, self.numbers)) if self.spec.modality == "table" else standard
        )

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the mean squared error, a scalar."""
        return F.mse_loss(output.float(), self.target(batch["x"]))

    def error(self, output: Tensor, x: Tensor) -> Tensor:
        """Return the squared error of each row (B,), summed over its numbers."""
        return (output.float() - self.target(x)).square().flatten(1).sum(1)

    def anomaly_score(self, output: Tensor, x: Tensor) -> Tensor:
        """Return how badly each row (B,) is given back, a mean square.

        Of images it is that of the difference's mean over each 3×3 pixels, so that an edge a pixel beside counts less
        than a part that is not there.
        """
        far = output.float() - self.target(x)
        if self.spec.modality == "image":
            far = F.avg_pool2d(far, 3, stride=1, padding=1)
        return far.square().flatten(1).mean(1)

    def names(self, stage: str) -> list[str]:
        """Return the figures of a stage."""
        found = ["mse", "sse"] + (["psnr"] if self.spec.modality == "image" else [])
        ranked = ["auroc", "average_precision"] + (["f1"] if stage == "test" else [])
        if stage == "test" and self.spec.modality == "image" and min(self.spec.input_shape[1:]) >= SMALLEST:
            found.append("ssim")
        found += ranked if self.detects_anomalies else []
        return found if stage == "test" else [name for name in found if name in ("mse", self.monitor)]

    def metrics(self, stage: str) -> MetricCollection:
        """Return the error, and how well it ranks anomalies; for the test in each form."""
        known: dict[str, Any] = {
            "psnr": lambda: Scaled(lambda mse: -10 * mse.log10()),
            "ssim": lambda: StructuralSimilarityIndexMeasure(data_range=1.0),
            "auroc": TwoClassAUROC,
            "average_precision": TwoClassAveragePrecision,
            "f1": BinaryF1Score,
        }
        return Metrics({name: known.get(name, MeanMetric)() for name in self.names(stage)}, compute_groups=False)

    def update(self, metrics: MetricCollection, output: Any, batch: Batch) -> None:
        """Add a batch; ``output`` as of the network, or with a ``score`` (B,) that ranks anomalies beside it."""
        named = output if isinstance(output, dict) else {"output": output}
        assert isinstance(metrics, Metrics)
        out, x = named["output"].float(), batch["x"]
        normal = self.normal(batch)
        with torch.autocast(x.device.type, enabled=False):  # SSIM is a difference of large numbers
            error, weight = self.error(out, x), normal.float()
            pair = (error / self.spec.outputs, weight)
            metrics.feed(mse=pair, psnr=pair, sse=(error, weight))
            if "ssim" in metrics and bool(normal.any()):
                metrics.feed(ssim=(out[normal], x[normal]))
        if self.detects_anomalies:
            score = to_widest_dtype(self.score(named, x))
            alarm = score >= (math.inf if self.threshold is None else self.threshold)
            share = 0.5 + 0.5 * score / (1 + score.abs())  # torchmetrics takes what is not in [0, 1] for logits
            both = (share, batch["y"])
            metrics.feed(auroc=both, average_precision=both, f1=(alarm.long(), batch["y"]))

    def normal(self, batch: Batch) -> Tensor:
        """Return which rows (B,) the error is of: those that are no anomalies."""
        if self.detects_anomalies:
            return batch["y"] == 0
        return torch.ones(len(batch["x"]), dtype=torch.bool, device=batch["x"].device)

    def score(self, named: dict[str, Tensor], x: Tensor) -> Tensor:
        """Return how odd each row is (B,): the more, the likelier an anomaly."""
        found = named.get("score")
        return self.anomaly_score(named["output"], x) if found is None else found

    def collect(self, output: Any, batch: Batch) -> Tensor | None:
        """Return each row's score."""
        return self.score(output if isinstance(output, dict) else {"output": output}, batch["x"])

    def postprocess_outputs(self, kept: Tensor) -> dict[str, Any]:
        """Return the scores."""
        return {"score": kept}

    def choose_threshold(self, kept: Tensor, y: Tensor) -> float:
        """Return the threshold on the score; of normal rows alone, one that few of them pass."""
        assert self.threshold_metric is not None
        if not bool((y == 1).any()):
            return float(kept.double().quantile(1 - FALSE_ALARMS))
        return best_threshold(kept, y == 1, self.threshold_metric)

    def predictions(self, output: Tensor) -> dict[str, Tensor]:
        """Return ``reconstruction``, in original units; of a table its numbers, then each text as 0 to 1."""
        out = output.float()
        if self.spec.modality == "series":
            return {"reconstruction": out * self.std + self.mean}
        if self.spec.modality == "table":
            value = out * self.after_scale + self.after_shift
            if any(self.offsets):
                value = value.to("cpu" if value.device.type == "mps" else value.device, torch.float64)
                value = value + torch.tensor(self.offsets, dtype=torch.float64, device=value.device)
            return {"reconstruction": value}
        return {"reconstruction": out}

    def postprocess(self, predictions: dict[str, Tensor]) -> dict[str, Any]:
        """Return the answer and, where anomalies are looked for, each row's ``label`` by its score."""
        if "score" not in predictions or self.threshold is None:
            return {**predictions}
        return {
            "label": [self.spec.classes[on] for on in (predictions["score"] >= self.threshold).long().tolist()],
            **predictions,
        }
