"""Numbers: one for each row, or the future of a series."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import MeanAbsoluteError, MeanSquaredError, MetricCollection

from zoo.config.schema import ObjectiveOptions
from zoo.data.dataset import Batch
from zoo.data.spec import DataSpec
from zoo.metrics.defined import DefinedR2
from zoo.registry import register_task
from zoo.tasks.base import Metrics, Task, refuse, watched


@register_task("regression")
class Regression(Task):
    """Error of the standardised target. ``output`` (B, 1), ``y`` (B,) in original units, less ``target_offset``."""

    monitor, mode, fallback_monitor = "rmse", "min", "rmse"

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.mean, self.std, self.offset = spec.target_mean, spec.target_std, spec.target_offset
        self.error = F.mse_loss

    def configure(self, options: ObjectiveOptions, *, label_smoothing: float) -> None:
        """Take up a run's options."""
        self.monitor, self.mode = watched(options.monitor, "rmse", ("rmse", "mae", "r2"))
        self.error = F.l1_loss if options.loss == "mae" else F.mse_loss
        refuse(options, "the target is a number", "class_weights", "threshold")

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the mean error in units of the target's deviation, squared unless ``objective.loss=mae``; a scalar."""
        y = batch["y"]
        if "share" in batch:
            y = batch["share"] * y + (1 - batch["share"]) * batch["y2"]
        return self.error(output.squeeze(1), (y - self.mean) / self.std)

    def metrics(self, stage: str) -> MetricCollection:
        """Return RMSE, MAE and R² in original units."""
        found = {"rmse": MeanSquaredError(squared=False), "mae": MeanAbsoluteError(), "r2": DefinedR2()}
        return Metrics(found, compute_groups=False)

    def update(self, metrics: MetricCollection, output: Tensor, batch: Batch) -> None:
        """Add a batch, in original units."""
        pair = (self.value(output), batch["y"])
        assert isinstance(metrics, Metrics)
        standard = (output.float().squeeze(1), (batch["y"] - self.mean) / self.std)  # R² of large numbers loses digits
        metrics.feed(rmse=pair, mae=pair, r2=standard)

    def value(self, output: Tensor) -> Tensor:
        """Return values (B,) in the units of ``y``."""
        return output.float().squeeze(1) * self.std + self.mean

    def predictions(self, output: Tensor) -> dict[str, Tensor]:
        """Return ``value`` (B,) in original units; in float64 where float32 would lose the differences."""
        value = self.value(output)
        if not self.offset:
            return {"value": value}
        where = "cpu" if value.device.type == "mps" else value.device  # which has no float64
        return {"value": value.to(where, torch.float64) + self.offset}


@register_task("forecasting")
class Forecasting(Task):
    """Error of the standardised future. ``output`` (B, H, C), ``y`` (B, H, C) in original units.

    ``mse`` and ``mae`` are in units of the training deviation of each column, as the field gives them;
    ``mse_original`` and ``mae_original`` are in the columns' own.
    """

    monitor, mode, fallback_monitor = "mse", "min", "mse"
    mean: Tensor
    std: Tensor

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        every = len(spec.input_shape) and spec.input_shape[1]
        mean, std = (v if len(v) == every else v * every for v in (spec.mean, spec.std))
        for name, values in (("mean", mean), ("std", std)):
            self.constant(name, torch.tensor([values[n] for n in spec.targets]))
        self.error = F.mse_loss

    def configure(self, options: ObjectiveOptions, *, label_smoothing: float) -> None:
        """Take up a run's options."""
        self.monitor, self.mode = watched(options.monitor, "mse", ("mse", "mae"))
        self.error = F.l1_loss if options.loss == "mae" else F.mse_loss
        refuse(options, "the target is the future of a series", "class_weights", "threshold")

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the mean error over steps and columns, squared or, by ``objective.loss=mae``, absolute; a scalar."""
        return self.error(output.float(), self.standard(batch["y"]))

    def standard(self, y: Tensor) -> Tensor:
        """Return values in units of the training data's deviation."""
        return (y - self.mean) / self.std

    def metrics(self, stage: str) -> MetricCollection:
        """Return squared and absolute errors, standardised and in original units."""
        return Metrics(
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
        assert isinstance(metrics, Metrics)
        # contiguous: torchmetrics flattens by view
        pair = (output.float().contiguous(), self.standard(batch["y"]).contiguous())
        original = (self.predictions(output)["value"].contiguous(), batch["y"].contiguous())
        metrics.feed(mse=pair, mae=pair, mse_original=original, mae_original=original)

    def predictions(self, output: Tensor) -> dict[str, Tensor]:
        """Return ``value`` (B, H, C) in original units."""
        output = output.float()
        return {"value": output * self.std + self.mean}
