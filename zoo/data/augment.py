"""Augmentation of a training batch, with independent random parameters per sample."""

from __future__ import annotations

from typing import Protocol

import torch

from zoo.data.dataset import Batch


class Augmentation(Protocol):
    """Augmentation of one modality; false where it does nothing."""

    def __bool__(self) -> bool: ...

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Return an augmented batch; ``generator`` lives on the CPU."""
