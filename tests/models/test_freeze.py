"""Frozen layers, in runs of one process and of two."""

from __future__ import annotations

from typing import Any

import lightning as L
import numpy as np
import pytest
import torch

import zoo

OPTIONS: dict[str, Any] = {
    "model_kwargs": {"network": "torchvision/squeezenet1_1", "freeze_epochs": 1},
    "data.batch_size": 8,
    "logger": "csv",
    "trainer.accelerator": "cpu",
    "trainer.precision": "32-true",
    "trainer.max_epochs": 2,
    "report": False,
}


@pytest.fixture(scope="module")
def images() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (40, 1, 24, 24), dtype=np.uint8), np.arange(40) % 2


@pytest.mark.parametrize("devices", [1, 2])
def test_freeze_epochs_releases_layers_in_every_process(devices, images):
    run = zoo.train("cnn", images, run_dir="run", **OPTIONS, **{"trainer.devices": devices})
    L.seed_everything(0, verbose=False)
    before = zoo.create("cnn", spec=run.model.spec, **OPTIONS["model_kwargs"])
    after = torch.load(run.folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert not [name for name, value in before.named_parameters() if torch.equal(value, after[name])]
