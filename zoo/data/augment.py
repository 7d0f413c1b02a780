"""Augmentation of a whole batch of images at once, with draws of its own for each sample."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.options import check_number


@dataclass(frozen=True)
class Augment:
    """A random affine map per sample: each limit is the largest deviation to either side.

    ``rotation`` in degrees, ``shift`` in pixels, ``zoom`` and ``shear`` as shares (0.1: from 0.9 to 1.1 times).
    """

    rotation: float = 0.0
    shift: float = 0.0
    zoom: float = 0.0
    shear: float = 0.0

    def __post_init__(self) -> None:
        check_number("data.augment.rotation", self.rotation, low=0, high=180)
        check_number("data.augment.shift", self.shift, low=0)
        check_number("data.augment.zoom", self.zoom, low=0, below=1)
        check_number("data.augment.shear", self.shear, low=0, high=1)

    def __bool__(self) -> bool:
        return any((self.rotation, self.shift, self.zoom, self.shear))

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Return images (B, C, H, W), moved; what comes in from outside is 0. ``generator`` lives on the CPU."""
        batch, _, height, width = x.shape
        draw = (torch.rand(6, batch, generator=generator) * 2 - 1).to(x.device, non_blocking=True)
        angle = draw[0] * math.radians(self.rotation)
        cos, sin, shear = torch.cos(angle), torch.sin(angle), draw[1] * self.shear
        across, down = 1 + draw[2] * self.zoom, 1 + draw[3] * self.zoom
        right, below = draw[4] * (2 * self.shift / width), draw[5] * (2 * self.shift / height)
        # The inverse map, output position to input position: [cos -sin; sin cos] · [1 shear; 0 1] · scale
        theta = torch.stack(
            [
                across * cos,
                down * (shear * cos - sin),
                right,
                across * sin,
                down * (shear * sin + cos),
                below,
            ],
            dim=1,
        ).view(batch, 2, 3)
        grid = F.affine_grid(theta, list(x.shape), align_corners=False)
        return F.grid_sample(x, grid, align_corners=False)
