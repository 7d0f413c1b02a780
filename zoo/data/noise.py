"""Noise that a denoising autoencoder learns to remove (Vincent et al. 2010)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zoo.config.schema import check_choice, check_number
from zoo.utils.random import PerSampleGenerator

NOISES = ("none", "gaussian", "salt_and_pepper", "masking")


def check_noise(name: str, level: float) -> None:
    """Raise ZooError unless ``name`` is a kind of noise and ``level`` is in range."""
    check_choice("model.noise", name, NOISES)
    check_number("model.noise_level", level, low=0, high=math.inf if name == "gaussian" else 1)


def add_noise(
    x: Tensor,
    name: str,
    level: float,
    *,
    image: bool,
    clip: bool = True,
    generator: PerSampleGenerator | None = None,
) -> Tensor:
    """Return ``x`` (B, …), images in [0, 1] or standardized numbers, with noise.

    ``gaussian`` adds N(0, level²). ``salt_and_pepper`` sets a fraction ``level`` of the values to 0 or 1 (for data
    other than images, -3 or 3). ``masking`` sets them to 0. ``clip`` keeps noisy images in [0, 1]. Without
    ``generator``, the global generator of torch is used.
    """
    if name == "none":
        return x
    if name == "gaussian":
        noise = torch.randn_like(x) if generator is None else generator.normal(*x.shape[1:]).to(x)
        noisy = x + level * noise
        return noisy.clamp(0, 1) if image and clip else noisy
    uniform = torch.rand_like(x) if generator is None else generator.uniform(*x.shape[1:]).to(x)
    if name == "masking":
        return torch.where(uniform < level, 0.0, x)
    low, high = (0.0, 1.0) if image else (-3.0, 3.0)
    return torch.where(uniform < level / 2, low, torch.where(uniform < level, high, x))
