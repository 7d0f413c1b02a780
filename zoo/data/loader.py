"""Fast data loading from memory: splits as tensors, batches by index, several batches per macro-batch.

Lightning treats a macro-batch as one batch, so that its hooks run once per macro-batch instead of once per step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import lightning as L
import torch
from torch import Tensor

from zoo.data.dataset import Augmentation, Batch, Dataset, Split
from zoo.data.input_readers import to_float
from zoo.data.transfer import ahead, fits, to_device
from zoo.utils.random import EVAL_BATCH, ROOM, generator_of

MACRO_BATCH = 16  # batches per macro-batch: one sixteenth of the hook overhead, and the progress bar still moves
STREAMS = 16  # text streams that evaluation reads in parallel
POOL = 50  # batches whose rows are sorted by length together


@dataclass(frozen=True)
class Shard:
    """The part of each batch for one process: number ``rank`` of ``world`` processes."""

    rank: int = 0
    world: int = 1


SINGLE = Shard()


def select(split: Split, index: Tensor, steps: int | None = None) -> Batch:
    """Return the rows ``index`` as stored. Truncate sequences to the first ``steps``."""
    # Measured: ten times as fast as value[index] for uint8 rows
    batch = {key: value.index_select(0, index) for key, value in split.items()}
    if steps is not None:
        batch["x"] = batch["x"][:, :steps]
    return batch


def batches(
    split: Split, index: Sequence[Tensor], steps: Sequence[int | None], device: torch.device
) -> Iterator[Batch]:
    """Yield a batch on the device for each element of ``index``. Prefetch batches from other devices."""
    resident = split["x"].device == device
    for batch in ahead(lambda n: select(split, index[n], steps[n]), range(len(index)), device, resident=resident):
        yield {**batch, "x": to_float(batch["x"])}


def longest(split: Split, batches: Sequence[Tensor]) -> list[int | None]:
    """Return the length of the longest sequence in each batch, None without lengths. Synchronizes the device once."""
    if "lengths" not in split or not batches:
        return [None] * len(batches)
    return torch.stack([split["lengths"].index_select(0, index).max() for index in batches]).tolist()


def by_length(order: Tensor, lengths: Tensor, batch_size: int, generator: torch.Generator) -> Tensor:
    """Return ``order`` bucketed by length: sort pools of rows by length, then shuffle the batches."""
    pools = [pool[lengths[pool].argsort(stable=True)] for pool in torch.split(order, POOL * batch_size)]
    order = torch.cat(pools)
    full = len(order) // batch_size
    batches = order[: full * batch_size].view(full, batch_size)
    return torch.cat([batches[torch.randperm(full, generator=generator)].flatten(), order[full * batch_size :]])


class MacroBatch:
    """Consecutive training batches, each loaded when the training loop reaches it.

    ``sizes`` are the batch sizes over all processes. Each batch has only the rows of this process.
    """

    def __init__(self, loader: Loader, epoch: int, first: int, index: Tensor) -> None:
        self.loader, self.epoch, self.first = loader, epoch, first
        self.index: Sequence[Tensor] = torch.split(index, loader.batch_size) if len(index) else ()
        self.sizes = [len(part) for part in self.index]
        self.steps = longest(loader.split, self.index)

    def __iter__(self) -> Iterator[Batch]:
        """Yield augmented batches, with images as float in [0, 1]."""
        loader, shard, index = self.loader, self.loader.shard, self.index
        if shard.world > 1:
            index = [part[shard.rank :: shard.world] for part in index]
        for number, batch in enumerate(batches(loader.split, index, self.steps, loader.device), start=self.first):
            if loader.augment:
                batch = loader.augment(batch, generator_of(loader.seed, 1 + shard.rank, self.epoch, number))
            # before the yield: the consumer of the last batch does not resume this generator
            loader.epoch, loader.batch = (
                (self.epoch, number + 1) if number + 1 < loader.batches else (self.epoch + 1, 0)
            )
            yield batch


class Loader:
    """Yields macro-batches of training rows in an order that depends only on (seed, epoch).

    An epoch has ``steps`` batches if given, otherwise it is one pass over the rows. The last batch of a pass may be
    smaller. A last batch with fewer than two rows per process is dropped, because batch normalization cannot train on
    it. Sequences are bucketed by length.

    Batches are on ``device`` (None: the device of the split). For a text, each epoch uses windows ``stride`` apart
    from a random start, in full batches. The windows are shuffled. With ``stateful``, row r of each batch instead
    continues row r of the previous batch.
    """

    def __init__(
        self,
        split: Split,
        *,
        batch_size: int,
        seed: int,
        augment: Augmentation | None = None,
        steps: int | None = None,
        shard: Shard = SINGLE,
        stride: int | None = None,
        stateful: bool = False,
        device: torch.device | None = None,
    ) -> None:
        self.split, self.batch_size, self.seed, self.augment = split, batch_size, seed, augment
        self.shard, self.stride, self.stateful = shard, stride, stateful
        self.device = split["x"].device if device is None else device
        lengths: Any = split.get("lengths")
        self.lengths: Tensor | None = None if lengths is None else lengths.cpu()
        self.rows = len(split["x"]) // (stride or 1)
        self.samples = steps * batch_size if steps else self.rows
        short = self.rows % batch_size
        if not steps and short < self.rows and (stride or short < 2 * shard.world):
            self.samples -= short
        self.batches = -(-self.samples // batch_size)
        self.epoch = self.batch = 0

    def __len__(self) -> int:
        return -(-self.batches // MACRO_BATCH)

    def state_dict(self) -> dict[str, int]:
        """Return the position of the next batch. The last yielded batch counts as done."""
        return {"epoch": self.epoch, "batch": self.batch}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Start the next iteration at a saved position."""
        self.epoch, self.batch = state["epoch"], state["batch"]

    def order(self, epoch: int) -> Tensor:
        """Return the row indices of an epoch, (samples,)."""
        if self.stateful and self.stride:
            return self._in_turn(epoch).to(self.split["x"].device)
        generator = generator_of(self.seed, 0, epoch)
        passes = -(-self.samples // self.rows)
        order = torch.cat([torch.randperm(self.rows, generator=generator) for _ in range(passes)])[: self.samples]
        if self.stride:
            order = order * self.stride + torch.randint(self.stride, (), generator=generator)
        if self.lengths is not None:
            order = by_length(order, self.lengths, self.batch_size, generator)
        return order.to(self.split["x"].device)

    def _in_turn(self, epoch: int) -> Tensor:
        """Return the windows of an epoch for stateful training.

        Each row of a batch follows its own stream through the text.
        """
        assert self.stride is not None
        long = self.rows // self.batch_size  # batches in a pass; a pass may span epochs if steps are given
        begins = torch.arange(self.batch_size) * long
        order = []
        for number in range(epoch * self.batches, (epoch + 1) * self.batches):
            turn, place = divmod(number, long)
            first = torch.randint(self.stride, (), generator=generator_of(self.seed, 0, turn))
            order.append((begins + place) * self.stride + first)
        return torch.cat(order)

    def __iter__(self) -> Iterator[MacroBatch]:
        """Yield the macro-batches of the next epoch. Those before the start position are empty."""
        epoch, begin, order = self.epoch, self.batch, self.order(self.epoch)
        length = MACRO_BATCH * self.batch_size
        for number in range(len(self)):
            first = max(number * MACRO_BATCH, begin)
            yield MacroBatch(self, epoch, first, order[first * self.batch_size : (number + 1) * length])


class EvalLoader:
    """Yields the batches of a split in order, without augmentation. ``row`` (B,) has the row indices.

    Each of several processes gets every world-th row of each block of ``EVAL_BATCH`` rows. All processes have the same
    number of batches. A text is read in ``STREAMS`` parallel streams, and each batch continues the previous one.
    """

    def __init__(
        self, split: Split, *, shard: Shard = SINGLE, stride: int | None = None, device: torch.device | None = None
    ) -> None:
        self.split, self.stride, rows = split, stride, len(split["x"])
        self.device = split["x"].device if device is None else device
        device = split["x"].device
        if stride:
            long = -(-rows // stride) // STREAMS
            streams = torch.arange(shard.rank, STREAMS, shard.world, device=device) * long
            self.index = [(streams + place) * stride for place in range(long)]
        else:
            blocks = list(torch.split(torch.arange(rows, device=device), EVAL_BATCH))
            if len(blocks) > 1 and len(blocks[-1]) < ROOM:  # each process gets rows of each block
                blocks[-2:] = [torch.cat(blocks[-2:])]
            self.index = [block[shard.rank :: shard.world] for block in blocks]
        self.steps = longest(split, self.index)
        self.rows = [index.cpu() for index in self.index]  # per-sample random generators run on the CPU

    def __len__(self) -> int:
        return len(self.index)

    def __iter__(self) -> Iterator[Batch]:
        loaded = batches(self.split, self.index, self.steps, self.device)
        for rows, batch in zip(self.rows, loaded, strict=True):
            yield batch if self.stride else {**batch, "row": rows}


class ZooData(L.LightningDataModule):
    """The LightningDataModule of a Dataset. ``steps_per_epoch``, ``augment`` and ``stateful`` affect training only."""

    def __init__(
        self,
        dataset: Dataset,
        *,
        batch_size: int = 128,
        seed: int = 0,
        augment: Augmentation | None = None,
        steps_per_epoch: int | None = None,
        stateful: bool = False,
    ) -> None:
        super().__init__()
        self.dataset, self.batch_size, self.seed = dataset, batch_size, seed
        self.augment, self.steps_per_epoch, self.stateful = augment, steps_per_epoch, stateful
        self._splits: dict[str, Split] | None = None

    def _split(self, name: str) -> dict[str, Any]:
        """Return a split and the device of its batches. All three splits move to the device if they fit together."""
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        if self._splits is None:
            splits = {part: getattr(self.dataset, part) for part in ("train", "val", "test")}
            parameters = self.trainer.lightning_module.parameters() if self.trainer else ()
            if fits(splits.values(), device, parameters):
                splits = {part: to_device(split, device) for part, split in splits.items()}
            self._splits = splits
        return {"split": self._splits[name], "device": device}

    def _shard(self) -> Shard:
        return Shard(self.trainer.global_rank, self.trainer.world_size) if self.trainer else SINGLE

    def train_dataloader(self) -> Loader:
        """Return the loader of shuffled training macro-batches on the device of the trainer."""
        return self._loader(**self._split("train"), steps=self.steps_per_epoch, shard=self._shard())

    def plain_loader(self) -> Loader:
        """Return the training loader for a single process on the CPU, with the same augmentation."""
        return self._loader(split=self.dataset.train)

    def _loader(self, **options: Any) -> Loader:
        return Loader(
            batch_size=self.batch_size,
            seed=self.seed,
            augment=self.augment,
            stride=self.dataset.stride,
            stateful=self.stateful,
            **options,
        )

    def first_batch(self) -> Batch:
        """Return the first training batch."""
        return next(iter(next(iter(self.plain_loader()))))

    def val_dataloader(self) -> EvalLoader:
        """Return the validation loader."""
        return EvalLoader(**self._split("val"), shard=self._shard(), stride=self.dataset.stride)

    def test_dataloader(self) -> EvalLoader:
        """Return the test loader."""
        return EvalLoader(**self._split("test"), shard=self._shard(), stride=self.dataset.stride)

    def transfer_batch_to_device(
        self, batch: Batch | MacroBatch, device: torch.device, dataloader_idx: int
    ) -> Batch | MacroBatch:
        """Return the batch unchanged, because the loader has already moved it to the device."""
        return batch
