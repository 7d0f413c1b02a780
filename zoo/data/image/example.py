"""Generated images: bars."""

from __future__ import annotations

import numpy as np

from zoo.data.dataset import Dataset
from zoo.data.example import ROWS, has_classes, row_dataset, statistics
from zoo.data.image.spec import ImageSpec


def example(task: str) -> Dataset:
    """Return images of two channels, 12×9: a bar across, upright or aslant; or how far up a bar lies."""
    rng = np.random.default_rng(0)
    x = rng.random((ROWS, 2, 12, 9)) * 0.3
    way = rng.integers(0, 3, ROWS) if has_classes(task) else np.zeros(ROWS, int)
    place = rng.integers(1, 8, ROWS)
    for row, (turn, at) in enumerate(zip(way, place, strict=True)):
        down, right = [(np.full(9, at), np.arange(9)), (np.arange(12), np.full(12, at)), (np.arange(9), np.arange(9))][
            turn
        ]
        x[row, 0, down, right] += 0.7
    y = way if has_classes(task) else 1000 + 50.0 * place
    images = (255 * x.clip(0, 1)).astype(np.uint8)
    return row_dataset(ImageSpec, task, images, y, **statistics(images / 255, (0, 2, 3)))
