"""The learning-rate range test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import zoo
from zoo.config.compose import compose
from zoo.engine.lr_finder import find_lr, suggest


def test_find_lr_suggests_a_rate_without_training(quick, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = compose(["model=cnn", "data=digits", "trainer=cpu", "trainer.precision=32-true"])
    result = find_lr(config, Path("find_lr.png"), recipe="cnn")
    assert Path("find_lr.png").is_file()
    assert not Path("runs").exists()
    assert 1e-5 < result.suggestion < 0.1
    good = zoo.train("cnn", data="digits", **quick, lr=result.suggestion)
    assert good.metrics["test/accuracy"] > 0.8


def test_suggest_takes_the_steepest_smoothed_decrease():
    rates = [1e-6 * 10 ** (7 * n / 149) for n in range(150)]
    fall = 1 / (1 + np.exp((np.arange(150) - 90) / 5))  # steepest at 90
    tremble = np.where(np.arange(150) < 15, 0.5 * np.cos(np.arange(150)), 0)  # of the first few batches
    assert suggest(rates, (fall + tremble).tolist()) == pytest.approx(rates[90], rel=0.2)
    with pytest.raises(zoo.ZooError, match="the loss fell at no rate"):
        suggest(rates, np.linspace(1, 2, 150).tolist())
