"""Small generated datasets for model checks: code that the modalities share."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from zoo import registry
from zoo.data.dataset import Dataset, class_counts

TRAIN, VAL, TEST = 384, 96, 95  # rows; an odd number of test rows does not divide evenly between processes
ROWS = TRAIN + VAL + TEST
NOISE = 0.05
WINDOW, HORIZON = 8, 4  # tokens or steps of context; steps of a forecast


def has_classes(task: str) -> bool:
    """Return whether rows of a task have classes. Unsupervised tasks keep them as y."""
    return registry.task_entry(task).target != "number"


def row_dataset(
    spec: type[Any],
    task: str,
    x: np.ndarray,
    y: np.ndarray,
    lengths: np.ndarray | None = None,
    **fields: Any,
) -> Dataset:
    """Return rows ``x`` (N, *input_shape) with targets ``y`` (N,) as a Dataset. ``fields`` go into its spec."""
    classes = has_classes(task)
    inputs = torch.from_numpy(x if x.dtype in (np.uint8, np.int64) else x.astype(np.float32))
    columns = {"x": inputs, "y": torch.from_numpy(y.astype(np.int64 if classes else np.float32))}
    columns |= {} if lengths is None else {"lengths": torch.from_numpy(lengths)}
    parts = {key: torch.split(value, [TRAIN, VAL, TEST]) for key, value in columns.items()}
    train, val, test = ({key: part[n] for key, part in parts.items()} for n in range(3))
    if classes:
        count = int(y.max()) + 1
        fields |= {"classes": tuple("abc"[:count]), "class_counts": class_counts(y[:TRAIN], count)}
    else:
        fields |= {"target_mean": float(y[:TRAIN].mean()), "target_std": float(y[:TRAIN].std())}
    named = spec(f"generated {spec.modality}s", task, tuple(x.shape[1:]), rows=TRAIN, **fields)
    return Dataset(named, train, val, test)


def statistics(x: np.ndarray, axes: tuple[int, ...]) -> dict[str, Any]:
    """Return the mean and standard deviation of the training rows over ``axes``."""
    train = x[:TRAIN]
    return {"mean": tuple(train.mean(axes).tolist()), "std": tuple(train.std(axes).tolist())}
