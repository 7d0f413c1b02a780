"""Augmentation of a whole batch at once, with draws of its own for each sample: images, sequences, texts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.config.schema import check_flag, check_number
from zoo.data.dataset import Batch
from zoo.data.spec import UNKNOWN
from zoo.data.transfer import upload

# Luminance of red, green and blue (ITU-R BT.601), as photographs are turned grey
GREY = (0.299, 0.587, 0.114)


class Augmentation(Protocol):
    """What a kind of data's augmentation is; false where it does nothing."""

    def __bool__(self) -> bool: ...

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Return an augmented batch; ``generator`` lives on the CPU."""


@dataclass(frozen=True)
class Augment:
    """What happens to training images, drawn per sample; each limit is the largest deviation to either side.

    ``flip`` mirrors half of them left to right; ``crop`` cuts them out of a border of so many black pixels;
    ``rotation`` is in degrees, ``shift`` in pixels, ``zoom`` and ``shear`` in shares (0.1: from 0.9 to 1.1 times);
    ``brightness``, ``contrast``, ``saturation`` and ``hue`` in shares (hue: of the circle of colours); ``cutout``
    blanks a square of so many pixels a side (DeVries & Taylor 2017); ``mixup`` mixes pairs of images and their
    targets, the share drawn from Beta(mixup, mixup) (Zhang 2018).
    """

    flip: bool = False
    crop: int = 0
    rotation: float = 0.0
    shift: float = 0.0
    zoom: float = 0.0
    shear: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    cutout: int = 0
    mixup: float = 0.0

    def __post_init__(self) -> None:
        check_flag("data.augment.flip", self.flip)
        check_number("data.augment.crop", self.crop, low=0, integer=True)
        check_number("data.augment.rotation", self.rotation, low=0, high=180)
        check_number("data.augment.shift", self.shift, low=0)
        check_number("data.augment.zoom", self.zoom, low=0, below=1)
        check_number("data.augment.shear", self.shear, low=0, high=1)
        check_number("data.augment.brightness", self.brightness, low=0, high=1)
        check_number("data.augment.contrast", self.contrast, low=0, high=1)
        check_number("data.augment.saturation", self.saturation, low=0, high=1)
        check_number("data.augment.hue", self.hue, low=0, high=0.5)
        check_number("data.augment.cutout", self.cutout, low=0, integer=True)
        check_number("data.augment.mixup", self.mixup, low=0)

    def __bool__(self) -> bool:
        return bool(self.mixup or self._moves or self._crops or self._colours or self.cutout)

    @property
    def _moves(self) -> bool:
        return any((self.rotation, self.shift, self.zoom, self.shear))

    @property
    def _crops(self) -> bool:
        return self.flip or self.crop > 0

    @property
    def _colours(self) -> bool:
        return any((self.brightness, self.contrast, self.saturation, self.hue))

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Return a batch whose ``x`` (B, C, H, W) in [0, 1] is augmented. ``generator`` lives on the CPU.

        With mixup, ``y2`` and ``share`` (B,) say what else is in each image: ``share`` of ``y``, at least half, the
        rest of ``y2``.
        """
        x = batch["x"]
        if self._crops:
            x = flip_and_crop(x, generator, flip=self.flip, border=self.crop)
        if self._moves:
            x = self._move(x, generator)
        if self._colours:
            x = self._colour(x, generator)
        if self.cutout:
            x = cut_out(x, generator, side=self.cutout)
        batch = {**batch, "x": x}
        return mix(batch, generator, alpha=self.mixup) if self.mixup else batch

    def _move(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Return images under a random affine map; what comes in from outside is 0."""
        batch, _, height, width = x.shape
        draw = upload(_draw(generator, 6, batch) * 2 - 1, x.device)
        angle = draw[0] * math.radians(self.rotation)
        cos, sin, shear = torch.cos(angle), torch.sin(angle), draw[1] * self.shear
        across, down = 1 + draw[2] * self.zoom, 1 + draw[3] * self.zoom
        right, below = draw[4] * (2 * self.shift / width), draw[5] * (2 * self.shift / height)
        # The inverse map, output position to input position: [cos -sin; sin cos] · [1 shear; 0 1] · scale. It is one of
        # pixels; a grid's positions are shares of half a side, which is not the same across as down.
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

    def _colour(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Return images with other brightness, contrast, saturation and hue; the last two where there are colours."""
        draw = upload(_draw(generator, 4, len(x)) * 2 - 1, x.device).view(4, -1, 1, 1, 1)
        if self.brightness:
            x = x * (1 + draw[0] * self.brightness)
        if self.contrast:
            mean = _grey(x).mean((1, 2, 3), keepdim=True)
            x = mean + (x - mean) * (1 + draw[1] * self.contrast)
        if x.shape[1] == 3:
            if self.saturation:
                grey = _grey(x)
                x = grey + (x - grey) * (1 + draw[2] * self.saturation)
            if self.hue:
                x = _turn_hue(x, draw[3] * (2 * math.pi * self.hue))
        return x.clamp(0, 1)


@dataclass(frozen=True)
class SequenceAugment:
    """What happens to training sequences (B, T, C), drawn per sample.

    ``time_mask`` and ``channel_mask`` blank a stretch of at most so many steps or channels (SpecAugment, Park 2019),
    ``masks`` of each; ``shift`` moves by at most so many steps to either side, ``noise`` adds a normal deviate of so
    many times the deviation of each sequence's values. ``speed`` makes them longer or shorter by at most such a share
    (Ko 2015), as far as they still fit.
    """

    time_mask: int = 0
    channel_mask: int = 0
    masks: int = 1
    shift: int = 0
    noise: float = 0.0
    speed: float = 0.0

    def __post_init__(self) -> None:
        check_number("data.augment.speed", self.speed, low=0, below=1)
        for name in ("time_mask", "channel_mask", "shift"):
            check_number(f"data.augment.{name}", getattr(self, name), low=0, integer=True)
        check_number("data.augment.masks", self.masks, low=1, integer=True)
        check_number("data.augment.noise", self.noise, low=0)

    def __bool__(self) -> bool:
        return bool(self.time_mask or self.channel_mask or self.shift or self.noise or self.speed)

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Return a batch whose ``x`` (B, T, C) is augmented; blanks are each sequence's mean, per channel."""
        x, lengths = batch["x"], batch["lengths"]
        rows, steps, channels = x.shape
        if self.noise:
            size = x.flatten(1).std(1)[:, None, None] * self.noise
            x = x + size * upload(torch.randn(x.shape, generator=generator), x.device)
        if self.speed:
            times = 1 + upload(_draw(generator, rows) * 2 - 1, x.device) * self.speed
            x, lengths = at_speed(x, lengths, times)
        if self.shift:
            by = upload(torch.randint(-self.shift, self.shift + 1, (rows, 1), generator=generator), x.device)
            # The ends are repeated, so that a sequence is as long as it was
            at = (torch.arange(steps, device=x.device) + by).clamp(min=0).minimum(lengths[:, None] - 1)
            x = x.gather(1, at[..., None].expand_as(x))
        blank = x.mean(1, keepdim=True)
        for _ in range(self.masks):
            if self.time_mask:
                x = torch.where(stretch(generator, rows, steps, self.time_mask, x)[:, :, None], blank, x)
            if self.channel_mask:
                x = torch.where(stretch(generator, rows, channels, self.channel_mask, x)[:, None, :], blank, x)
        return {**batch, "x": x, "lengths": lengths}


@dataclass(frozen=True)
class TextAugment:
    """What happens to training texts (B, T): ``unknown`` is the share of symbols that become the unknown one."""

    unknown: float = 0.0

    def __post_init__(self) -> None:
        check_number("data.augment.unknown", self.unknown, low=0, below=1)

    def __bool__(self) -> bool:
        return self.unknown > 0

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Return a batch whose ``x`` (B, T) has symbols replaced; padding stays."""
        x = batch["x"]
        drawn = upload(torch.rand(x.shape, generator=generator) < self.unknown, x.device)
        return {**batch, "x": torch.where(drawn & (x > UNKNOWN), UNKNOWN, x)}


AUGMENTS: dict[str, Any] = {"image": Augment, "sequence": SequenceAugment, "text": TextAugment}


def stretch(generator: torch.Generator, rows: int, size: int, most: int, like: Tensor) -> Tensor:
    """Return (rows, size) that is true in a stretch of 0 to ``most``, at a place of its own in each row."""
    width = torch.randint(0, most + 1, (rows, 1), generator=generator)
    begin = (torch.rand(rows, 1, generator=generator) * (size - width + 1).clamp(min=1)).long()
    place = torch.arange(size)
    return upload((place >= begin) & (place < begin + width), like.device)


def at_speed(x: Tensor, lengths: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
    """Return sequences (B, T, C) ``times`` (B,) as long, at least one step and at most T, and their lengths."""
    steps = x.shape[1]
    longer = (lengths * times).round().long().clamp(1, steps)
    at = torch.arange(steps, device=x.device) * (lengths / longer)[:, None]  # in the old sequence
    at = at.minimum(lengths[:, None] - 1.0)
    low = at.long()
    high = (low + 1).minimum(lengths[:, None] - 1)
    before, after = (x.gather(1, place[..., None].expand_as(x)) for place in (low, high))
    return torch.lerp(before, after, (at - low)[..., None].to(x.dtype)), longer


def _draw(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.rand(*shape, generator=generator)


def flip_and_crop(x: Tensor, generator: torch.Generator, *, flip: bool, border: int) -> Tensor:
    """Return images (B, C, H, W), half of them mirrored, each cut out of a black border at a place of its own."""
    batch, _, height, width = x.shape
    mirrored = (_draw(generator, batch) < 0.5) & flip
    down, right = (torch.randint(0, 2 * border + 1, (batch,), generator=generator) for _ in range(2))
    columns = torch.arange(width) + right[:, None]  # (B, W) in the bordered image
    columns = torch.where(mirrored[:, None], columns.flip(1), columns)
    rows = torch.arange(height) + down[:, None]  # (B, H)
    # The channels go last, so that a pixel's numbers are copied together
    bordered = F.pad(x, [border] * 4).permute(0, 2, 3, 1) if border else x.permute(0, 2, 3, 1)
    sample = torch.arange(batch).view(-1, 1, 1)
    at = [upload(i, x.device) for i in (sample, rows[:, :, None], columns[:, None, :])]
    return bordered.contiguous()[at[0], at[1], at[2]].permute(0, 3, 1, 2)


def cut_out(x: Tensor, generator: torch.Generator, *, side: int) -> Tensor:
    """Return images with a square of ``side`` pixels, around any pixel, set to the image's own mean."""
    batch, _, height, width = x.shape
    draw = upload(_draw(generator, 2, batch), x.device)
    top = (draw[0] * height).floor() - side // 2
    left = (draw[1] * width).floor() - side // 2
    rows, columns = torch.arange(height, device=x.device), torch.arange(width, device=x.device)
    inside = [(at >= low[:, None]) & (at < low[:, None] + side) for at, low in ((rows, top), (columns, left))]
    square = (inside[0][:, :, None] & inside[1][:, None, :]).unsqueeze(1)  # (B, 1, H, W)
    return torch.where(square, x.mean((2, 3), keepdim=True), x)


def mix(batch: Batch, generator: torch.Generator, *, alpha: float) -> Batch:
    """Return images that are ``share`` themselves and the rest another of the batch, with ``y2`` and ``share``."""
    x = batch["x"]
    # Beta(a, a) is G/(G + G') of two gamma draws; torch draws them by a generator
    gamma = torch._standard_gamma(torch.full((2, len(x)), float(alpha)), generator=generator)
    share = gamma[0] / gamma.sum(0).clamp(min=1e-12)
    share = upload(torch.maximum(share, 1 - share), x.device)
    other = upload(torch.randperm(len(x), generator=generator), x.device)
    weight = share.view(-1, 1, 1, 1)
    mixed = {**batch, "x": weight * x + (1 - weight) * x[other]}
    return {**mixed, "y2": batch["y"][other], "share": share} if "y" in batch else mixed


def _grey(x: Tensor) -> Tensor:
    """Return luminance (B, 1, H, W)."""
    if x.shape[1] != 3:
        return x.mean(1, keepdim=True)
    return (x * upload(torch.tensor(GREY), x.device).view(1, 3, 1, 1)).sum(1, keepdim=True)


def _turn_hue(x: Tensor, angle: Tensor) -> Tensor:
    """Turn the colours of images by ``angle`` (B, 1, 1, 1) around the grey axis: a rotation in the YIQ space."""
    to_yiq = torch.tensor([GREY, (0.596, -0.274, -0.322), (0.211, -0.523, 0.312)])
    y, i, q = torch.einsum("kc,bchw->kbhw", upload(to_yiq, x.device), x)
    cos, sin = torch.cos(angle).squeeze(1), torch.sin(angle).squeeze(1)
    turned = torch.stack([y, i * cos - q * sin, i * sin + q * cos])
    return torch.einsum("ck,kbhw->bchw", upload(torch.linalg.inv(to_yiq), x.device), turned)
