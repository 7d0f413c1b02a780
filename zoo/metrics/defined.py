"""Metrics that say where they are not defined: NaN, or a mean over those classes alone that they are defined for."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import R2Score
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
    """Return which classes (K,) some rows have and others lack, from labels (N,) or flags (N, K)."""
    y = dim_zero_cat(target)
    count = y.sum(0) if y.ndim > 1 else torch.bincount(y.long(), minlength=classes)
    defined: Tensor = (count > 0) & (count < len(y))
    return defined


def _mean(values: Tensor, defined: Tensor) -> Tensor:
    """Return the mean of those values that are defined, NaN where none is."""
    return values[defined].mean()


class TwoClassAUROC(BinaryAUROC):
    """AUROC of two classes, NaN where all rows are of one."""

    def compute(self) -> Tensor:
        """Return it."""
        y = dim_zero_cat(self.target)
        return torch.tensor(torch.nan, device=y.device) if bool((y == y[0]).all()) else super().compute()


class TwoClassAveragePrecision(BinaryAveragePrecision):
    """Average precision of two classes, NaN where all rows are of one."""

    def compute(self) -> Tensor:
        """Return it."""
        y = dim_zero_cat(self.target)
        return torch.tensor(torch.nan, device=y.device) if bool((y == y[0]).all()) else super().compute()


class MeanAUROC(MulticlassAUROC):
    """Mean AUROC over the classes that some rows have and others lack."""

    def __init__(self, classes: int) -> None:
        super().__init__(classes, average="none")

    def compute(self) -> Tensor:
        """Return it, NaN where all rows are of one class."""
        return _mean(super().compute(), _two_sided(self.target, self.num_classes))


class MeanAveragePrecision(MulticlassAveragePrecision):
    """Mean average precision over the classes that some rows have and others lack."""

    def __init__(self, classes: int) -> None:
        super().__init__(classes, average="none")

    def compute(self) -> Tensor:
        """Return it, NaN where all rows are of one class."""
        return _mean(super().compute(), _two_sided(self.target, self.num_classes))


class MeanRecall(MulticlassRecall):
    """Balanced accuracy: mean recall over the classes that have rows."""

    def __init__(self, classes: int) -> None:
        super().__init__(classes, average="none")

    def compute(self) -> Tensor:
        """Return it."""
        hit, _, _, missed = self._final_state()
        return _mean(hit / (hit + missed), hit + missed > 0)


class LabelAUROC(MultilabelAUROC):
    """Mean AUROC over the labels that some rows have and others lack."""

    def __init__(self, labels: int) -> None:
        super().__init__(labels, average="none")

    def compute(self) -> Tensor:
        """Return it, NaN where there is no such label."""
        return _mean(super().compute(), _two_sided(self.target, self.num_labels))


class LabelAveragePrecision(MultilabelAveragePrecision):
    """Mean average precision over the labels that some rows have and others lack."""

    def __init__(self, labels: int) -> None:
        super().__init__(labels, average="none")

    def compute(self) -> Tensor:
        """Return it, NaN where there is no such label."""
        return _mean(super().compute(), _two_sided(self.target, self.num_labels))


class LabelBalancedAccuracy(MultilabelRecall):
    """Mean recall of true and of false, over the labels that have such rows."""

    def __init__(self, labels: int) -> None:
        super().__init__(labels, average="none")

    def compute(self) -> Tensor:
        """Return it."""
        hit, alarm, passed, missed = self._final_state()
        values = torch.cat([hit / (hit + missed), passed / (passed + alarm)])
        return _mean(values, torch.cat([hit + missed, passed + alarm]) > 0)


class DefinedR2(R2Score):
    """R², NaN where there are fewer than two different values."""

    def compute(self) -> Tensor:
        """Return it."""
        variation = self.sum_squared_error - self.sum_error**2 / self.total
        if self.total < 2 or bool(variation <= 1e-6 * self.sum_squared_error):
            return torch.tensor(torch.nan, device=self.residual.device)
        return super().compute()
