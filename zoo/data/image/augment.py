"""Augmentation of image batches, with independent random parameters for each image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.config.schema import Natural, NonNegative, Probability, Share, number
from zoo.data.dataset import Batch
from zoo.data.transfer import upload

# Luminance weights of red, green and blue (ITU-R BT.601)
GRAY = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class ImageAugment:
    """Augmentation of training images, drawn per sample. Options follow torchvision and timm.

    Args:
        ``hflip``: probability of a horizontal flip.
        ``crop_padding``: pixels of zero padding before a random crop to the original size.
        ``degrees``: maximum rotation in either direction.
        ``translate``: maximum shift in either direction, in pixels.
        ``scale``: maximum change of size, as a fraction: 0.1 scales by 0.9 to 1.1.
        ``shear``: maximum shear, as a fraction of the height.
        ``brightness``, ``contrast``, ``saturation``: maximum change, as a fraction.
        ``hue``: maximum hue shift, as a fraction of the color circle.
        ``cutout``: side of a blanked square, in pixels (DeVries & Taylor 2017).
        ``mixup_alpha``: α of the Beta(α, α) distribution that mixes pairs of images and targets (Zhang et al. 2018).
    """

    hflip: Probability = 0.0
    crop_padding: Natural = 0
    degrees: Annotated[float, number(low=0, high=180)] = 0.0
    translate: NonNegative = 0.0
    scale: Share = 0.0
    shear: Probability = 0.0
    brightness: Probability = 0.0
    contrast: Probability = 0.0
    saturation: Probability = 0.0
    hue: Annotated[float, number(low=0, high=0.5)] = 0.0
    cutout: Natural = 0
    mixup_alpha: NonNegative = 0.0

    def __bool__(self) -> bool:
        return bool(self.mixup_alpha or self._affine or self._crops or self._colors or self.cutout)

    @property
    def _affine(self) -> bool:
        return any((self.degrees, self.translate, self.scale, self.shear))

    @property
    def _crops(self) -> bool:
        return self.hflip > 0 or self.crop_padding > 0

    @property
    def _colors(self) -> bool:
        return any((self.brightness, self.contrast, self.saturation, self.hue))

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Augment ``x`` (B, C, H, W) of a batch, with values in [0, 1]. ``generator`` is a CPU generator.

        Mixup adds ``y2`` and ``share`` (B,). Each image has the weight ``share``, at least 0.5, for ``y``, and the
        rest for ``y2``.
        """
        x = batch["x"]
        if self._crops:
            x = flip_and_crop(x, generator, probability=self.hflip, padding=self.crop_padding)
        if self._affine:
            x = self._transform(x, generator)
        if self._colors:
            x = self._jitter(x, generator)
        if self.cutout:
            x = cut_out(x, generator, side=self.cutout)
        batch = {**batch, "x": x}
        return mix(batch, generator, alpha=self.mixup_alpha) if self.mixup_alpha else batch

    def _transform(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Apply a random affine map to each image. Pixels from outside the image become 0."""
        batch, _, height, width = x.shape
        draw = upload(torch.rand(6, batch, generator=generator) * 2 - 1, x.device)
        angle = draw[0] * math.radians(self.degrees)
        cos, sin, shear = torch.cos(angle), torch.sin(angle), draw[1] * self.shear
        across, down = 1 + draw[2] * self.scale, 1 + draw[3] * self.scale
        right, below = draw[4] * (2 * self.translate / width), draw[5] * (2 * self.translate / height)
        # The inverse map from output to input position: [cos -sin; sin cos] · [1 shear; 0 1] · scale. It applies to
        # pixels. Grid positions are fractions of half a side, which differs between width and height.
        aspect = height / width
        theta = torch.stack(
            [
                across * cos,
                aspect * down * (shear * cos - sin),
                right,
                across * sin / aspect,
                down * (shear * sin + cos),
                below,
            ],
            dim=1,
        ).view(batch, 2, 3)
        grid = F.affine_grid(theta, list(x.shape), align_corners=False)
        return F.grid_sample(x, grid, align_corners=False)

    def _jitter(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Change brightness, contrast, saturation and hue. The last two apply to color images only."""
        draw = upload(torch.rand(4, len(x), generator=generator) * 2 - 1, x.device).view(4, -1, 1, 1, 1)
        if self.brightness:
            x = x * (1 + draw[0] * self.brightness)
        if self.contrast:
            mean = _gray(x).mean((1, 2, 3), keepdim=True)
            x = mean + (x - mean) * (1 + draw[1] * self.contrast)
        if x.shape[1] == 3:
            if self.saturation:
                gray = _gray(x)
                x = gray + (x - gray) * (1 + draw[2] * self.saturation)
            if self.hue:
                x = _turn_hue(x, draw[3] * (2 * math.pi * self.hue))
        return x.clamp(0, 1)


def flip_and_crop(x: Tensor, generator: torch.Generator, *, probability: float, padding: int) -> Tensor:
    """Flip images (B, C, H, W) horizontally with ``probability``, then pad them and crop them randomly."""
    batch, _, height, width = x.shape
    flipped = torch.rand(batch, generator=generator) < probability
    down, right = (torch.randint(0, 2 * padding + 1, (batch,), generator=generator) for _ in range(2))
    columns = torch.arange(width) + right[:, None]  # (B, W) in the padded image
    columns = torch.where(flipped[:, None], columns.flip(1), columns)
    rows = torch.arange(height) + down[:, None]  # (B, H)
    # Channels last, so that all values of a pixel are copied together
    padded = F.pad(x, [padding] * 4).permute(0, 2, 3, 1) if padding else x.permute(0, 2, 3, 1)
    sample = torch.arange(batch).view(-1, 1, 1)
    at = [upload(i, x.device) for i in (sample, rows[:, :, None], columns[:, None, :])]
    return padded.contiguous()[at[0], at[1], at[2]].permute(0, 3, 1, 2)


def cut_out(x: Tensor, generator: torch.Generator, *, side: int) -> Tensor:
    """Set a square of ``side`` pixels, centered on a random pixel, to the mean of the image."""
    batch, _, height, width = x.shape
    draw = upload(torch.rand(2, batch, generator=generator), x.device)
    top = (draw[0] * height).floor() - side // 2
    left = (draw[1] * width).floor() - side // 2
    rows, columns = torch.arange(height, device=x.device), torch.arange(width, device=x.device)
    inside = [(at >= low[:, None]) & (at < low[:, None] + side) for at, low in ((rows, top), (columns, left))]
    square = (inside[0][:, :, None] & inside[1][:, None, :]).unsqueeze(1)  # (B, 1, H, W)
    return torch.where(square, x.mean((2, 3), keepdim=True), x)


def mix(batch: Batch, generator: torch.Generator, *, alpha: float) -> Batch:
    """Mix each image with another one of the batch. Add ``y2`` and the weight ``share`` of the image itself."""
    x = batch["x"]
    # Beta(a, a) is G/(G + G') of two gamma samples, which torch can draw with a generator
    gamma = torch._standard_gamma(torch.full((2, len(x)), float(alpha)), generator=generator)
    share = gamma[0] / gamma.sum(0).clamp(min=1e-12)
    share = upload(torch.maximum(share, 1 - share), x.device)
    other = upload(torch.randperm(len(x), generator=generator), x.device)
    weight = share.view(-1, 1, 1, 1)
    mixed = {**batch, "x": weight * x + (1 - weight) * x[other]}
    return {**mixed, "y2": batch["y"][other], "share": share} if "y" in batch else mixed


def _gray(x: Tensor) -> Tensor:
    """Return the luminance (B, 1, H, W)."""
    if x.shape[1] != 3:
        return x.mean(1, keepdim=True)
    return (x * upload(torch.tensor(GRAY), x.device).view(1, 3, 1, 1)).sum(1, keepdim=True)


def _turn_hue(x: Tensor, angle: Tensor) -> Tensor:
    """Rotate the colors of images by ``angle`` (B, 1, 1, 1) around the gray axis in YIQ space."""
    to_yiq = torch.tensor([GRAY, (0.596, -0.274, -0.322), (0.211, -0.523, 0.312)])
    y, i, q = torch.einsum("kc,bchw->kbhw", upload(to_yiq, x.device), x)
    cos, sin = torch.cos(angle).squeeze(1), torch.sin(angle).squeeze(1)
    turned = torch.stack([y, i * cos - q * sin, i * sin + q * cos])
    return torch.einsum("ck,kbhw->bchw", upload(torch.linalg.inv(to_yiq), x.device), turned)
