"""Augmentation of batches of texts."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from zoo.config.schema import check_number
from zoo.data.dataset import Batch
from zoo.data.spec import UNKNOWN
from zoo.data.transfer import upload


@dataclass(frozen=True)
class TextAugment:
    """Augmentation of training texts (B, T).

    Args:
        ``word_dropout``: share of tokens that become the unknown one (Bowman et al. 2016).
    """

    word_dropout: float = 0.0

    def __post_init__(self) -> None:
        check_number("data.augment.word_dropout", self.word_dropout, low=0, below=1)

    def __bool__(self) -> bool:
        return self.word_dropout > 0

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Return a batch whose ``x`` (B, T) has symbols replaced; padding stays."""
        x = batch["x"]
        drawn = upload(torch.rand(x.shape, generator=generator) < self.word_dropout, x.device)
        return {**batch, "x": torch.where(drawn & (x > UNKNOWN), UNKNOWN, x)}
