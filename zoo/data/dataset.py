"""A data set in memory: what it is, where it comes from, and its three splits as whole tensors."""

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
VALIDATION = 0.1  # share of the rows that are not test
PART = 4096  # rows that statistics look at together


class Augmentation(Protocol):
    """Augmentation of one modality; false where it does nothing."""

    def __bool__(self) -> bool: ...

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Return an augmented batch; ``generator`` lives on the CPU."""


class Rows:
    """Some rows of values that stay where they are, such as a memory map: made into tensors batch by batch."""

    def __init__(self, base: Tensor | Windows, index: Tensor) -> None:
        self.base, self.index = base, index

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, row: int) -> Tensor:
        return self.base[int(self.index[row])]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the tensor that all rows would make."""
        return (len(self.index), *self.base.shape[1:])

    @property
    def device(self) -> torch.device:
        """Where the values lie."""
        return self.base.device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the values."""
        return self.base.dtype

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        """Return rows as a tensor, as a Tensor's method of that name does (``dim`` is 0)."""
        return self.base.index_select(dim, self.index.index_select(0, index))

    def to(self, device: torch.device) -> Rows | Tensor:
        """Return the rows on a device: there as a whole, windows with all that they are cut out of."""
        if isinstance(self.base, Windows):
            return Rows(self.base.to(device), self.index.to(device))
        return self if device.type == "cpu" else self.base.index_select(0, self.index).to(device)


