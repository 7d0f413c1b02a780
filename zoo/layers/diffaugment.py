"""Differentiable augmentation of real and generated images for the discriminator (Zhao et al., NeurIPS 2020)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.config.schema import check_choice
from zoo.exceptions import ZooError

POLICIES = ("color", "translation", "cutout")
MAX_SHIFT, CUTOUT = 8, 2  # shift by up to 1/8 of a side; cut out a square of 1/2 of a side


def check_diffaugment(policy: Sequence[str]) -> None:
    """Raise ZooError unless ``policy`` is a list of known augmentations."""
    if isinstance(policy, str) or not isinstance(policy, Sequence):
        raise ZooError(f"model.diffaugment={policy}: must be a list, such as [translation,cutout]")
    for name in policy:
        check_choice("model.diffaugment", name, POLICIES)


def diffaugment(x: Tensor, policy: Sequence[str]) -> Tensor:
    """Return augmented images (B, C, H, W) in [−1, 1]: recolored, shifted, with a blank square, as ``policy`` says.

    Random numbers come from torch's global generator.
    """
    if "color" in policy:
        x = _recolor(x)
    if "translation" in policy:
        x = _translate(x)
    if "cutout" in policy:
        x = _cut_out(x)
    return x


def _draw(x: Tensor) -> Tensor:
    return torch.rand(len(x), 1, 1, 1, device=x.device)


def _recolor(x: Tensor) -> Tensor:
    x = x + _draw(x) - 0.5  # brightness
    gray = x.mean(1, keepdim=True)
    x = gray + (x - gray) * 2 * _draw(x)  # saturation
    mean = x.mean((1, 2, 3), keepdim=True)
    return mean + (x - mean) * (0.5 + _draw(x))  # contrast


def _translate(x: Tensor) -> Tensor:
    batch_size, _, height, width = x.shape
    reach = max(height // MAX_SHIFT, 1), max(width // MAX_SHIFT, 1)
    down, right = (torch.randint(-most, most + 1, (batch_size, 1), device=x.device) for most in reach)
    padding = (reach[1], reach[1], reach[0], reach[0])
    padded = F.pad(x, padding, value=-1.0).permute(0, 2, 3, 1)  # channels last
    row = torch.arange(height, device=x.device) + reach[0] + down  # (B, H)
    column = torch.arange(width, device=x.device) + reach[1] + right  # (B, W)
    index = torch.arange(batch_size, device=x.device).view(-1, 1, 1)
    return padded[index, row[:, :, None], column[:, None, :]].permute(0, 3, 1, 2)


def _cut_out(x: Tensor) -> Tensor:
    height, width = x.shape[2:]
    inside = []
    for size, shape in ((height, (1, 1, -1, 1)), (width, (1, 1, 1, -1))):
        side = size // CUTOUT
        first = (_draw(x) * (size + 1)).floor() - side // 2
        position = torch.arange(size, device=x.device).view(shape)
        inside.append((position >= first) & (position < first + side))
    return x * ~(inside[0] & inside[1])
