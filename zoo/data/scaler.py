"""Scalers: raw x as a reconstruction's target, and a network's output in original units again."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.data.spec import DataSpec


class Scaler(nn.Module):
    """Standardizes x by the training rows' mean and deviation; channels come last."""

    mean: Tensor
    std: Tensor

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(spec.mean), persistent=False)
        self.register_buffer("std", torch.tensor(spec.std), persistent=False)

    def transform(self, x: Tensor) -> Tensor:
        """Return x (B, …) as a target."""
        return (x - self.mean) / self.std

    def inverse_transform(self, output: Tensor) -> Tensor:
        """Return such outputs in original units."""
        return output * self.std + self.mean

    def center(self, target: Tensor) -> Tensor:
        """Return the training rows' mean as a target of the same shape."""
        return torch.zeros_like(target)


class BoundedScaler(Scaler):
    """Leaves x as it is: values in [0, 1], (C, H, W)."""

    def transform(self, x: Tensor) -> Tensor:
        """Return x."""
        return x

    def inverse_transform(self, output: Tensor) -> Tensor:
        """Return the outputs."""
        return output

    def center(self, target: Tensor) -> Tensor:
        """Return the mean of each channel."""
        return self.mean.view(-1, 1, 1).expand_as(target)
