"""Ready-made images: scikit-learn's digits, MNIST and Fashion-MNIST."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import socket
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from zoo.data.dataset import Card, Dataset, channel_statistics, fold_split, rows
from zoo.errors import ZooError
from zoo.options import check_number
from zoo.registry import register_data
from zoo.spec import DataSpec

VALIDATION = 5000  # rows that MNIST and Fashion-MNIST keep back from their 60,000 for validation

MNIST = Card(
    source="http://yann.lecun.com/exdb/mnist",
    licence="CC BY-SA 3.0",
    citation="LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition, 1998",
    md5={
        "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
    },
)
FASHION = Card(
    source="https://github.com/zalandoresearch/fashion-mnist",
    licence="MIT",
    citation="Xiao, Rasul, Vollgraf: Fashion-MNIST, a novel image dataset, 2017",
    md5={
        "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    },
)
DIGITS = Card(
    source="https://archive.ics.uci.edu/dataset/80, as bundled with scikit-learn (its test part, 1,797 scans)",
    licence="CC BY 4.0",
    citation="Alpaydin, Kaynak: Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998",
)
FASHION_CLASSES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")


def image_spec(name: str, x: Tensor, y: Tensor, classes: tuple[str, ...]) -> DataSpec:
    """Return the spec of training images ``x`` (N, C, H, W): a classification where there are classes."""
    mean, std = channel_statistics(x)
    return DataSpec(
        name=name,
        kind="image",
        task="classification" if classes else "regression",
        input_shape=tuple(x.shape[1:]),
        classes=classes,
        mean=mean,
        std=std,
        target_mean=0.0 if classes else float(y.mean()),
        target_std=1.0 if classes else float(y.std(correction=0)) or 1.0,
    )


def image_dataset(
    name: str,
    x: Tensor,
    y: Tensor,
    split: tuple[np.ndarray, np.ndarray, np.ndarray],
    classes: tuple[str, ...],
    card: Card | None = None,
) -> Dataset:
    """Return images ``x`` (N, C, H, W) and their targets ``y`` (N,), split by row numbers."""
    train, val, test = (rows(x, y, index) for index in split)
    return Dataset(image_spec(name, train["x"], train["y"], classes), train, val, test, card)


@register_data("digits", tasks=("classification",), kind="image")
def digits(*, folds: int = 5, fold: int = 0, split_seed: int = 0) -> Dataset:
    """Return 1,797 scans of 8×8 pixels, test being one of ``folds`` stratified folds. Nothing to download."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    # Counts from 0 to 16, stretched to the 0 to 255 of every other image.
    x = torch.from_numpy(np.rint(bunch.images * (255 / 16)).astype(np.uint8)).unsqueeze(1)
    y = torch.from_numpy(bunch.target.astype(np.int64))
    train, val, test = fold_split(bunch.target, stratify=True, folds=folds, fold=fold, split_seed=split_seed)
    return image_dataset("digits", x, y, (train, val, test), tuple("0123456789"), DIGITS)


@register_data("mnist", tasks=("classification",), kind="image")
def mnist(*, root: str | None = None, split_seed: int = 0) -> Dataset:
    """Return 70,000 handwritten digits, 28×28: 55,000 to train, 5,000 to validate, the official 10,000 to test."""
    return _idx("mnist", "MNIST", MNIST, tuple("0123456789"), root, split_seed)


@register_data("fashion_mnist", tasks=("classification",), kind="image")
def fashion_mnist(*, root: str | None = None, split_seed: int = 0) -> Dataset:
    """Return 70,000 articles of clothing, 28×28, split as MNIST is."""
    return _idx("fashion_mnist", "FashionMNIST", FASHION, FASHION_CLASSES, root, split_seed)


def _idx(
    name: str, torchvision_name: str, card: Card, classes: tuple[str, ...], root: str | None, split_seed: int
) -> Dataset:
    check_number("data.split_seed", split_seed, low=0, whole=True)
    folder = Path(root or os.environ.get("ZOO_DATA") or "data") / torchvision_name / "raw"
    missing = [file for file in card.md5 if not (folder / file).is_file()]
    if missing:
        _download(name, torchvision_name, card, folder, missing)
    parts = [read_idx(folder / file, md5) for file, md5 in card.md5.items()]
    x, y, test_x, test_y = parts[0].unsqueeze(1), parts[1].long(), parts[2].unsqueeze(1), parts[3].long()
    order = np.random.default_rng(split_seed).permutation(len(x))
    train, val = np.sort(order[VALIDATION:]), np.sort(order[:VALIDATION])
    seen = rows(x, y, train)
    spec = image_spec(name, seen["x"], seen["y"], classes)
    return Dataset(spec, seen, rows(x, y, val), {"x": test_x, "y": test_y}, card)


def read_idx(path: Path, md5: str) -> Tensor:
    """Return the array of a gzipped idx file, uint8.

    Raises:
        ZooError: the file cannot be read, or is not the one with this checksum.
    """
    try:
        packed = path.read_bytes()
    except OSError as error:
        raise ZooError(f"{path}: cannot be read ({error.strerror})") from None
    found = hashlib.md5(packed, usedforsecurity=False).hexdigest()
    if found != md5:
        raise ZooError(f"{path}: truncated or altered, its MD5 is {found} and should be {md5}; delete it and try again")
    raw = gzip.decompress(packed)
    # Header: two zero bytes, the type (8: uint8), the number of dimensions, then each as a big-endian int32.
    dimensions = raw[3]
    shape = np.frombuffer(raw, ">i4", count=dimensions, offset=4)
    values = np.frombuffer(raw, np.uint8, offset=4 + 4 * dimensions)
    return torch.from_numpy(values.reshape(shape.tolist()).copy())


def _download(name: str, torchvision_name: str, card: Card, folder: Path, missing: list[str]) -> None:
    """Fetch missing files with torchvision, into place only when complete; leave nothing behind otherwise."""
    from torchvision import datasets
    from torchvision.datasets.utils import download_url

    print(f"{name}: downloading {', '.join(missing)} to {folder}", flush=True)
    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(15)
    temporary = Path(tempfile.mkdtemp(prefix="zoo-download-"))
    try:
        for file in missing:
            for mirror in getattr(datasets, torchvision_name).mirrors:
                try:
                    download_url(mirror + file, str(temporary), file, card.md5[file])
                    break
                except (OSError, RuntimeError):
                    continue
            else:
                raise ZooError(
                    f"data={name}: {', '.join(missing)} not found in {folder}, and no network to download them from; "
                    f"put them there, or set data.root or ZOO_DATA to the folder that holds "
                    f"{torchvision_name}/raw (data=digits needs no files)"
                )
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for file in missing:
                shutil.move(temporary / file, folder / file)
        except OSError as error:
            raise ZooError(f"{folder}: cannot be written ({error.strerror}); choose another data.root") from None
    finally:
        socket.setdefaulttimeout(patience)
        shutil.rmtree(temporary, ignore_errors=True)
