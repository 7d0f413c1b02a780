"""The widest floating-point type of a device: float64, which sums are kept in, is missing on MPS."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def widest_dtype(device: torch.device | str) -> torch.dtype:
    """Return float64, or float32 on a device that has no float64."""
    return torch.float32 if torch.device(device).type == "mps" else torch.float64


def to_widest_dtype(x: Tensor) -> Tensor:
    """Return ``x`` in the widest floating-point type of its device."""
    return x.to(widest_dtype(x.device))


def narrow_buffers(module: nn.Module, device: str) -> None:
    """Cast float64 buffers of a module to a type that ``device`` has, in place, before the module moves there."""
    for buffer in module.buffers():
        if buffer.dtype == torch.float64:
            buffer.data = buffer.data.to(widest_dtype(device))
