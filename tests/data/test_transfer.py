"""Transfer of data to a device: one decision for all splits, equal batches, no wait per batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from zoo.data.dataset import Rows, Split, Windows
from zoo.data.image.augment import ImageAugment
from zoo.data.loader import EvalLoader, Loader
from zoo.data.sequence.augment import SequenceAugment
from zoo.data.text.modality import TextAugment
from zoo.data.transfer import ahead, fits, size_of, to_device, upload
from zoo.testing.accelerator import DEVICE, simulated_accelerator

ROWS = 70


def images() -> Split:
    x = torch.randint(0, 256, (ROWS, 3, 6, 9), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return {"x": x, "y": torch.arange(ROWS)}


def sequences() -> Split:
    x = torch.randn(ROWS, 7, 2, generator=torch.Generator().manual_seed(0))
    return {"x": x, "lengths": torch.arange(ROWS) % 7 + 1, "y": torch.arange(ROWS)}


def text() -> Split:
    symbols = torch.randint(0, 9, (ROWS * 4 + 1,), dtype=torch.int32, generator=torch.Generator().manual_seed(0))
    return {"x": Windows(symbols, 4, drop=1), "y": Windows(symbols, 4, first=1)}


def picked_rows() -> Split:
    return {"x": Rows(images()["x"], torch.arange(0, ROWS, 2)), "y": torch.arange(0, ROWS, 2)}


def picked_windows() -> Split:
    values = torch.randn(ROWS + 5, 2, generator=torch.Generator().manual_seed(0))
    index = torch.arange(0, ROWS, 3)
    return {"x": Rows(Windows(values, 6), index), "y": index % 2}


AUGMENTS: dict[Callable[[], Split], Any] = {
    images: ImageAugment(
        hflip=0.5,
        crop_padding=1,
        degrees=20,
        translate=1,
        scale=0.1,
        shear=0.1,
        brightness=0.1,
        contrast=0.1,
        saturation=0.1,
        hue=0.1,
        cutout=2,
        mixup_alpha=0.3,
    ),
    sequences: SequenceAugment(
        time_mask_param=2, freq_mask_param=1, n_masks=2, time_shift=1, noise_std=0.1, speed_perturbation=0.2
    ),
    text: TextAugment(word_dropout=0.3),
}


@pytest.mark.parametrize("make", [images, sequences, text, picked_rows, picked_windows])
@pytest.mark.parametrize("streamed", [False, True])
def test_loader_batches_on_device_equal_the_hosts(make, streamed):
    options: dict[str, Any] = {"batch_size": 8, "seed": 1, "augment": AUGMENTS.get(make)}
    options |= {"stride": 4} if make is text else {}
    here = [batch for macro_batch in Loader(make(), **options) for batch in macro_batch]
    with simulated_accelerator() as accelerator:
        split = make() if streamed else to_device(make(), DEVICE)
        there = []
        for macro, macro_batch in enumerate(Loader(split, device=DEVICE, **options)):
            for number, batch in enumerate(macro_batch):
                accelerator.clock = lambda at=(macro, number): at
                there.append(batch)
            accelerator.clock = lambda: None
        assert accelerator.per_batch() == []
        assert all(value.device == DEVICE for batch in there for value in batch.values())
        there = [{key: value.cpu() for key, value in batch.items()} for batch in there]
    assert len(here) == len(there) > 2
    for one, other in zip(here, there, strict=True):
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("make", [images, sequences, text, picked_rows, picked_windows])
def test_eval_loader_on_device_equals_the_hosts(make):
    stride = {"stride": 4} if make is text else {}
    here = list(EvalLoader(make(), **stride))
    with simulated_accelerator():
        for split in (make(), to_device(make(), DEVICE)):
            there = list(EvalLoader(split, device=DEVICE, **stride))
            for one, other in zip(here, there, strict=True):
                assert all(torch.equal(one[key], other[key].cpu()) for key in one)


@settings(deadline=None, max_examples=30)
@given(count=st.integers(0, 9), stop=st.integers(0, 9))
def test_ahead_prefetches_one_batch_in_order(count, stop):
    selected: list[int] = []

    def select(number: int) -> dict[str, torch.Tensor]:
        selected.append(number)
        return {"x": torch.tensor([number])}

    with simulated_accelerator():
        got = [int(batch["x"]) for batch, _ in zip(ahead(select, range(count), DEVICE), range(stop), strict=False)]
    assert got == list(range(min(count, stop)))
    assert len(selected) <= min(count, stop + 2)  # one ahead


def test_placed_windows_share_their_series():
    split = text()
    assert size_of(split) == split["x"].base.nbytes
    assert size_of(picked_windows()) < 2 * (ROWS + 5) * 8 + 8 * ROWS
    assert size_of(picked_rows()) == ROWS // 2 * 3 * 6 * 9 + 8 * ROWS // 2
    with simulated_accelerator():
        moved = to_device(split, DEVICE)
        assert moved["x"].base.data_ptr() == moved["y"].base.data_ptr()


def test_fits_counts_all_splits_and_the_model():
    split, model = {"x": torch.zeros(1000, dtype=torch.uint8)}, nn.Linear(100, 10, bias=False)
    need = 3 * 1000 * 2 + 3 * 4000  # half of what is left is for data; gradients and two moments
    for memory, expected in ((need, True), (need - 4, False)):
        with simulated_accelerator(memory=memory):
            assert fits([split] * 3, DEVICE, model.parameters()) is expected
            assert fits([split], DEVICE, ())
    assert fits([split] * 3, torch.device("cpu"), model.parameters())


def test_upload_on_the_host_returns_its_input():
    x = torch.zeros(3)
    assert upload(x, torch.device("cpu")) is x


def test_rows_of_a_memory_map_are_read_by_index(tmp_path):
    np.save(tmp_path / "x.npy", images()["x"].numpy())
    mapped = torch.from_numpy(np.load(tmp_path / "x.npy", mmap_mode="c"))
    rows = Rows(mapped, torch.tensor([4, 2]))
    assert torch.equal(rows.index_select(0, torch.tensor([1, 0])), images()["x"][[2, 4]])
    assert torch.equal(rows[0], images()["x"][4])
    assert rows.to(torch.device("cpu")) is rows
