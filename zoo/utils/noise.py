"""Noise: what a denoiser takes away, and what an evaluation draws."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.config.schema import check_choice, check_number
from zoo.data.loader import EVAL_BATCH, ROOM

NOISES = ("none", "gaussian", "salt_pepper", "masking")


class PerSampleGenerator:
    """Random numbers for rows (B,) of an evaluation: the same each time, however many processes share the rows.

    Of data that comes in blocks the numbers are drawn for a block's rows; with ``count`` for so many rows at once.
    """

    def __init__(self, rows: Tensor, *, count: int | None = None) -> None:
        self.place = rows.cpu()  # which they are already, so that nothing waits for a device
        first = int(self.place[0]) // EVAL_BATCH if count is None else 0
        self.place = self.place - first * EVAL_BATCH
        self.count = EVAL_BATCH + ROOM if count is None else count
        self.generator = torch.Generator().manual_seed(first)

    def normal(self, *shape: int) -> Tensor:
        """Return (B, *shape) from N(0, 1)."""
        return torch.randn(self.count, *shape, generator=self.generator)[self.place]

    def uniform(self, *shape: int) -> Tensor:
        """Return (B, *shape) between 0 and 1."""
        return torch.rand(self.count, *shape, generator=self.generator)[self.place]


def latent(count: int, size: int, *, seed: int, truncation: float | None = None) -> Tensor:
    """Return (count, size) from N(0, 1); numbers farther from 0 than ``truncation`` are drawn again (Brock 2019).

    Raises:
        ZooError: less than one row, or nothing left by the truncation.
    """
    check_number("count", count, low=1, whole=True)
    check_number("truncation", truncation, low=0.01, optional=True)
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(count, size, generator=generator)
    while truncation is not None and bool((far := z.abs() > truncation).any()):
        z[far] = torch.randn(int(far.sum()), generator=generator)
    return z


def check_noise(name: str, level: float) -> None:
    """Raise ZooError unless ``name`` is a noise and ``level`` one that it can have."""
    check_choice("model.noise", name, NOISES)
    if name == "gaussian":
        check_number("model.noise_level", level, low=0)
    else:
        check_number("model.noise_level", level, low=0, high=1)


def corrupt(
    x: Tensor, name: str, level: float, *, image: bool, cut: bool = True, draws: PerSampleGenerator | None = None
) -> Tensor:
    """Return ``x`` (B, …), images in [0, 1] or standardised numbers, with noise (Vincent et al. 2010).

    ``gaussian`` adds numbers of deviation ``level``, ``salt_pepper`` sets so large a share to 0 or 1 (to -3 or 3 where
    these are no images), ``masking`` to 0. Images are ``cut`` to [0, 1]. Without ``draws`` torch's own generator draws.
    """
    if name == "none":
        return x
    if name == "gaussian":
        noisy = x + level * (torch.randn_like(x) if draws is None else draws.normal(*x.shape[1:]).to(x))
        return noisy.clamp(0, 1) if image and cut else noisy
    drawn = torch.rand_like(x) if draws is None else draws.uniform(*x.shape[1:]).to(x)
    low, high = (0.0, 1.0) if image else (-3.0, 3.0)
    if name == "masking":
        return torch.where(drawn < level, 0.0, x)
    return torch.where(drawn < level / 2, low, torch.where(drawn < level, high, x))
