"""A data set in memory: what it is, where it comes from, and its three splits as whole tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from zoo.errors import ZooError
from zoo.options import check_number
from zoo.spec import DataSpec

Split = Mapping[str, Tensor]
Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Card:
    """Where a ready-made data set comes from. ``md5`` maps a file's name to its checksum."""

    source: str
    licence: str
    citation: str
    md5: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Dataset:
    """Train, validation and test rows, each a mapping of ``x`` (N, *input_shape) and ``y`` (N,).

    Images may be uint8 (0 to 255): a batch of them becomes float in [0, 1].
    """

    spec: DataSpec
    train: Split
    val: Split
    test: Split
    card: Card | None = None

    def __post_init__(self) -> None:
        for name in ("train", "val", "test"):
            split = getattr(self, name)
            if len({len(v) for v in split.values()}) != 1:
                raise ZooError(f"{self.spec.name}: x and y of {name} differ in length")
            if not len(split["x"]):
                raise ZooError(f"{self.spec.name}: no rows in {name}; give more rows or other splits")

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Rows in train, validation and test."""
        return len(self.train["x"]), len(self.val["x"]), len(self.test["x"])


def fold_split(
    y: np.ndarray, *, stratify: bool, folds: int, fold: int, split_seed: int, val: float = 0.1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the row numbers of train, validation and test: test is fold ``fold`` of ``folds``.

    ``val`` is the share of the other rows that is validation; it depends on ``split_seed`` and the fold alone.
    """
    from sklearn.model_selection import KFold, StratifiedKFold, train_test_split

    check_number("data.folds", folds, low=2, whole=True)
    check_number("data.fold", fold, low=0, high=folds - 1, whole=True)
    check_number("data.split_seed", split_seed, low=0, whole=True)
    rarest = np.unique(y, return_counts=True)[1].min() if stratify else len(y)
    if rarest < folds:
        raise ZooError(f"data.folds={folds}: the rarest class or the data has only {rarest} rows")
    kind = StratifiedKFold if stratify else KFold
    cut = kind(folds, shuffle=True, random_state=split_seed)
    rest, test = list(cut.split(np.zeros(len(y)), y))[fold]
    train, held = train_test_split(rest, test_size=val, random_state=split_seed, stratify=y[rest] if stratify else None)
    return np.sort(train), np.sort(held), np.sort(test)


def rows(x: Tensor, y: Tensor, index: np.ndarray) -> dict[str, Tensor]:
    """Return the rows ``index`` as a split."""
    picked = torch.as_tensor(index)
    return {"x": x[picked], "y": y[picked]}


def channel_statistics(x: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and deviation per channel of images (N, C, H, W), in [0, 1] also for uint8."""
    scale = 1 / 255 if x.dtype == torch.uint8 else 1.0
    count = x.numel() // x.shape[1]
    mean, std = [], []
    for channel in x.unbind(1):
        if x.dtype == torch.uint8:  # exact, and without a float copy of the data
            seen = torch.bincount(channel.reshape(-1), minlength=256).double()
            value = torch.arange(256, dtype=torch.float64)
        else:
            seen, value = torch.ones(count, dtype=torch.float64), channel.reshape(-1).double()
        centre = (seen * value).sum() / count
        mean.append(float(centre) * scale)
        std.append(max(float(((value - centre) ** 2 * seen).sum() / count) ** 0.5 * scale, 1e-6))
    return tuple(mean), tuple(std)
