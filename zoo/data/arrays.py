"""Arrays and data frames in memory: ``zoo.train("fnn", data=(X, y))``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from zoo import registry
from zoo.data.dataset import Dataset, Splits
from zoo.data.image.datasets import image_dataset
from zoo.data.image.read import channels_first, pixel_values
from zoo.data.table.cells import Table
from zoo.data.table.datasets import table
from zoo.data.table.frames import few_integers, frame_dataset, offset_of
from zoo.data.table.read import as_text, with_names
from zoo.data.table.spec import FrameOptions
from zoo.exceptions import ZooError, unknown


def from_arrays(
    data: Any,
    *,
    target: str | int | None = None,
    task: str | None = None,
    folds: int = 5,
    fold: int = 0,
    split_seed: int = 0,
) -> Dataset:
    """Return a Dataset of ``(X, y)``, or of a data frame with the target column ``target``.

    X is a table (N, columns) or images (N, H, W), (N, C, H, W) or (N, H, W, C). Pixels are uint8, integers from 0 to
    255, or float in [0, 1]. ``zoo.data.image.read`` infers the channel axis.

    Without ``task``, labels that are text, boolean or at most 20 different integers are classes. All other labels are
    regression targets. X without y is enough for unsupervised tasks.

    Raises:
        ZooError: if shapes or indices do not match, X has text or missing values, or the target is unknown.
    """
    splits = Splits(folds, fold, split_seed)
    if task in registry.unsupervised_tasks() and target is None and not isinstance(data, tuple):
        return _alone(data, splits)
    task = None if task in registry.unsupervised_tasks() else task
    frame = _as_frame(data, target)
    if frame is not None:
        rows, options = frame
        return frame_dataset("arrays", rows, replace(options, task=task), splits)
    x, y = _as_arrays(data)
    labels, classes = labels_of(y, task)
    if x.ndim == 2:
        return table("arrays", x, labels, splits, classes=classes)
    if x.ndim not in (3, 4):
        raise ZooError(f"data=(X, y): X has shape {x.shape}; must be a table (N, columns) or images (N, C, H, W)")
    images = torch.from_numpy(np.require(as_images(x, "data"), requirements=["C", "W"]))
    offset = 0.0 if classes else offset_of(labels, "data: y")
    numbers = torch.from_numpy(labels if classes else (labels - offset).astype(np.float32))
    index = splits.cut(labels, stratify=bool(classes), classes=classes)
    dataset = image_dataset("arrays", images, numbers, index, classes)
    return replace(dataset, spec=replace(dataset.spec, target_offset=offset))


def _alone(data: Any, splits: Splits) -> Dataset:
    """Return a dataset without labels."""
    if hasattr(data, "columns"):
        frame = with_names(data, "data")
        return frame_dataset("arrays", Table.of_frame("data", frame), FrameOptions([]), splits)
    dataset = from_arrays((data, np.arange(len(data))), task="regression", **asdict(splits))
    train, val, test = ({"x": split["x"]} for split in (dataset.train, dataset.val, dataset.test))
    spec = replace(dataset.spec, task="reconstruction", target_mean=0.0, target_std=1.0)
    return Dataset(spec, train, val, test)


def _as_frame(data: Any, target: str | int | None) -> tuple[Table, FrameOptions] | None:
    """Convert a data frame, or (frame, y), to a Table and its options. Return None for other data."""
    frame = data[0] if isinstance(data, tuple) and len(data) == 2 else data
    if not hasattr(frame, "columns"):
        return None
    frame = with_names(frame, "data")
    if isinstance(data, tuple):
        target, frame = _with_target(frame, data[1])
    names = list(frame.columns)
    if target is None:
        raise ZooError(
            f"data: a data frame needs the name of the target, such as target={names[-1]!r}; columns: {names}"
        )
    if str(target) not in names:
        raise unknown("target", target, names)
    return Table.of_frame("data", frame), FrameOptions([str(target)])


def _with_target(frame: pd.DataFrame, y: Any) -> tuple[str, pd.DataFrame]:
    """Return the name of the target y, and the frame with y as a column.

    Raises:
        ZooError: if the number of rows or the index differs.
    """
    if isinstance(y, pd.DataFrame):
        if y.shape[1] != 1:
            raise ZooError(f"data=(X, y): y has {y.shape[1]} columns; must be one value per row")
        y = y.iloc[:, 0]
    if len(frame) != len(y):
        raise ZooError(f"data=(X, y): X has {len(frame)} rows and y has {len(y)}")
    if isinstance(y, pd.Series):
        if not y.index.equals(frame.index):
            raise ZooError("data=(X, y): the indices of X and y differ; align them with y.loc[X.index], or reset both")
        name = "y" if y.name is None else str(y.name)
        cells = y.array
    else:
        name, cells = "y", np.asarray(y)
    if name in frame.columns:
        raise ZooError(f"data=(X, y): X already has a column {name!r}; drop it or rename y")
    return name, frame.assign(**{name: cells})


def _as_arrays(data: Any) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(data, tuple):
        raise ZooError(f"data: unsupported type {type(data).__name__}; must be a name, (X, y) or a data frame")
    if len(data) != 2:
        raise ZooError(f"data: the tuple has {len(data)} elements; must be (X, y)")
    x, y = map(np.asarray, data)
    if len(x) != len(y):
        raise ZooError(f"data=(X, y): X has {len(x)} rows and y has {len(y)}")
    if x.dtype.kind not in "buif":
        raise ZooError("data: X contains text or objects; must be numbers; pass a data frame for text columns")
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        raise ZooError("data: X contains NaN or infinity; fill or drop those rows, or pass a data frame")
    return x, y


def labels_of(y: np.ndarray, task: str | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Encode labels as numbers. For classification, also return the class names."""
    if y.ndim != 1:
        raise ZooError(f"data: y has shape {y.shape}; must be one value per row")
    if pd.isna(y).any() or (y.dtype.kind == "f" and not np.isfinite(y).all()):
        raise ZooError("data: y contains NaN, infinity or None; drop those rows")
    if task is None:
        task = "regression" if y.dtype.kind in "iuf" and not few_integers(y) else "classification"
    if registry.task_entry(task).target == "number":
        if y.dtype.kind not in "biuf":
            raise ZooError("task=regression: y contains text; must be numbers")
        return y.astype(np.float64), ()
    names, numbers = np.unique(y if y.dtype.kind in "iubf" else y.astype(str), return_inverse=True)
    return numbers.astype(np.int64), tuple(as_text(name) for name in names)


