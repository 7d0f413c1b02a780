"""NumPy archives of labeled images with common array names."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from zoo.data.arrays import joined_images, labels_of
from zoo.data.dataset import Dataset, Splits, rows
from zoo.data.image.datasets import image_spec, split_by_parts
from zoo.data.image.spec import ImageReading
from zoo.exceptions import ZooError
from zoo.registry import register_data

NAMES = (("{}_images", "{}_labels"), ("x_{}", "y_{}"), ("X_{}", "y_{}"))
UNSPLIT_NAMES = (("images", "labels"), ("x", "y"), ("X", "y"))
LARGEST = 0.8  # maximum fraction of the free memory for an archive


@register_data("npz", tasks=("classification",), modality="image")
def npz(
    *,
    path: str | None = None,
    classes: Sequence[str] | None = None,
    folds: int = 5,
    fold: int = 0,
    split_seed: int = 0,
) -> Dataset:
    """Return the images of a NumPy archive in the format of MedMNIST.

    Its arrays are ``train_images``, ``train_labels``, ``val_…`` and ``test_…``. Other names are ``x_train``,
    ``y_train``, …, and without splits ``images`` and ``labels`` (or ``x`` and ``y``). A missing validation or test set
    is taken from train. RGBA images (N, H, W, 4) are composited on white.

    Args:
        ``path``: .npz archive
        ``classes``: class names in label order; null: the labels
        ``folds``: number of stratified folds, if the archive has no test set
        ``fold``: index of the fold used as the test set
        ``split_seed``: seed of the folds and the validation split

    Raises:
        ZooError: if it is not such an archive, or its arrays do not match.
    """
    if path is None:
        raise ZooError("data.path: must name the archive, for example data.path=pneumoniamnist.npz")
    arrays = labeled_arrays(Path(path))
    splits = [part for part in ("train", "val", "test") if part in arrays]
    images = joined_images([arrays[part][0] for part in splits], path)
    labels = [arrays[part][1].reshape(-1) for part in splits]
    y, names = labels_of(np.concatenate(labels), "classification")
    reading = ImageReading()
    if classes is not None:
        if len(classes) != len(names):
            raise ZooError(f"data.classes={list(classes)}: has {len(classes)} names; {path} has {len(names)} classes")
        reading, names = ImageReading(labels=names), tuple(map(str, classes))
    parts = None if splits == ["train"] else np.repeat(splits, list(map(len, labels)))
    index = split_by_parts(y, parts, names, Splits(folds, fold, split_seed))
    x, target = torch.from_numpy(images), torch.from_numpy(y)
    train, val, test = (rows(x, target, part) for part in index)
    return Dataset(image_spec("npz", train, names, reading), train, val, test)


def free_memory() -> float:
    """Return the available memory in bytes, or infinity if the system does not report it."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return float("inf")
    return next((1024 * float(line.split()[1]) for line in lines if line.startswith("MemAvailable")), float("inf"))


def labeled_arrays(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return images and labels by split. An archive without splits is train.

    Raises:
        ZooError: if it is not an archive of arrays, or images and labels are missing or differ in number.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > LARGEST * free_memory():
            raise ZooError(f"{path}: needs {size / 1e9:,.1f} GB of memory, more than is available")
        with np.load(path, allow_pickle=False) as archive:
            known = set(archive.files)
            names = [(part, x.format(part), y.format(part)) for part in ("train", "val", "test") for x, y in NAMES]
            pairs = {part: (x, y) for part, x, y in names if {x, y} <= known}
            if "train" not in pairs:
                pairs = dict([("train", pair) for pair in UNSPLIT_NAMES if set(pair) <= known][:1])
            arrays = {part: (archive[x], archive[y]) for part, (x, y) in pairs.items()}
    except ZooError:
        raise
    except OSError as error:
        raise ZooError(f"{path}: cannot be read ({error.strerror or error})") from None
    except Exception as error:  # damaged archives can raise any error
        message = " ".join(str(error).split()) or type(error).__name__
        raise ZooError(f"{path}: is not a valid .npz archive of plain arrays ({message})") from None
    if not arrays:
        expected = "must have train_images and train_labels, or images and labels"
        raise ZooError(f"{path}: {expected}; has {', '.join(sorted(known))}")
    for part, (x, y) in arrays.items():
        if len(x) != len(y) or (y.ndim > 1 and y.size != len(y)):
            raise ZooError(f"{path}: {part} has images {x.shape} and labels {y.shape}; must be one label per image")
    return arrays
