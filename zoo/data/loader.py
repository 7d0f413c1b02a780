"""The in-memory fast path: a data set as whole tensors, batches by index, several batches to a chunk.

A chunk of batches is what Lightning sees as one batch: its hooks then cost once per chunk, not once per step.
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

MACRO_BATCH = 16  # batches per chunk: hooks cost a sixteenth per step, and progress still moves
STREAMS = 16  # places of a text that are read side by side without gradients
POOL = 50  # batches' rows that are sorted by length together


@dataclass(frozen=True)
class Shard:
    """Which part of each batch this process works on: number ``rank`` of ``world`` processes."""

    rank: int = 0
    world: int = 1


SINGLE = Shard()


def select(split: Split, index: Tensor, steps: int | None = None) -> Batch:
    """Return the rows ``index`` as they are stored, of sequences the first ``steps``."""
    # Measured: ten times as fast as value[index] for rows of bytes
    batch = {key: value.index_select(0, index) for key, value in split.items()}
    if steps is not None:
        batch["x"] = batch["x"][:, :steps]
    return batch


def batches(
    split: Split, index: Sequence[Tensor], steps: Sequence[int | None], device: torch.device
) -> Iterator[Batch]:
    """Yield a batch of each part of ``index``, on a device; those that lie elsewhere are sent ahead."""
    resident = split["x"].device == device
    for batch in ahead(lambda n: select(split, index[n], steps[n]), range(len(index)), device, resident=resident):
        yield {**batch, "x": to_float(batch["x"])}


def longest(split: Split, batches: Sequence[Tensor]) -> list[int | None]:
    """Return the steps of each batch's longest sequence, None where rows have no lengths; waits for the device once."""
    if "lengths" not in split or not batches:
        return [None] * len(batches)
    return torch.stack([split["lengths"].index_select(0, index).max() for index in batches]).tolist()


def by_length(order: Tensor, lengths: Tensor, batch_size: int, generator: torch.Generator) -> Tensor:
    """Return ``order`` with rows of like length in one batch: pools of it sorted, the batches shuffled again."""
    pools = [pool[lengths[pool].argsort(stable=True)] for pool in torch.split(order, POOL * batch_size)]
    order = torch.cat(pools)
    full = len(order) // batch_size
    batches = order[: full * batch_size].view(full, batch_size)
    return torch.cat([batches[torch.randperm(full, generator=generator)].flatten(), order[full * batch_size :]])


class MacroBatch:
    """Consecutive training batches, made one after the other while they are used.

    ``sizes`` are the batches' rows over all processes; a batch itself is this process's share of them.
    """

    def __init__(self, loader: Loader, epoch: int, first: int, index: Tensor) -> None:
        self.loader, self.epoch, self.first = loader, epoch, first
        self.index: Sequence[Tensor] = torch.split(index, loader.batch_size) if len(index) else ()
        self.sizes = [len(part) for part in self.index]
        self.steps = longest(loader.split, self.index)

    def __iter__(self) -> Iterator[Batch]:
        """Yield batches: ``x`` augmented, images as float in [0, 1]."""
        loader, shard, index = self.loader, self.loader.shard, self.index
        if shard.world > 1:
            index = [part[shard.rank :: shard.world] for part in index]
        for number, batch in enumerate(batches(loader.split, index, self.steps, loader.device), start=self.first):
            if loader.augment:
                batch = loader.augment(batch, generator_of(loader.seed, 1 + shard.rank, self.epoch, number))
            # before the yield: the last batch's consumer never comes back for more
            loader.epoch, loader.batch = (
                (self.epoch, number + 1) if number + 1 < loader.batches else (self.epoch + 1, 0)
            )
            yield batch


class Loader:
    """Training chunks in an order that is a function of (seed, epoch).

    An epoch is ``steps`` batches where given (the order then repeats or is cut), else one pass with a short last
    batch. A last batch with less than two rows for each process, which batch normalization cannot train on, is left
    out of that pass. Sequences come with others of like length.

    Batches come on ``device`` (None: where the split lies). Of a text, an epoch takes the windows that are ``stride``
    apart, from a first one of its own, in full batches:
    shuffled, or, where ``stateful``, row r of each batch goes on where row r of the batch before ended.
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
        """Return the place of the batch that comes next: what was yielded last is done."""
        return {"epoch": self.epoch, "batch": self.batch}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Begin the next iteration at such a place."""
        self.epoch, self.batch = state["epoch"], state["batch"]

    def order(self, epoch: int) -> Tensor:
        """Return the row numbers of an epoch, (samples,)."""
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
        """Return the windows of an epoch's batches, each row of a batch a stream of its own through the text."""
        assert self.stride is not None
        long = self.rows // self.batch_size  # batches in a pass; where steps are given a pass may span epochs
        begins = torch.arange(self.batch_size) * long
        order = []
        for number in range(epoch * self.batches, (epoch + 1) * self.batches):
            turn, place = divmod(number, long)
            first = torch.randint(self.stride, (), generator=generator_of(self.seed, 0, turn))
            order.append((begins + place) * self.stride + first)
        return torch.cat(order)

    def __iter__(self) -> Iterator[MacroBatch]:
        """Yield the chunks of the next epoch; those before the place where it begins are empty."""
        epoch, begin, order = self.epoch, self.batch, self.order(self.epoch)
        length = MACRO_BATCH * self.batch_size
        for number in range(len(self)):
            first = max(number * MACRO_BATCH, begin)
            yield MacroBatch(self, epoch, first, order[first * self.batch_size : (number + 1) * length])


class EvalLoader:
    """Batches of a split in order, without augmentation; ``row`` (B,) are their numbers in it.

    Of several processes each has every world-th row of each ``EVAL_BATCH`` of them, and all have the same number of
    batches. A text is read in ``STREAMS`` places side by side, each batch going on where the one before ended.
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
            if len(blocks) > 1 and len(blocks[-1]) < ROOM:  # each process has some of each
                blocks[-2:] = [torch.cat(blocks[-2:])]
            self.index = [block[shard.rank :: shard.world] for block in blocks]
        self.steps = longest(split, self.index)
        self.rows = [index.cpu() for index in self.index]  # random numbers of rows are drawn there

    def __len__(self) -> int:
        return len(self.index)

    def __iter__(self) -> Iterator[Batch]:
        loaded = batches(self.split, self.index, self.steps, self.device)
        for rows, batch in zip(self.rows, loaded, strict=True):
            yield batch if self.stride else {**batch, "row": rows}


class ZooData(L.LightningDataModule):
    """A Dataset as Lightning takes it. ``steps_per_epoch``, ``augment`` and ``stateful`` are for training alone."""

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
        """Return a split, and the device that its batches come on: all three lie there where they fit together."""
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
        """Return the chunks of shuffled training batches, on the trainer's device."""
        return self._loader(**self._split("train"), steps=self.steps_per_epoch, shard=self._shard())

    def plain_loader(self) -> Loader:
        """Return training chunks as a process by itself has them, on the CPU, augmented as in training."""
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
        """Return the validation rows in order."""
        return EvalLoader(**self._split("val"), shard=self._shard(), stride=self.dataset.stride)

    def test_dataloader(self) -> EvalLoader:
        """Return the test rows in order."""
        return EvalLoader(**self._split("test"), shard=self._shard(), stride=self.dataset.stride)

    def transfer_batch_to_device(
        self, batch: Batch | MacroBatch, device: torch.device, dataloader_idx: int
    ) -> Batch | MacroBatch:
        """Return the batch as it is: its loader has it on the device."""
        return batch
