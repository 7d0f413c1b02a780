"""The in-memory fast path: a data set as whole tensors, batches by index, several batches to a chunk.

A chunk of batches is what Lightning sees as one batch: its hooks then cost once per chunk, not once per step.
"""

from __future__ import annotations

from collections.abc import Iterator

import lightning as L
import numpy as np
import torch
from torch import Tensor

from zoo.data.augment import Augment
from zoo.data.dataset import Batch, Dataset, Split
from zoo.encode import to_float
from zoo.options import check_number

CHUNK = 16  # batches per chunk: hooks cost a sixteenth per step, and progress still moves
EVAL_BATCH = 1000  # rows per batch without gradients


def generator_of(*key: int) -> torch.Generator:
    """Return a CPU generator whose stream is a function of ``key`` alone, such as (seed, epoch, batch)."""
    state = np.random.SeedSequence(key).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) >> 1)


class Chunk:
    """Consecutive training batches, made one after the other while they are used."""

    def __init__(self, loader: Loader, epoch: int, first: int, index: Tensor) -> None:
        self.loader, self.epoch, self.first, self.index = loader, epoch, first, index

    def __iter__(self) -> Iterator[Batch]:
        """Yield batches: ``x`` augmented, images as float in [0, 1]."""
        loader = self.loader
        for number, index in enumerate(self.index.split(loader.batch_size), start=self.first):
            # Measured: ten times as fast as value[index] for rows of bytes
            batch = {key: value.index_select(0, index) for key, value in loader.split.items()}
            batch["x"] = to_float(batch["x"])
            if loader.augment:
                batch["x"] = loader.augment(batch["x"], generator_of(loader.seed, 1, self.epoch, number))
            yield batch


class Loader:
    """Training chunks in an order that is a function of (seed, epoch).

    An epoch is ``steps`` batches where given (the order then repeats or is cut), else one pass with a short last
    batch. A short batch of one row, which batch normalisation cannot train on, is left out of that pass.
    """

    def __init__(
        self,
        split: Split,
        *,
        batch_size: int,
        seed: int,
        augment: Augment | None = None,
        steps: int | None = None,
    ) -> None:
        self.split, self.batch_size, self.seed, self.augment = split, batch_size, seed, augment
        self.rows = len(split["x"])
        self.steps = steps
        self.samples = steps * batch_size if steps else self.rows
        if not steps and self.rows % batch_size == 1 and self.rows > 1:
            self.samples -= 1
        self.batches = -(-self.samples // batch_size)
        self.epoch = 0

    def __len__(self) -> int:
        return -(-self.batches // CHUNK)

    def order(self, epoch: int) -> Tensor:
        """Return the row numbers of an epoch, (samples,)."""
        generator = generator_of(self.seed, 0, epoch)
        passes = -(-self.samples // self.rows)
        order = torch.cat([torch.randperm(self.rows, generator=generator) for _ in range(passes)])
        return order[: self.samples].to(self.split["x"].device)

    def __iter__(self) -> Iterator[Chunk]:
        """Yield the chunks of the next epoch."""
        epoch, order, length = self.epoch, self.order(self.epoch), CHUNK * self.batch_size
        for number, index in enumerate(order.split(length), start=1):
            if number == len(self):  # before the last yield: a sized loader is stopped by count and never resumed
                self.epoch = epoch + 1
            yield Chunk(self, epoch, (number - 1) * CHUNK, index)


class EvalLoader:
    """Batches of a split in order, without augmentation."""

    def __init__(self, split: Split) -> None:
        self.split = split

    def __len__(self) -> int:
        return -(-len(self.split["x"]) // EVAL_BATCH)

    def __iter__(self) -> Iterator[Batch]:
        parts = {key: value.split(EVAL_BATCH) for key, value in self.split.items()}
        for values in zip(*parts.values(), strict=True):
            batch = dict(zip(parts, values, strict=True))
            batch["x"] = to_float(batch["x"])
            yield batch


class ZooData(L.LightningDataModule):
    """A Dataset as Lightning takes it. ``steps_per_epoch`` and ``augment`` are for training alone.

    Raises:
        ZooError: a batch size below 1.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        batch_size: int = 128,
        seed: int = 0,
        augment: Augment | None = None,
        steps_per_epoch: int | None = None,
    ) -> None:
        super().__init__()
        check_number("data.batch_size", batch_size, low=1, whole=True)
        self.dataset, self.batch_size, self.seed = dataset, batch_size, seed
        self.augment, self.steps_per_epoch = augment, steps_per_epoch

    def _on_device(self, split: Split) -> Split:
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        return {key: value.to(device) for key, value in split.items()}

    def train_dataloader(self) -> Loader:
        """Return the chunks of shuffled training batches, on the trainer's device."""
        return Loader(
            self._on_device(self.dataset.train),
            batch_size=self.batch_size,
            seed=self.seed,
            augment=self.augment,
            steps=self.steps_per_epoch,
        )

    def val_dataloader(self) -> EvalLoader:
        """Return the validation rows in order."""
        return EvalLoader(self._on_device(self.dataset.val))

    def test_dataloader(self) -> EvalLoader:
        """Return the test rows in order."""
        return EvalLoader(self._on_device(self.dataset.test))

    def transfer_batch_to_device(
        self, batch: Batch | Chunk, device: torch.device, dataloader_idx: int
    ) -> Batch | Chunk:
        """Return the batch as it is: the whole data lies on the device already."""
        return batch
