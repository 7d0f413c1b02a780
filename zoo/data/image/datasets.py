"""Built-in image datasets: digits, MNIST, Fashion-MNIST, CIFAR-10, Oxford-IIIT Pets and binarized MNIST."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.config.schema import check_choice, check_number
from zoo.data.dataset import Dataset, Split, Splits, channel_statistics, class_counts, rarer, row_place, rows
from zoo.data.download import card, fetch, root_folder
from zoo.data.image.spec import ImageReading, ImageSpec
from zoo.exceptions import ZooError
from zoo.registry import register_data


def split_by_parts(
    y: np.ndarray,
    parts: np.ndarray | None,
    names: Sequence[str],
    splits: Splits,
    *,
    place: Callable[[int], str] = row_place,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the row indices of train, validation and test.

    ``parts`` (N,) names the split of each row; None if the data has no splits. A missing split is taken from train.

    Raises:
        ZooError: if validation or test has a class that train lacks.
    """
    if parts is None:
        return splits.cut(y, stratify=True, classes=names, place=place)
    train, val, test = (np.flatnonzero(parts == part) for part in ("train", "val", "test"))

    def in_train(row: int) -> str:
        return place(int(train[row]))

    for part, index in (("validation", val), ("test", test)):
        absent = set(y[index]) - set(y[train])
        if absent:
            raise ZooError(f"{part}: has the class {names[min(absent)]!r}, which train lacks")
    if not len(test):
        fit, validate, hold_out = splits.cut(y[train], stratify=True, classes=names, place=in_train)
        if len(val):
            return train[np.sort(np.concatenate([fit, validate]))], val, train[hold_out]
        return train[fit], train[validate], train[hold_out]
    if not len(val):
        fit, validate = splits.cut_val(y[train], stratify=True, classes=names, place=in_train)
        return train[fit], train[validate], test
    return train, val, test


VALIDATION = 5000  # of the 60,000 training images of MNIST and Fashion-MNIST, for validation

FASHION_CLASSES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")


def image_spec(
    name: str, train: Split, classes: tuple[str, ...], reading: ImageReading = ImageSpec.reading
) -> ImageSpec:
    """Return the spec of training images ``x`` (N, C, H, W). With ``classes``, the task is classification."""
    x, y = train["x"], train["y"]
    assert isinstance(y, Tensor)
    mean, std = channel_statistics(x)
    return ImageSpec(
        name=name,
        task="classification" if classes else "regression",
        input_shape=tuple(x.shape[1:]),
        classes=classes,
        mean=mean,
        std=std,
        positive_class=rarer(y) if len(classes) == 2 else 1,
        class_counts=class_counts(y.numpy(), len(classes)),
        rows=len(y),
        reading=reading,
        target_mean=0.0 if classes else float(y.mean()),
        target_std=1.0 if classes else float(y.std(correction=0)) or 1.0,
    )


def image_dataset(
    name: str,
    x: Tensor,
    y: Tensor,
    split: tuple[np.ndarray, np.ndarray, np.ndarray],
    classes: tuple[str, ...],
) -> Dataset:
    """Return images ``x`` (N, C, H, W) with targets ``y`` (N,) as a Dataset, split by row indices."""
    train, val, test = (rows(x, y, index) for index in split)
    return Dataset(image_spec(name, train, classes), train, val, test)