class Windows:
    """Each stretch of ``length`` consecutive entries of ``base`` (N, …): number i begins at entry ``first`` + i.

    Symbols of texts are kept as int32 and are int64 in what is taken out.
    """

    def __init__(self, base: Tensor, length: int, *, first: int = 0, drop: int = 0) -> None:
        self.base, self.length, self.first = base, length, first
        self.drop = drop  # last ones that are left out

    def __len__(self) -> int:
        return max(len(self.base) - self.first - self.length + 1 - self.drop, 0)

    def __getitem__(self, row: int) -> Tensor:
        return self.index_select(0, torch.tensor([row]))[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the tensor that all would make."""
        return (len(self), self.length, *self.base.shape[1:])

    @property
    def device(self) -> torch.device:
        """Where the values lie."""
        return self.base.device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the values."""
        return torch.int64 if self.base.dtype == torch.int32 else self.base.dtype

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        """Return stretches (B, length, …) by their numbers, as a Tensor's method of that name does (``dim`` is 0)."""
        entries = (index + self.first)[:, None] + torch.arange(self.length, device=self.base.device)
        stretches = self.base.index_select(0, entries.flatten()).view(*entries.shape, *self.base.shape[1:])
        return stretches.to(self.dtype)

    def to(self, device: torch.device) -> Windows:
        """Return the same with ``base`` on a device."""
        return Windows(self.base.to(device), self.length, first=self.first, drop=self.drop)


Values = Tensor | Rows | Windows
Split = Mapping[str, Values]


@dataclass(frozen=True)
class Dataset:
    """Train, validation and test rows, each a mapping of ``x`` (N, *input_shape) and ``y`` (N,).

    Images may be uint8 (0 to 255): a batch of them becomes float in [0, 1]. Sequences have ``lengths`` (N,). A text's
    rows are Windows, one at each symbol; those that are ``stride`` apart make up the whole.
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
                raise ZooError(f"{self.spec.name}: x and y of {name} differ in length")
            if not len(split["x"]):
                raise ZooError(f"{self.spec.name}: no rows in {name}; give more rows or other splits")

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Rows in train, validation and test; of a text those that make up the whole."""
        train, val, test = (-(-len(split["x"]) // (self.stride or 1)) for split in (self.train, self.val, self.test))
        return train, val, test

    @property
    def described(self) -> str:
        """What a run says of it."""
        train, val, test = self.sizes
        shape = "×".join(map(str, self.spec.input_shape))
        return f"{train:,} train, {val:,} validation, {test:,} test rows of {shape}"

    def with_val_as_test(self) -> Dataset:
        """Return the data with the validation rows in place of those of the test."""
        return replace(self, test=self.val)


def row_place(row: int) -> str:
    """Return the words for a row where no file has a better name for it."""
    return f"row {row + 1}"


@dataclass(frozen=True)
class Splits:
    """How rows are cut: test is fold ``fold`` of ``folds``, validation a tenth of the rest, by ``split_seed`` alone."""

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
        """Return the row numbers of train, validation and test; ``stratify`` keeps the shares of the classes ``y``.

        An error names a class by ``classes`` and a row by ``place``.

        Raises:
            ZooError: fewer rows than folds, in the rarest class where they are stratified.
        """
        from sklearn.model_selection import KFold, StratifiedKFold

        if stratify and (rare := _rarest(y, self.folds, classes, place)):
            raise ZooError(f"data.folds={self.folds}: {rare}; give it more rows, leave it out, or ask for fewer folds")
        if len(y) < self.folds:
            count = f"{len(y)} {'row' if len(y) == 1 else 'rows'}"
            raise ZooError(f"data.folds={self.folds}: the data has only {count}; give more, or fewer folds")
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
        """Return the row numbers of train and of validation, where there is a test set already.

        Raises:
            ZooError: too few rows, or only one of a class.
        """
        from sklearn.model_selection import train_test_split

        if stratify and (rare := _rarest(y, 2, classes, place)):
            raise ZooError(f"validation: {rare}, which cannot be in train and in validation too")
        try:
            train, val = train_test_split(
                np.arange(len(y)), test_size=VALIDATION, random_state=self.split_seed, stratify=y if stratify else None
            )
        except ValueError:  # fewer rows than classes in a tenth of them
            each = f" with each of {len(np.unique(y))} classes" if stratify else ""
            message = f"validation: {len(y)} rows are too few to keep a tenth of them back{each}"
            raise ZooError(f"{message}; give more rows{', or fewer classes' if stratify else ''}") from None
        return np.sort(train), np.sort(val)


def _rarest(y: np.ndarray, least: int, classes: Sequence[str], place: Callable[[int], str]) -> str | None:
    """Return in words the rarest class and where its first row is; None where it has ``least`` rows."""
    codes, counts = np.unique(y, return_counts=True)
    rarest = int(counts.argmin())
    if counts[rarest] >= least:
        return None
    name = classes[int(codes[rarest])] if len(classes) else str(codes[rarest])
    count = f"{counts[rarest]} {'row' if counts[rarest] == 1 else 'rows'}"
    return f"the class {name!r} has only {count} ({place(int(np.flatnonzero(y == codes[rarest])[0]))})"


def class_counts(y: np.ndarray, classes: int) -> tuple[int, ...]:
    """Return the rows of each class; of several labels at once, those where each is true."""
    counts = y.sum(0) if y.ndim > 1 else np.bincount(y.astype(np.int64), minlength=classes) if classes else []
    return tuple(int(count) for count in counts)


def rarer(y: np.ndarray | Tensor) -> int:
    """Return which of two classes has fewer rows, the second where both have as many."""
    return int(2 * int((y == 1).sum()) <= len(y))


def rows(x: Tensor, y: Tensor, index: np.ndarray, *, lazy: bool = False) -> dict[str, Values]:
    """Return the rows ``index`` as a split; ``lazy`` leaves x where it is."""
    numbers = torch.as_tensor(index)
    return {"x": Rows(x, numbers) if lazy else x[numbers], "y": y[numbers]}


def channel_statistics(x: Values) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and deviation per channel of images (N, C, H, W), in [0, 1] also for uint8."""
    scale = 1 / 255 if x.dtype == torch.uint8 else 1.0
    count = len(x) * x.shape[2] * x.shape[3]
    total, squares = (torch.zeros(x.shape[1], dtype=torch.float64) for _ in range(2))
    for start in range(0, len(x), PART):  # no copy of the whole as floats
        part = x.index_select(0, torch.arange(start, min(start + PART, len(x)))).float()
        total += part.sum((2, 3)).double().sum(0)
        squares += part.square_().sum((2, 3)).double().sum(0)
    mean = total / count
    std = (squares / count - mean**2).clamp(min=0).sqrt()
    return tuple((mean * scale).tolist()), tuple((std * scale).clamp(min=1e-6).tolist())


def picked(split: Split, where: Tensor) -> dict[str, Any]:
    """Return the rows ``where`` of a split, by a mask or by numbers; what lies in a file stays there."""
    values: dict[str, Any] = dict(split)
    return {
        key: Rows(value.base, value.index[where]) if isinstance(value, Rows) else value[where]
        for key, value in values.items()
    }
