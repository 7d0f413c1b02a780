"""Plots of images with any number of channels, and baselines with rare classes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import zoo
from zoo.data.dataset import Dataset
from zoo.data.table.spec import TableSpec
from zoo.tasks.baselines import ROWS, baselines, sample_of
from zoo.tasks.generation import _picture
from zoo.utils.plotting import visible

QUICK = {"logger": "csv", "trainer": {"max_epochs": 1, "accelerator": "cpu"}, "data.batch_size": 16}


@pytest.mark.parametrize("channels", [2, pytest.param(5, marks=pytest.mark.slow)])
def test_image_plots_with_any_number_of_channels(channels, capfd):
    x = np.random.default_rng(0).random((60, channels, 8, 8), dtype=np.float32)
    run = zoo.train("cnn", data=(x, np.arange(60) % 3), model_kwargs={"channels": [4], "head_hidden_size": 0}, **QUICK)
    assert {path.name for path in run.plots} == {"curves.png", "batch.png", "confusion.png", "mistakes.png"}
    assert "missing" not in run.results
    assert not [line for line in capfd.readouterr().err.splitlines() if line.startswith("warning")]


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("kind", [torch.uint8, torch.float32])
def test_image_plots_average_other_channel_counts(channels, kind):
    images = (torch.rand(5, channels, 6, 6) * 255).to(kind) if kind == torch.uint8 else torch.rand(5, channels, 6, 6)
    image = visible(images)
    assert image.dtype == kind
    assert image.shape[1] == (channels if channels in (1, 3) else 1)
    if channels in (1, 3):
        assert torch.equal(image, images)
    assert _picture(torch.rand(5, channels, 6, 6)).mode == "RGB"


def rare(rows: int, classes: int, few: int) -> Dataset:
    """Return a table of many rows with a last class of ``few``."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, classes - 1, rows)
    y[rng.permutation(rows)[:few]] = classes - 1
    x = torch.from_numpy(rng.normal(size=(rows, 3)).astype(np.float32))
    spec = TableSpec("t", "classification", (3,), classes=tuple(f"k{n}" for n in range(classes)), rows=rows)
    parts = [{"x": x, "y": torch.from_numpy(y)}, {"x": x[:500], "y": torch.from_numpy(y[:500])}]
    return Dataset(spec, parts[0], parts[1], parts[1])


@pytest.mark.parametrize(("classes", "few"), [(12, 6), (3, 1), (2, 1), (2, 0), (4, 0)])
def test_baselines_with_rare_or_absent_classes(classes, few):
    data = rare(9000, classes, few)
    figures = baselines(data)
    assert set(figures) == {"majority", "logistic regression"}
    assert 0 <= figures["logistic regression"]["accuracy"] <= 1


def test_sample_has_each_class_once():
    y = np.zeros(20_000, int)
    y[7], y[19_999] = 3, 5
    index = sample_of(y)
    assert set(y[index]) == {0, 3, 5}
    assert len(np.unique(index)) == len(index) <= ROWS + 2
    assert np.array_equal(index[:ROWS], np.random.default_rng(0).permutation(20_000)[:ROWS])
