"""Datasets in memory: the spec, and tensors for the train, validation and test splits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Protocol

import numpy as np
import torch
from torch import Tensor

from zoo.config.schema import Natural, check_number, check_options, number
from zoo.data.spec import DataSpec
from zoo.exceptions import ZooError

Batch = dict[str, Tensor]
VALIDATION = 0.1  # fraction of the rows outside the test set
PART = 4096  # rows per step when statistics are computed


class Augmentation(Protocol):
    """Augmentation of one modality. It is falsy if it changes nothing."""

    def __bool__(self) -> bool: ...

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Return an augmented batch. ``generator`` is a CPU generator."""


class Rows:
    """A lazy selection of rows, for example from a memory map. Each batch is loaded when it is needed."""

    def __init__(self, base: Tensor | Windows, index: Tensor) -> None:
        self.base, self.index = base, index

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, row: int) -> Tensor:
        return self.base[int(self.index[row])]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the tensor with all rows."""
        return (len(self.index), *self.base.shape[1:])

    @property
    def device(self) -> torch.device:
        """Device of the values."""
        return self.base.device

    @property
    def dtype(self) -> torch.dtype:
        """Data type of the values."""
        return self.base.dtype

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        """Return rows as a tensor, like ``Tensor.index_select``; ``dim`` is 0."""
        return self.base.index_select(dim, self.index.index_select(0, index))

    def to(self, device: torch.device) -> Rows | Tensor:
        """Move all rows to a device. Windows take the complete base tensor with them."""
        if isinstance(self.base, Windows):
            return Rows(self.base.to(device), self.index.to(device))
        return self if device.type == "cpu" else self.base.index_select(0, self.index).to(device)


class Windows:
    """All windows of ``length`` consecutive entries of ``base`` (N, …). Window i starts at entry ``first`` + i.

    Token ids are stored as int32 and returned as int64.
    """

    def __init__(self, base: Tensor, length: int, *, first: int = 0, drop: int = 0) -> None:
        self.base, self.length, self.first = base, length, first
        self.drop = drop  # number of windows to omit at the end

    def __len__(self) -> int:
        return max(len(self.base) - self.first - self.length + 1 - self.drop, 0)

    def __getitem__(self, row: int) -> Tensor:
        return self.index_select(0, torch.tensor([row]))[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the tensor with all windows."""
        return (len(self), self.length, *self.base.shape[1:])

    @property
    def device(self) -> torch.device:
        """Device of the values."""
        return self.base.device

    @property
    def dtype(self) -> torch.dtype:
        """Data type of the returned windows."""
        return torch.int64 if self.base.dtype == torch.int32 else self.base.dtype

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        """Return the windows (B, length, …) with these indices, like ``Tensor.index_select``; ``dim`` is 0."""
        entries = (index + self.first)[:, None] + torch.arange(self.length, device=self.base.device)
        stretches = self.base.index_select(0, entries.flatten()).view(*entries.shape, *self.base.shape[1:])
        return stretches.to(self.dtype)

    def to(self, device: torch.device) -> Windows:
        """Return the windows with ``base`` on a device."""
        return Windows(self.base.to(device), self.length, first=self.first, drop=self.drop)


Values = Tensor | Rows | Windows
Split = Mapping[str, Values]