def as_images(x: np.ndarray, where: str) -> np.ndarray:
    """Return images (N, H, W), (N, C, H, W) or (N, H, W, C) as (N, C, H, W), uint8 or float32 in [0, 1].

    Raises:
        ZooError: if the shape or the values are invalid (see ``zoo.data.image.read``). The message starts with
            ``where``.
    """
    if x.ndim not in (3, 4):
        raise ZooError(f"{where}: images of shape {x.shape}; must be (N, H, W), (N, C, H, W) or (N, H, W, C)")
    return channels_first(pixel_values(x, where))


def joined_images(parts: Sequence[np.ndarray], where: str) -> np.ndarray:
    """Concatenate the images of all parts of a dataset and convert them with ``as_images``.

    All parts together determine the channel axis and the value range.

    Raises:
        ZooError: if the parts differ in shape or type, or ``as_images`` rejects the images.
    """
    shapes, types = {x.shape[1:] for x in parts}, {x.dtype for x in parts}
    if len(shapes) > 1:
        raise ZooError(f"{where}: images of different shapes, {' and '.join(sorted(map(str, shapes)))}")
    if len({dtype.kind.replace("i", "u") for dtype in types}) > 1:
        raise ZooError(f"{where}: images of different types, {' and '.join(sorted(map(str, types)))}; must be the same")
    return np.require(as_images(np.concatenate(parts), where), requirements=["C", "W"])
