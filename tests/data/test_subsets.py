"""Subsets of training rows, and generated images added to them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import zoo
from zoo.data import load
from zoo.data.subsets import trained_on
from zoo.exceptions import ZooError

QUICK = {"trainer.max_epochs": 2, "logger": "csv"}


def few(dataset, rows, seed=None):
    return trained_on(dataset, rows=rows, seed=seed, synthetic=None)


def test_max_train_samples_keeps_class_proportions():
    full = load("breast_cancer")
    part = few(full, 100)
    assert len(part.train["x"]) == part.spec.rows == sum(part.spec.class_counts) == 100
    share = full.train["y"].double().mean()
    assert float(part.train["y"].double().mean()) == pytest.approx(float(share), abs=0.01)
    torch.testing.assert_close(torch.tensor(part.spec.mean), part.train["x"].double().mean(0), check_dtype=False)
    assert torch.equal(part.val["x"], full.val["x"])
    assert torch.equal(part.test["x"], full.test["x"])
    others = few(full, 100, 1)
    assert not torch.equal(others.train["x"], part.train["x"])
    assert torch.equal(few(full, 100, 0).train["x"], part.train["x"])


def test_max_train_samples_rescales_regression_targets():
    part = few(load("diabetes"), 20)
    assert part.spec.target_mean == pytest.approx(float(part.train["y"].mean()), rel=1e-6)


def test_max_train_samples_keeps_memory_maps(tmp_path):
    from PIL import Image

    for number in range(40):
        folder = tmp_path / "photos" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), 6 * number, np.uint8)).save(folder / f"{number}.png")
    full = load("image_folder", path=str(tmp_path / "photos"), size=8, cache_dir=str(tmp_path / "cache"))
    part = few(full, 10)
    assert type(part.train["x"]) is type(full.train["x"])
    means = part.train["x"].index_select(0, torch.arange(10)).float().mean((1, 2, 3))
    known = full.train["x"].index_select(0, torch.arange(len(full.train["x"]))).float().mean((1, 2, 3))
    assert set(means.tolist()) <= set(known.tolist())


def test_synthetic_path_of_the_same_images_trains_equally(tmp_path):
    digits = load("digits").train
    np.savez(tmp_path / "own.npz", x=digits["x"].numpy(), y=digits["y"].numpy())
    words = {"data.synthetic_path": str(tmp_path / "own.npz"), "data.max_train_samples": 0}
    runs = [zoo.train("fnn", "digits", report=False, **QUICK, **more) for more in ({}, words)]
    one, other = (run.model.state_dict() for run in runs)
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_synthetic_path_appends_generated_images(tmp_path):
    full = load("digits")
    generated = (255 * torch.rand(30, 1, 8, 8)).byte()
    np.savez(tmp_path / "made.npz", x=generated.numpy(), y=np.arange(30) % 10)
    part = trained_on(full, rows=50, seed=None, synthetic=str(tmp_path / "made.npz"))
    assert len(part.train["x"]) == part.spec.rows == 80
    last = part.train["x"][50:]
    scale = 1 if last.dtype == torch.uint8 else 255
    torch.testing.assert_close(scale * last.double(), generated.double(), atol=1e-4, rtol=0)
    assert part.train["y"][50:].tolist() == [n % 10 for n in range(30)]


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        ("digits", {"rows": 0}, "leaves no training rows"),
        ("digits", {"rows": 5}, "at least 10, one for each class"),
        ("digits", {"rows": 10_000}, "has only 1293 training rows"),
        ("digits", {"rows": -1}, "at least 0"),
        ("digits", {"seed": 3}, "no effect without data.max_train_samples"),
        ("text_file", {"rows": 5}, "text_file is one long text"),
        ("wine", {"synthetic": "good.npz"}, "images with class labels, which wine does not have"),
        ("digits", {"synthetic": "wide.npz"}, "images have shape (1, 8, 9); must be (1, 8, 8)"),
        ("digits", {"synthetic": "eleven.npz"}, "class indices from 0 to 9"),
        ("digits", {"synthetic": "parts.npz"}, "has train, val or test parts; must be x and y"),
        ("digits", {"synthetic": "none.npz"}, "none.npz: cannot be read"),
        ("digits", {"synthetic": "words.npz"}, "is not a valid .npz archive of plain arrays"),
    ],
)
def test_subsets_reject_unfit_options_in_one_line(tmp_path, monkeypatch, data, options, message):
    monkeypatch.chdir(tmp_path)
    x, y = np.zeros((22, 1, 8, 8), np.uint8), np.arange(22) % 10
    np.savez("good.npz", x=x, y=y)
    np.savez("wide.npz", x=np.zeros((22, 1, 8, 9), np.uint8), y=y)
    np.savez("eleven.npz", x=x, y=np.arange(22) % 11)
    np.savez("parts.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    (tmp_path / "words.npz").write_text("no archive")
    with pytest.raises(ZooError, match=".") as caught:
        trained_on(load(data), **{"rows": None, "seed": None, "synthetic": None, **options})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