@dataclass(frozen=True)
class Dataset:
    """Train, validation and test splits, each a mapping with ``x`` (N, *input_shape) and ``y`` (N,).

    uint8 images (0 to 255) become float in [0, 1] when a batch is loaded. Sequences have ``lengths`` (N,). A text has
    Windows, one for each token position. Windows ``stride`` apart cover the text without overlap.
    """

    spec: DataSpec
    train: Split
    val: Split
    test: Split
    stride: int | None = None

    def __post_init__(self) -> None:
        for name in ("train", "val", "test"):
            split = getattr(self, name)
            if len({len(v) for v in split.values()}) != 1:
                raise ZooError(f"{self.spec.name}: x and y of the {name} split differ in length")
            if not len(split["x"]):
                raise ZooError(
                    f"{self.spec.name}: the {name} split has no rows; provide more rows or change the splits"
                )

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Number of rows in train, validation and test. For a text, the number of non-overlapping windows."""
        train, val, test = (-(-len(split["x"]) // (self.stride or 1)) for split in (self.train, self.val, self.test))
        return train, val, test

    @property
    def described(self) -> str:
        """One-line description of the splits."""
        train, val, test = self.sizes
        shape = "×".join(map(str, self.spec.input_shape))
        return f"{train:,} train, {val:,} validation, {test:,} test rows of {shape}"

    def with_val_as_test(self) -> Dataset:
        """Return the dataset with the validation split in place of the test split."""
        return replace(self, test=self.val)


def row_place(row: int) -> str:
    """Return the default name of a row in messages."""
    return f"row {row + 1}"


@dataclass(frozen=True)
class Splits:
    """Train, validation and test split by k-fold cross-validation.

    The test split is fold ``fold`` of ``folds``. Validation is 10 % of the remaining rows. The split depends on
    ``split_seed`` alone.
    """

    folds: Annotated[int, number(low=2, integer=True)] = 5
    fold: int = 0
    split_seed: Natural = 0

    def __post_init__(self) -> None:
        check_options(Splits, "data", vars(self))
        check_number("data.fold", self.fold, low=0, high=self.folds - 1, integer=True)

    def cut(
        self,
        y: np.ndarray,
        *,
        stratify: bool,
        classes: Sequence[str] = (),
        place: Callable[[int], str] = row_place,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the row indices of train, validation and test. ``stratify`` keeps the class proportions of ``y``.

        Errors use ``classes`` to name a class and ``place`` to name a row.

        Raises:
            ZooError: if there are fewer rows than folds, in total or in the rarest class of a stratified split.
        """
        from sklearn.model_selection import KFold, StratifiedKFold

        if stratify and (rare := _rarest(y, self.folds, classes, place)):
            raise ZooError(f"data.folds={self.folds}: {rare}; add rows, remove the class or reduce data.folds")
        if len(y) < self.folds:
            count = f"{len(y)} {'row' if len(y) == 1 else 'rows'}"
            raise ZooError(f"data.folds={self.folds}: the data has only {count}; add rows or reduce data.folds")
        kind = StratifiedKFold if stratify else KFold
        parts = kind(self.folds, shuffle=True, random_state=self.split_seed).split(np.zeros(len(y)), y)
        rest, test = list(parts)[self.fold]
        train, val = self.cut_val(y[rest], stratify=stratify, classes=classes, place=lambda row: place(int(rest[row])))
        return rest[train], rest[val], np.sort(test)

    def cut_val(
        self,
        y: np.ndarray,
        *,
        stratify: bool,
        classes: Sequence[str] = (),
        place: Callable[[int], str] = row_place,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the row indices of train and validation, for data with a separate test set.

        Raises:
            ZooError: if there are too few rows, or only one row of a class.
        """
        from sklearn.model_selection import train_test_split

        if stratify and (rare := _rarest(y, 2, classes, place)):
            raise ZooError(f"validation: {rare}; train and validation each need one")
        try:
            train, val = train_test_split(
                np.arange(len(y)), test_size=VALIDATION, random_state=self.split_seed, stratify=y if stratify else None
            )
        except ValueError:  # a tenth has fewer rows than there are classes
            each = f" with each of {len(np.unique(y))} classes" if stratify else ""
            message = f"validation: {len(y)} rows are too few for a validation split of 10 %{each}"
            raise ZooError(f"{message}; add rows{' or reduce the number of classes' if stratify else ''}") from None
        return np.sort(train), np.sort(val)


def _rarest(y: np.ndarray, least: int, classes: Sequence[str], place: Callable[[int], str]) -> str | None:
    """Describe the rarest class and its first row. Return None if it has at least ``least`` rows."""
    codes, counts = np.unique(y, return_counts=True)
    rarest = int(counts.argmin())
    if counts[rarest] >= least:
        return None
    name = classes[int(codes[rarest])] if len(classes) else str(codes[rarest])
    count = f"{counts[rarest]} {'row' if counts[rarest] == 1 else 'rows'}"
    return f"the class {name!r} has only {count} ({place(int(np.flatnonzero(y == codes[rarest])[0]))})"


def class_counts(y: np.ndarray, classes: int) -> tuple[int, ...]:
    """Return the number of rows of each class. In multilabel data, a row counts for each of its labels."""
    counts = y.sum(0) if y.ndim > 1 else np.bincount(y.astype(np.int64), minlength=classes) if classes else []
    return tuple(int(count) for count in counts)


def rarer(y: np.ndarray | Tensor) -> int:
    """Return the index of the rarer of two classes, 1 if both are equally frequent."""
    return int(2 * int((y == 1).sum()) <= len(y))


def rows(x: Tensor, y: Tensor, index: np.ndarray, *, lazy: bool = False) -> dict[str, Values]:
    """Return the rows ``index`` as a split. ``lazy`` leaves x in its file."""
    numbers = torch.as_tensor(index)
    return {"x": Rows(x, numbers) if lazy else x[numbers], "y": y[numbers]}


def channel_statistics(x: Values) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and standard deviation per channel of images (N, C, H, W), scaled to [0, 1]."""
    scale = 1 / 255 if x.dtype == torch.uint8 else 1.0
    count = len(x) * x.shape[2] * x.shape[3]
    total, squares = (torch.zeros(x.shape[1], dtype=torch.float64) for _ in range(2))
    for start in range(0, len(x), PART):  # avoids a float copy of all images
        part = x.index_select(0, torch.arange(start, min(start + PART, len(x)))).float()
        total += part.sum((2, 3)).double().sum(0)
        squares += part.square_().sum((2, 3)).double().sum(0)
    mean = total / count
    std = (squares / count - mean**2).clamp(min=0).sqrt()
    return tuple((mean * scale).tolist()), tuple((std * scale).clamp(min=1e-6).tolist())


def picked(split: Split, where: Tensor) -> dict[str, Any]:
    """Return the rows of a split that ``where``, a mask or indices, selects. Lazy values stay lazy."""
    values: dict[str, Any] = dict(split)
    return {
        key: Rows(value.base, value.index[where]) if isinstance(value, Rows) else value[where]
        for key, value in values.items()
    }
