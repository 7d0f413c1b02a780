"""Exponential moving averages of a network's weights: how a sampled generator or a target network follows."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def update_ema(ema: nn.Module, module: nn.Module, *, decay: float) -> None:
    """Move ``ema`` towards ``module``: θ' ← decay · θ' + (1 − decay) · θ, of parameters and of floating buffers.

    Whole numbers, such as a normalization's count of batches, are copied.
    """
    averages = [*ema.parameters(), *ema.buffers()]
    values = [*module.parameters(), *module.buffers()]
    floats = [(a, v) for a, v in zip(averages, values, strict=True) if a.is_floating_point()]
    torch._foreach_lerp_([a for a, _ in floats], [v for _, v in floats], 1 - decay)
    for average, value in zip(averages, values, strict=True):
        if not average.is_floating_point():
            average.copy_(value)
