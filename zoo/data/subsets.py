"""Replace the training rows of a dataset: a subset, generated images, or both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo import registry
from zoo.config.schema import check_number
from zoo.data.arrays import as_images
from zoo.data.dataset import Dataset, Windows, class_counts, picked
from zoo.data.image.npz import labeled_arrays
from zoo.data.spec import DataSpec
from zoo.exceptions import ZooError


def trained_on(dataset: Dataset, *, rows: int | None, seed: int | None, synthetic: str | None) -> Dataset:
    """Return the dataset with other training rows. Validation and test do not change.

    ``rows`` training rows are kept in a stratified draw with ``seed`` (None: 0). The images and labels of the archive
    ``synthetic``, as ``zoo sample`` writes it, are added. Statistics are recomputed from the new rows, except for the
    categories, imputation values and bins of a table.

    Raises:
        ZooError: if there are too few rows, no rows, or images with other shapes or classes.
    """
    check_number("data.max_train_samples", rows, low=0, integer=True, optional=True)
    check_number("data.subset_seed", seed, low=0, integer=True, optional=True)
    if rows is None and synthetic is None:
        if seed is not None:
            raise ZooError(f"data.subset_seed={seed}: has no effect without data.max_train_samples")
        return dataset
    if rows == 0 and synthetic is None:
        raise ZooError("data.max_train_samples=0: leaves no training rows; set data.synthetic_path to train on images")
    spec = dataset.spec
    train: dict[str, Any] = dict(dataset.train)
    if rows is not None:
        train = _few(spec, train, rows, seed or 0)
    if synthetic is not None:
        train = _with(spec, train, Path(synthetic))
    spec = replace(registry.get_modality(spec.modality).with_statistics(spec, train["x"]), rows=len(train["x"]))
    if "y" in train and spec.target_type == "class":
        spec = replace(spec, class_counts=class_counts(train["y"].numpy(), len(spec.classes)))
    elif "y" in train and spec.target_type == "number" and not spec.target_shape:
        y = train["y"].double()
        spec = replace(spec, target_mean=float(y.mean()), target_std=float(y.std(correction=0)) or 1.0)
    return replace(dataset, spec=spec, train=train)


def _few(spec: DataSpec, train: dict[str, Any], count: int, seed: int) -> dict[str, Any]:
    """Return ``count`` rows, stratified by class."""
    from sklearn.model_selection import train_test_split

    if isinstance(train["x"], Windows):
        raise ZooError(
            f"data.max_train_samples: needs data with separate rows; {spec.name} is one long {spec.modality}"
        )
    there = len(train["x"])
    if count > there:
        raise ZooError(f"data.max_train_samples={count}: {spec.name} has only {there} training rows")
    if count in (0, there):
        return picked(train, torch.arange(count))
    shares, least = None, 1
    if spec.target_type == "class" and not spec.multilabel and "y" in train:
        y = train["y"].numpy()
        least = len(spec.classes)
        shares = y if min(np.bincount(y)) > 1 and there - count >= least else None
    if count < least:
        raise ZooError(f"data.max_train_samples={count}: must be at least {least}, one for each class")
    chosen, _ = train_test_split(np.arange(there), train_size=count, random_state=seed, stratify=shares)
    return picked(train, torch.from_numpy(np.sort(chosen)))


def _with(spec: DataSpec, train: dict[str, Any], path: Path) -> dict[str, Any]:
    """Append the rows of an archive of images."""
    if not spec.spatial or spec.target_type != "class" or spec.multilabel:
        raise ZooError(f"data.synthetic_path: needs images with class labels, which {spec.name} does not have")
    arrays = labeled_arrays(path)
    if set(arrays) != {"train"}:
        raise ZooError(
            f"data.synthetic_path={path}: has train, val or test parts; must be x and y, as zoo sample writes them"
        )
    x, y = as_images(arrays["train"][0], f"data.synthetic_path={path}"), arrays["train"][1].reshape(-1)
    if x.shape[1:] != spec.input_shape:
        raise ZooError(f"data.synthetic_path={path}: images have shape {x.shape[1:]}; must be {spec.input_shape}")
    if y.dtype.kind not in "iu" or y.min(initial=0) < 0 or y.max(initial=0) >= len(spec.classes):
        raise ZooError(f"data.synthetic_path={path}: y must be class indices from 0 to {len(spec.classes) - 1}")
    real = train["x"].index_select(0, torch.arange(len(train["x"])))
    return {
        "x": torch.cat([real, _like(torch.from_numpy(x), real)]),
        "y": torch.cat([train["y"], torch.from_numpy(y).long()]),
    }


def _like(x: Tensor, real: Tensor) -> Tensor:
    """Convert images to the data type of ``real``: uint8, or float in [0, 1]."""
    if x.dtype == real.dtype:
        return x
    return (255 * x).round().to(real.dtype) if real.dtype == torch.uint8 else x.to(real.dtype) / 255