@register_data("digits", tasks=("classification",), modality="image")
def digits(*, folds: int = 5, fold: int = 0, split_seed: int = 0) -> Dataset:
    """Return the digits dataset of scikit-learn: 1,797 handwritten digits, 8×8, grayscale.

    Args:
        ``folds``: number of stratified folds
        ``fold``: index of the fold used as the test set
        ``split_seed``: seed of the folds and the validation split
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    # Counts from 0 to 16, rescaled to 0 to 255.
    x = torch.from_numpy(np.rint(bunch.images * (255 / 16)).astype(np.uint8)).unsqueeze(1)
    y = torch.from_numpy(bunch.target.astype(np.int64))
    train, val, test = Splits(folds, fold, split_seed).cut(bunch.target, stratify=True)
    return image_dataset("digits", x, y, (train, val, test), tuple("0123456789"))


@register_data("mnist", tasks=("classification",), modality="image")
def mnist(*, root: str | None = None, split_seed: int = 0) -> Dataset:
    """Return MNIST: 70,000 handwritten digits, 28×28, grayscale.

    55,000 images are for training, 5,000 for validation, and the official 10,000 for the test.

    Args:
        ``root``: folder of built-in datasets; null: $ZOO_DATA, otherwise data/
        ``split_seed``: seed of the validation split
    """
    return _idx("mnist", "MNIST", tuple("0123456789"), root, split_seed)


@register_data("fashion_mnist", tasks=("classification",), modality="image")
def fashion_mnist(*, root: str | None = None, split_seed: int = 0) -> Dataset:
    """Return Fashion-MNIST: 70,000 images of clothing, 28×28, grayscale, split like MNIST.

    Args:
        ``root``: folder of built-in datasets; null: $ZOO_DATA, otherwise data/
        ``split_seed``: seed of the validation split
    """
    return _idx("fashion_mnist", "FashionMNIST", FASHION_CLASSES, root, split_seed)


def _idx(name: str, torchvision_name: str, classes: tuple[str, ...], root: str | None, split_seed: int) -> Dataset:
    check_number("data.split_seed", split_seed, low=0, integer=True)
    parts = [read_idx(raw) for raw in fetch(name, root_folder(root) / torchvision_name / "raw").values()]
    x, y, test_x, test_y = parts[0].unsqueeze(1), parts[1].long(), parts[2].unsqueeze(1), parts[3].long()
    return _official(name, x, y, {"x": test_x, "y": test_y}, classes, split_seed)


def _official(
    name: str, x: Tensor, y: Tensor, test: dict[str, Tensor], classes: tuple[str, ...], split_seed: int
) -> Dataset:
    """Return images with their official test set. ``split_seed`` draws VALIDATION of the others for validation."""
    order = np.random.default_rng(split_seed).permutation(len(x))
    train, val = rows(x, y, np.sort(order[VALIDATION:])), rows(x, y, np.sort(order[:VALIDATION]))
    return Dataset(image_spec(name, train, classes), train, val, test)


def read_idx(content: bytes) -> Tensor:
    """Return the array of a gzipped idx file, uint8."""
    raw = gzip.decompress(content)
    # Header: two zero bytes, the type (8: uint8), the number of dimensions, then each as a big-endian int32.
    dimensions = raw[3]
    shape = np.frombuffer(raw, ">i4", count=dimensions, offset=4)
    values = np.frombuffer(raw, np.uint8, offset=4 + 4 * dimensions)
    return torch.from_numpy(values.reshape(shape.tolist()).copy())


@register_data("cifar10", tasks=("classification",), modality="image")
def cifar10(*, root: str | None = None, split_seed: int = 0) -> Dataset:
    """Return CIFAR-10: 60,000 photos of ten classes, 32×32, color.

    45,000 images are for training, 5,000 for validation, and the official 10,000 for the test.

    Args:
        ``root``: folder of built-in datasets; null: $ZOO_DATA, otherwise data/
        ``split_seed``: seed of the validation split
    """
    from torchvision import datasets

    parts = [_torchvision("cifar10", datasets.CIFAR10, root, train=train) for train in (True, False)]
    x, test_x = (torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous() for part in parts)
    y, test_y = (torch.tensor(part.targets) for part in parts)
    return _official("cifar10", x, y, {"x": test_x, "y": test_y}, tuple(parts[0].classes), split_seed)


@register_data("pets", tasks=("classification",), modality="image")
def pets(
    *,
    target: str = "species",
    size: int = 64,
    resize_mode: str = "crop",
    root: str | None = None,
    cache_dir: str | None = None,
    split_seed: int = 0,
) -> Dataset:
    """Return Oxford-IIIT Pets: 7,349 photos of cats and dogs. The official half is the test set.

    Args:
        ``target``: species (2 classes) | breed (37 classes)
        ``size``: height and width
        ``resize_mode``: crop (keep the aspect ratio, crop the center) | resize (stretch)
        ``root``: folder of built-in datasets; null: $ZOO_DATA, otherwise data/
        ``cache_dir``: folder of decoded images; null: $ZOO_CACHE, otherwise the cache folder of the user
        ``split_seed``: seed of the validation split
    """
    from torchvision.datasets import OxfordIIITPet

    from zoo.data.image.cache import DecodeOptions, decoded_images
    from zoo.data.image.decode import listing

    check_choice("data.target", target, ("species", "breed"))
    check_number("data.size", size, low=8, high=1024, integer=True)
    kind = "binary-category" if target == "species" else "category"
    parts = [
        _torchvision("pets", OxfordIIITPet, root, split=split, target_types=kind) for split in ("trainval", "test")
    ]
    folder = Path(parts[0]._images[0]).parent
    known = {entry[0]: entry for entry in listing(folder)}
    files = [known[Path(path).name] for part in parts for path in part._images]
    decoded = decoded_images(folder, files, DecodeOptions((size, size), resize_mode, 3), cache_dir=cache_dir)
    if decoded.corrupt:
        raise ZooError(f"{folder / files[min(decoded.corrupt)][0]}: cannot be decoded; delete {folder} and try again")
    labels = [part._bin_labels if target == "species" else part._labels for part in parts]
    y = torch.tensor(labels[0] + labels[1])
    rest, test = np.arange(len(labels[0])), np.arange(len(labels[0]), len(y))
    train, val = Splits(split_seed=split_seed).cut_val(y[rest].numpy(), stratify=True)
    names = tuple(name.lower() for name in (parts[0].bin_classes if target == "species" else parts[0].classes))
    splits = [rows(decoded.x, y, index, lazy=True) for index in (rest[train], rest[val], test)]
    spec = image_spec("pets", splits[0], names, ImageReading(resize_mode))
    return Dataset(spec, splits[0], splits[1], splits[2])


def _torchvision(name: str, dataset: Any, root: str | None, **options: Any) -> Any:
    """Return a torchvision dataset. Download it if it is missing."""
    folder = root_folder(root)
    try:
        return dataset(str(folder), download=False, **options)
    except RuntimeError:
        print(f"{name}: downloading to {folder}", flush=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return dataset(str(folder), download=True, **options)
    except (OSError, RuntimeError):
        raise ZooError(
            f"data={name}: not found in {folder}, and the download failed; set data.root or ZOO_DATA to the "
            f"folder that has it in torchvision's layout (data=digits needs no files)"
        ) from None


SIDE = 28
PARTS = {"train": 50_000, "valid": 10_000, "test": 10_000}


@register_data("binarized_mnist", tasks=("reconstruction",), modality="image")
def binarized_mnist(*, path: str | None = None, root: str | None = None) -> Dataset:
    """Return binarized MNIST: 70,000 black and white digits, 28×28.

    The standard split has 50,000, 10,000 and 10,000 images.

    Args:
        ``path``: folder with files for train, valid and test: .amat (784 zeros and ones per line) or .mat (rows in X);
            null: binarized_mnist in data.root
        ``root``: folder of built-in datasets; null: $ZOO_DATA, otherwise data/

    Raises:
        ZooError: if a file is missing or has other content.
    """
    folder = Path(path) if path is not None else root_folder(root) / "binarized_mnist"
    x = {part: _read(folder, part, rows) for part, rows in PARTS.items()}
    mean, std = channel_statistics(x["train"])
    spec = ImageSpec(
        name="binarized_mnist",
        task="reconstruction",
        input_shape=(1, SIDE, SIDE),
        mean=mean,
        std=std,
        rows=PARTS["train"],
    )
    return Dataset(spec, {"x": x["train"]}, {"x": x["valid"]}, {"x": x["test"]})


def _read(folder: Path, part: str, rows: int) -> Tensor:
    """Return the images of one split (N, 1, 28, 28), uint8: 0 or 255."""
    files = sorted(folder.glob(f"*{part}*.mat")) + sorted(folder.glob(f"*{part}*.amat"))
    if not files:
        raise ZooError(
            f"data=binarized_mnist: {folder} has no *{part}*.amat or .mat; download the three files from "
            f"{card('binarized_mnist')['source']} and set data.path= to their folder"
        )
    try:
        if files[0].suffix == ".mat":
            from scipy.io import loadmat

            values = np.asarray(loadmat(files[0])["X"])
        else:
            values = np.loadtxt(files[0], dtype=np.uint8)
    except Exception as error:
        raise ZooError(
            f"{files[0]}: cannot be read ({type(error).__name__}); download it again from "
            f"{card('binarized_mnist')['source']}"
        ) from None
    if values.shape != (rows, SIDE * SIDE) or not np.isin(values, (0, 1)).all():
        raise ZooError(f"{files[0]}: has shape {values.shape}; must be {rows} rows of {SIDE * SIDE} zeros and ones")
    return torch.from_numpy(values.astype(np.uint8) * 255).view(-1, 1, SIDE, SIDE)
