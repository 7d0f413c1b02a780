"""Latent vectors, from which generators and decoders make samples."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.config.schema import check_number


def sample_latents(count: int, size: int, *, seed: int, truncation: float | None = None) -> Tensor:
    """Draw latent vectors (count, size) from N(0, 1).

    With ``truncation``, numbers farther from 0 than that are drawn again: the truncation trick (Brock et al. 2019).

    Raises:
        ZooError: fewer than one row, or a truncation below 0.01.
    """
    check_number("count", count, low=1, integer=True)
    check_number("truncation", truncation, low=0.01, optional=True)
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(count, size, generator=generator)
    while truncation is not None and bool((outside := z.abs() > truncation).any()):
        z[outside] = torch.randn(int(outside.sum()), generator=generator)
    return z
