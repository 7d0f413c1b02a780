"""Static binarized MNIST, on which likelihoods are compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from zoo.data.dataset import Dataset, channel_statistics
from zoo.data.download import card, root_folder
from zoo.data.image.spec import ImageSpec
from zoo.exceptions import ZooError
from zoo.registry import register_data

SIDE = 28
PARTS = {"train": 50_000, "valid": 10_000, "test": 10_000}


@register_data("binarized_mnist", tasks=("reconstruction",), modality="image")
def binarized_mnist(*, path: str | None = None, root: str | None = None) -> Dataset:
    """Return 70,000 digits of black and white pixels, 28×28, in their customary parts: 50,000, 10,000 and 10,000.

    Args:
        ``path``: folder with a file for each of train, valid and test: text of 784 zeros and ones a line (.amat, as
            published) or MATLAB's (.mat, with the rows as X); null: binarized_mnist in the folder of ``root``
        ``root``: folder of data sets that are downloaded; null: $ZOO_DATA, else data/

    Raises:
        ZooError: a file that is missing, or holds something else.
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
    """Return a part's images (N, 1, 28, 28), uint8: 0 or 255."""
    files = sorted(folder.glob(f"*{part}*.mat")) + sorted(folder.glob(f"*{part}*.amat"))
    if not files:
        raise ZooError(
            f"data=binarized_mnist: {folder} holds no *{part}*.amat or .mat; get the three files from "
            f"{card('binarized_mnist')['source']} and name their folder by data.path="
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
        raise ZooError(f"{files[0]}: holds {values.shape}; must be {rows} rows of {SIDE * SIDE} zeros and ones")
    return torch.from_numpy(values.astype(np.uint8) * 255).view(-1, 1, SIDE, SIDE)
