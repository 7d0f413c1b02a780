"""Arrays and data frames that a program has in memory: ``zoo.train("fnn", data=(X, y))``."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from zoo.data.dataset import Dataset, fold_split
from zoo.data.images import image_dataset
from zoo.data.tabular import table
from zoo.errors import ZooError, unknown


def from_arrays(
    data: Any,
    *,
    target: str | None = None,
    task: str | None = None,
    folds: int = 5,
    fold: int = 0,
    split_seed: int = 0,
) -> Dataset:
    """Return a Dataset of ``(X, y)``, or of a data frame whose column ``target`` is y.

    X is a table (N, columns) of numbers, or images (N, H, W), (N, C, H, W) or (N, H, W, C): uint8, or float in
    [0, 1]. Labels that are text, boolean or at most 20 different whole numbers are classes, others are regressed,
    unless ``task`` says it.

    Raises:
        ZooError: shapes do not fit, text or missing values in X, an unknown target.
    """
    x, y, columns = _take_apart(data, target)
    if len(x) != len(y):
        raise ZooError(f"data=(X, y): X has {len(x)} rows and y has {len(y)}")
    labels, classes = labels_of(y, task)
    cut: dict[str, int] = {"folds": folds, "fold": fold, "split_seed": split_seed}
    if x.ndim == 2:
        return table("arrays", x, labels, columns=columns, classes=classes, **cut)
    if x.ndim not in (3, 4):
        raise ZooError(f"data=(X, y): X has shape {x.shape}; must be a table (N, columns) or images (N, C, H, W)")
    images = torch.from_numpy(np.ascontiguousarray(as_images(x, "data")))
    numbers = torch.from_numpy(labels if classes else labels.astype(np.float32))
    return image_dataset("arrays", images, numbers, fold_split(labels, stratify=bool(classes), **cut), classes)


def _take_apart(data: Any, target: str | None) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    if isinstance(data, tuple):
        if len(data) != 2:
            raise ZooError(f"data: a tuple of {len(data)}; must be (X, y)")
        x, y = data
        columns = getattr(x, "columns", None)
    elif hasattr(data, "columns"):
        names = [str(c) for c in data.columns]
        if target is None:
            raise ZooError(f"data: a data frame needs its target's name, as target={names[-1]!r}; columns: {names}")
        if target not in names:
            raise unknown("target", target, names)
        x, y = data.drop(columns=[target]), data[target]
        columns = x.columns
    else:
        raise ZooError(f"data: a {type(data).__name__}; must be a name, (X, y) or a data frame")
    values = np.asarray(x)
    if values.dtype.kind not in "buif":
        raise ZooError("data: X holds text or objects; must be numbers (encode or drop such columns)")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ZooError("data: X holds NaN or infinity; fill or drop those rows")
    names = tuple(map(str, columns)) if columns is not None else ()
    return values, np.asarray(y), names


def labels_of(y: np.ndarray, task: str | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return labels as numbers, with the classes' names where they are classes."""
    if y.ndim != 1:
        raise ZooError(f"data: y has shape {y.shape}; must be one value per row")
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise ZooError("data: y holds NaN or infinity; drop those rows")
    if task is None:
        counted = y.dtype.kind == "f" or (y.dtype.kind in "iu" and len(np.unique(y)) > 20)
        task = "regression" if counted else "classification"
    if task == "regression":
        if y.dtype.kind not in "biuf":
            raise ZooError("task=regression: y holds text; must be numbers")
        return y.astype(np.float64), ()
    names, numbers = np.unique(y if y.dtype.kind in "iubf" else y.astype(str), return_inverse=True)
    return numbers.astype(np.int64), tuple(map(str, names))


def as_images(x: np.ndarray, said: str) -> np.ndarray:
    """Return images (N, H, W), (N, C, H, W) or (N, H, W, C) as (N, C, H, W), uint8 or float32 in [0, 1].

    Raises:
        ZooError: another shape, or values outside; the message begins with ``said``.
    """
    if x.ndim not in (3, 4):
        raise ZooError(f"{said}: images of shape {x.shape}; must be (N, H, W), (N, C, H, W) or (N, H, W, C)")
    if x.ndim == 3:
        x = x[:, None]
    elif x.shape[1] not in (1, 3) and x.shape[3] in (1, 3):
        x = x.transpose(0, 3, 1, 2)
    if x.dtype == np.uint8:
        return x
    x = x.astype(np.float32)
    if not np.isfinite(x).all() or x.min() < 0 or x.max() > 1:
        raise ZooError(f"{said}: images from {x.min():g} to {x.max():g}; must be uint8, or float in [0, 1]")
    return x
