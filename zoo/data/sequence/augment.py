"""Augmentation of sequence batches, with independent random parameters for each sequence."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.config.schema import Count, Natural, NonNegative, Share
from zoo.data.dataset import Batch
from zoo.data.transfer import upload


@dataclass(frozen=True)
class SequenceAugment:
    """Augmentation of training sequences (B, T, C), drawn per sample.

    Args:
        ``time_mask_param``: maximum length of a time mask, in steps (SpecAugment, Park et al. 2019).
        ``freq_mask_param``: maximum width of a frequency mask, in channels.
        ``n_masks``: number of masks of each kind.
        ``time_shift``: maximum shift in either direction, in steps.
        ``noise_std``: standard deviation of Gaussian noise, as a multiple of that of the sequence.
        ``speed_perturbation``: maximum change of length, as a fraction, limited by the maximum length (Ko et al.
            2015).
    """

    time_mask_param: Natural = 0
    freq_mask_param: Natural = 0
    n_masks: Count = 1
    time_shift: Natural = 0
    noise_std: NonNegative = 0.0
    speed_perturbation: Share = 0.0

    def __bool__(self) -> bool:
        return bool(
            self.time_mask_param or self.freq_mask_param or self.time_shift or self.noise_std or self.speed_perturbation
        )

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Augment ``x`` (B, T, C) of a batch. Masked values become the mean of the sequence, per channel."""
        x, lengths = batch["x"], batch["lengths"]
        rows, steps, channels = x.shape
        if self.noise_std:
            size = x.flatten(1).std(1)[:, None, None] * self.noise_std
            x = x + size * upload(torch.randn(x.shape, generator=generator), x.device)
        if self.speed_perturbation:
            times = 1 + upload(torch.rand(rows, generator=generator) * 2 - 1, x.device) * self.speed_perturbation
            x, lengths = change_speed(x, lengths, times)
        if self.time_shift:
            by = upload(torch.randint(-self.time_shift, self.time_shift + 1, (rows, 1), generator=generator), x.device)
            # Repeat the first or last step, so that the length does not change
            at = (torch.arange(steps, device=x.device) + by).clamp(min=0).minimum(lengths[:, None] - 1)
            x = x.gather(1, at[..., None].expand_as(x))
        blank = x.mean(1, keepdim=True)
        for _ in range(self.n_masks):
            if self.time_mask_param:
                x = torch.where(random_mask(generator, rows, steps, self.time_mask_param, x)[:, :, None], blank, x)
            if self.freq_mask_param:
                x = torch.where(random_mask(generator, rows, channels, self.freq_mask_param, x)[:, None, :], blank, x)
        return {**batch, "x": x, "lengths": lengths}


def random_mask(generator: torch.Generator, rows: int, size: int, most: int, like: Tensor) -> Tensor:
    """Return a mask (rows, size) that is true in a random span of 0 to ``most`` in each row."""
    width = torch.randint(0, most + 1, (rows, 1), generator=generator)
    begin = (torch.rand(rows, 1, generator=generator) * (size - width + 1).clamp(min=1)).long()
    place = torch.arange(size)
    return upload((place >= begin) & (place < begin + width), like.device)


def change_speed(x: Tensor, lengths: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
    """Resample sequences (B, T, C) to ``times`` (B,) their length, between 1 and T steps.

    Return the sequences and their lengths.
    """
    steps = x.shape[1]
    longer = (lengths * times).round().long().clamp(1, steps)
    at = torch.arange(steps, device=x.device) * (lengths / longer)[:, None]  # position in the original sequence
    at = at.minimum(lengths[:, None] - 1.0)
    low = at.long()
    high = (low + 1).minimum(lengths[:, None] - 1)
    before, after = (x.gather(1, place[..., None].expand_as(x)) for place in (low, high))
    return torch.lerp(before, after, (at - low)[..., None].to(x.dtype)), longer
