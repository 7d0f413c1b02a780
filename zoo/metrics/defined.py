"""Metrics with defined results for missing classes: NaN, or a mean over the classes for which they are defined."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric, R2Score
from torchmetrics.classification import (
    BinaryAUROC,
    BinaryAveragePrecision,
    MulticlassAUROC,
    MulticlassAveragePrecision,
    MulticlassRecall,
    MultilabelAUROC,
    MultilabelAveragePrecision,
    MultilabelRecall,
)
from torchmetrics.utilities.data import dim_zero_cat


def _two_sided(target: Any, classes: int) -> Tensor:
    """Return a mask (K,) of the classes that occur in some rows but not in all, from labels (N,) or flags (N, K)."""
    y = dim_zero_cat(target)
    count = y.sum(0) if y.ndim > 1 else torch.bincount(y.long(), minlength=classes)
    defined: Tensor = (count > 0) & (count < len(y))
    return defined


class _OfTwoClasses(Metric):
    """A ranking metric for two classes; NaN if all rows are of one class."""

    def compute(self) -> Tensor:
        """Return the metric."""
        y = dim_zero_cat(self.target)  # type: ignore[arg-type]
        return torch.tensor(torch.nan, device=y.device) if bool((y == y[0]).all()) else super().compute()  # type: ignore[safe-super]


class TwoClassAUROC(_OfTwoClasses, BinaryAUROC):  # type: ignore[misc]
    """AUROC for two classes."""


class TwoClassAveragePrecision(_OfTwoClasses, BinaryAveragePrecision):  # type: ignore[misc]
    """Average precision for two classes."""


class _MeanOverClasses(Metric):
    """The mean of a ranking metric over the classes that occur in some rows but not in all; NaN if there are none."""

    def __init__(self, classes: int) -> None:
        super().__init__(classes, average="none")  # type: ignore[call-arg]
        self.count = classes

    def compute(self) -> Tensor:
        """Return the metric."""
        values: Tensor = super().compute()  # type: ignore[safe-super]
        return values[_two_sided(self.target, self.count)].mean()


class MeanAUROC(_MeanOverClasses, MulticlassAUROC):  # type: ignore[misc]
    """Mean AUROC over classes."""


class MeanAveragePrecision(_MeanOverClasses, MulticlassAveragePrecision):  # type: ignore[misc]
    """Mean average precision over classes."""


class LabelAUROC(_MeanOverClasses, MultilabelAUROC):  # type: ignore[misc]
    """Mean AUROC over labels."""


class LabelAveragePrecision(_MeanOverClasses, MultilabelAveragePrecision):  # type: ignore[misc]
    """Mean average precision over labels."""


class MeanRecall(MulticlassRecall):
    """Balanced accuracy: mean recall over the classes that occur."""

    def __init__(self, classes: int) -> None:
        super().__init__(classes, average="none")

    def compute(self) -> Tensor:
        """Return the metric."""
        hit, _, _, missed = self._final_state()
        return (hit / (hit + missed))[hit + missed > 0].mean()


class LabelBalancedAccuracy(MultilabelRecall):
    """Balanced accuracy of several labels: mean recall of true and of false values that occur."""

    def __init__(self, labels: int) -> None:
        super().__init__(labels, average="none")

    def compute(self) -> Tensor:
        """Return the metric."""
        hit, alarm, passed, missed = self._final_state()
        values = torch.cat([hit / (hit + missed), passed / (passed + alarm)])
        return values[torch.cat([hit + missed, passed + alarm]) > 0].mean()


class DefinedR2(R2Score):
    """R²; NaN for fewer than two different values."""

    def compute(self) -> Tensor:
        """Return the metric."""
        variation = self.sum_squared_error - self.sum_error**2 / self.total
        if self.total < 2 or bool(variation <= 1e-6 * self.sum_squared_error):
            return torch.tensor(torch.nan, device=self.residual.device)
        return super().compute()
