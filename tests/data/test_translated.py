"""Built-in data in a model's encoding: equal rows, whichever split defined categories and vocabulary."""

import numpy as np
import pandas as pd
import pytest
import torch

import zoo
from zoo.data.dataset import Splits
from zoo.data.inputs import encode
from zoo.data.table.cells import Table
from zoo.data.table.frames import frame_dataset
from zoo.data.table.spec import FrameOptions
from zoo.data.text.datasets import long_text
from zoo.registry import get_modality


def towns(seed):
    """Return a frame with rare towns and gaps, and the data set of one of its splits."""
    random = np.random.default_rng(0)
    towns = np.where(random.random(80) < 0.9, "Ulm", np.char.add("Ort ", np.arange(80).astype(str)))
    frame = pd.DataFrame(
        {"age": random.integers(1, 90, 80).astype(float), "town": towns, "pay": random.normal(size=80)}
    )
    frame.loc[[3, 50], "age"] = np.nan
    table = Table.of_frame("towns", frame, first=2)
    return frame, frame_dataset(
        "towns", table, FrameOptions(["pay"], categorical_columns=("town",)), Splits(split_seed=seed)
    )


def test_translated_rows_have_the_models_categories():
    frame, ours = towns(0)
    _, other = towns(7)
    assert ours.spec.categories != other.spec.categories
    moved = get_modality(ours.spec.modality).translate(other, ours.spec)
    assert moved.spec.categories == ours.spec.categories
    encoded = encode(ours.spec, frame)["x"]
    for part in ("train", "val", "test"):
        y = getattr(moved, part)["y"].double() + ours.spec.target_offset
        rows = [int(np.abs(frame["pay"].to_numpy() - float(one)).argmin()) for one in y]
        x, want = getattr(moved, part)["x"], encoded[rows]
        known = torch.tensor([frame["town"][row] in other.spec.categories[1] for row in rows])
        flagged = want.shape[1] == x.shape[1]
        assert flagged
        assert torch.equal(x[known], want[known])
        assert bool((x[~known, 1] == 0).all())
    assert get_modality(ours.spec.modality).translate(ours, ours.spec) is ours


def test_translated_texts_have_the_models_vocabulary():
    ours = long_text("a", "a", "the sea is wide " * 100, "characters", 16, 100)
    other = long_text("b", "b", "a sea so deep and wide " * 100, "characters", 16, 100)
    moved = get_modality(ours.spec.modality).translate(other, ours.spec)
    names = [ours.spec.vocabulary[int(n)] for n in moved.train["x"].base[:30]]
    want = [char if char in ours.spec.vocabulary else "\ufffd" for char in ("a sea so deep and wide " * 2)[:30]]
    assert names == want
    words = long_text("c", "c", "the sea is wide " * 200, "words", 16, 100)
    with pytest.raises(zoo.ZooError, match="is tokenized into words; the model reads characters"):
        get_modality(ours.spec.modality).translate(words, ours.spec)
