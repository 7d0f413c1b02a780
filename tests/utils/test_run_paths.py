"""Runs by folder, parent, latest or checkpoint."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import zoo
from zoo.utils.run_paths import find_checkpoint, find_run, newest_run


@pytest.fixture
def runs(tmp_path):
    """Three runs, the newest of which has no checkpoint yet."""
    folders = [tmp_path / "runs" / name for name in ("cnn-digits/a", "cnn-digits/b", "fnn-wine/c")]
    for age, folder in enumerate(folders):
        (folder / "checkpoints").mkdir(parents=True)
        (folder / "config.yaml").write_text("seed: 0\n")
        os.utime(folder / "config.yaml", (age, age))
    for folder in folders[:2]:
        (folder / "checkpoints" / "best.ckpt").write_text("x")
    return folders


def test_find_run_by_folder_parent_latest_or_checkpoint(runs):
    a, b, c = (Path(folder) for folder in runs)
    assert find_run(a) == a
    assert find_run(a.parent) == b
    assert find_run(a.parent.parent) == c
    assert find_run("latest") == Path("runs/fnn-wine/c")
    assert find_run(a / "checkpoints" / "best.ckpt") == a


def test_find_checkpoint_skips_runs_without_one(runs):
    a, _, c = (Path(folder) for folder in runs)
    assert find_checkpoint(a) == a / "checkpoints" / "best.ckpt"
    assert find_checkpoint("latest") == Path("runs/cnn-digits/b/checkpoints/best.ckpt")
    assert find_checkpoint(a / "checkpoints" / "best.ckpt") == a / "checkpoints" / "best.ckpt"
    assert find_checkpoint("cnn/digits") == Path("cnn/digits")
    assert find_checkpoint(c) == c / "checkpoints" / "best.ckpt"  # is not there: the error names it


def test_newest_run_needs_a_run(tmp_path):
    with pytest.raises(zoo.ZooError, match="no run with config.yaml"):
        newest_run(tmp_path)
    with pytest.raises(zoo.ZooError, match="runs: no run with config.yaml"):
        find_run("latest")
