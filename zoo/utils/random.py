"""Random generators that are a function of a key or of a row's number, not of the order of calls."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

EVAL_BATCH = 1000  # rows per batch without gradients
ROOM = 64  # rows by which such a batch may be longer, so that none is so short that a process has no part in it


def generator_of(*key: int) -> torch.Generator:
    """Return a CPU generator whose stream is a function of ``key`` alone, such as (seed, epoch, batch)."""
    state = np.random.SeedSequence(key).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) >> 1)


class PerSampleGenerator:
    """Random numbers for the rows (B,) of an evaluation, independent of how many processes share the rows.

    Args:
        ``rows``: row numbers (B,) of one evaluation batch.
        ``count``: how many rows there are in all; None: the rows come in evaluation batches, each with its own seed.
    """

    def __init__(self, rows: Tensor, *, count: int | None = None) -> None:
        rows = rows.cpu()  # where they are already, so that nothing waits for a device
        block = int(rows[0]) // EVAL_BATCH if count is None else 0
        self.index = rows - block * EVAL_BATCH
        self.count = EVAL_BATCH + ROOM if count is None else count
        self.generator = torch.Generator().manual_seed(block)

    def normal(self, *shape: int) -> Tensor:
        """Return (B, *shape) from N(0, 1)."""
        return torch.randn(self.count, *shape, generator=self.generator)[self.index]

    def uniform(self, *shape: int) -> Tensor:
        """Return (B, *shape) from U(0, 1)."""
        return torch.rand(self.count, *shape, generator=self.generator)[self.index]
