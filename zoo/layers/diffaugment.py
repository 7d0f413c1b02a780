"""Differentiable augmentation: what a discriminator sees of real and made images alike (Zhao et al., NeurIPS 2020)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.config.schema import check_choice
from zoo.exceptions import ZooError

WAYS = ("colour", "translation", "cutout")
MOVED, CUT = 8, 2  # an eighth of a side to either direction; a square of half a side


def check_shaking(ways: Sequence[str]) -> None:
    """Raise ZooError unless ``ways`` is a list of known ones."""
    if isinstance(ways, str) or not isinstance(ways, Sequence):
        raise ZooError(f"model.shake={ways}: must be a list, such as [translation,cutout]")
    for way in ways:
        check_choice("model.shake", way, WAYS)


def shaken(x: Tensor, ways: Sequence[str]) -> Tensor:
    """Return images (B, C, H, W) in [−1, 1] in other shades, moved, with a square blank; draws of torch's generator."""
    if "colour" in ways:
        x = _coloured(x)
    if "translation" in ways:
        x = _translated(x)
    if "cutout" in ways:
        x = _cut(x)
    return x


def _draw(x: Tensor) -> Tensor:
    return torch.rand(len(x), 1, 1, 1, device=x.device)


def _coloured(x: Tensor) -> Tensor:
    x = x + _draw(x) - 0.5  # brightness
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * 2 * _draw(x)  # saturation
    mean = x.mean((1, 2, 3), keepdim=True)
    return mean + (x - mean) * (0.5 + _draw(x))  # contrast


def _translated(x: Tensor) -> Tensor:
    rows, _, height, width = x.shape
    most = max(height // MOVED, 1), max(width // MOVED, 1)
    down, right = (torch.randint(-m, m + 1, (rows, 1), device=x.device) for m in most)
    padded = F.pad(x, (most[1], most[1], most[0], most[0]), value=-1.0).permute(0, 2, 3, 1)  # channels together
    at_row = torch.arange(height, device=x.device) + most[0] + down  # (B, H)
    at_column = torch.arange(width, device=x.device) + most[1] + right  # (B, W)
    row = torch.arange(rows, device=x.device).view(-1, 1, 1)
    return padded[row, at_row[:, :, None], at_column[:, None, :]].permute(0, 3, 1, 2)


def _cut(x: Tensor) -> Tensor:
    height, width = x.shape[2:]
    inside = []
    for size, shape in ((height, (1, 1, -1, 1)), (width, (1, 1, 1, -1))):
        side = size // CUT
        first = (_draw(x) * (size + 1)).floor() - side // 2
        place = torch.arange(size, device=x.device).view(shape)
        inside.append((place >= first) & (place < first + side))
    return x * ~(inside[0] & inside[1])
