"""Generated sequences: two pulses."""

from __future__ import annotations

import numpy as np

from zoo.data.dataset import Dataset
from zoo.data.example import NOISE, ROWS, has_classes, row_dataset, statistics
from zoo.data.sequence.spec import SequenceSpec


def example(task: str) -> Dataset:
    """Return sequences of 4 to 12 steps with two pulses each: which came first, or how high both were together."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(4, 13, ROWS)
    x = rng.normal(size=(ROWS, 12, 3)) * NOISE
    height = rng.uniform(0.5, 1.5, (ROWS, 2))
    first = rng.integers(0, 2, ROWS)
    for row, length in enumerate(lengths):
        early, late = np.sort(rng.choice(length, 2, replace=False))
        x[row, early, first[row]] += height[row, 0]
        x[row, late, 1 - first[row]] += height[row, 1]
        x[row, length:] = 0
    y = first if has_classes(task) else 1000 + 100 * height.sum(1)
    return row_dataset(SequenceSpec, task, x, y, lengths, **statistics(x, (0, 1)))
