"""The widest numbers that a device has: float64, which sums are kept in, is missing on MPS."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def widest(device: torch.device | str) -> torch.dtype:
    """Return float64, or float32 on a device that has no wider numbers."""
    return torch.float32 if torch.device(device).type == "mps" else torch.float64


def widened(x: Tensor) -> Tensor:
    """Return numbers in the widest type of their device."""
    return x.to(widest(x.device))


def narrow_buffers(module: nn.Module, device: str) -> None:
    """Have buffers of a module be of types that a device has, before they go there."""
    for buffer in module.buffers():
        if buffer.dtype == torch.float64:
            buffer.data = buffer.data.to(widest(device))
