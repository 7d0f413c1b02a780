"""A generated table: a plane."""

from __future__ import annotations

import numpy as np

from zoo.data.dataset import Dataset
from zoo.data.example import NOISE, ROWS, TRAIN, has_classes, row_dataset, statistics
from zoo.data.table.frames import quantile_edges
from zoo.data.table.spec import TableSpec

TEXTS = ("low", "middle", "high")  # of the last column, which says nothing


def example(task: str) -> Dataset:
    """Return a table of five columns of very different size and one of text: the side of a plane, or how far from it.

    A plane, so that linear models pass; two columns count alike, so that one that sees but one of them does not.
    """
    rng = np.random.default_rng(0)
    z = rng.uniform(-1, 1, (ROWS, 5))
    height = z[:, 0] - z[:, 1]
    z[:, 0] += 0.1 * np.sign(height)  # a gap between the classes
    y = (height > 0).astype(int) if has_classes(task) else 1000 + 100 * (height + NOISE * z[:, 2])
    numbers = z * [1, 30, 1e-3, 5, 1] + [2000, 0, 0.5, -40, 0]
    x = np.column_stack([numbers, rng.integers(1, len(TEXTS) + 1, ROWS)])
    count = numbers.shape[1]
    return row_dataset(
        TableSpec,
        task,
        x,
        y,
        columns=tuple(f"column_{n + 1}" for n in range(count + 1)),
        categories=((),) * count + (TEXTS,),
        impute_values=(0.0,) * (count + 1),
        bin_edges=(*(quantile_edges(x[:TRAIN, n]) for n in range(count)), ()),
        **statistics(x, (0,)),
    )
