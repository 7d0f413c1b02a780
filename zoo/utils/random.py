"""Random generators that depend on a key or on a row index, not on the order of calls."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

EVAL_BATCH = 1000  # number of rows per evaluation batch
ROOM = 64  # additional rows that the last evaluation batch may have, so that each process has rows in every batch


def generator_of(*key: int) -> torch.Generator:
    """Return a CPU generator whose stream depends only on ``key``, such as (seed, epoch, batch)."""
    state = np.random.SeedSequence(key).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) >> 1)


class PerSampleGenerator:
    """Random numbers for the rows (B,) of an evaluation, independent of the number of processes.

    Args:
        ``rows``: row indices (B,) of one evaluation batch.
        ``count``: total number of rows; None: the rows come in evaluation batches, each with its own seed.
    """

    def __init__(self, rows: Tensor, *, count: int | None = None) -> None:
        rows = rows.cpu()  # the rows are already on the CPU, so no device is waited for
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
