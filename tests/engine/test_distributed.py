"""Distributed runs: an error in one process stops all and names its rank."""

from __future__ import annotations

import failing  # noqa: F401  (registers the models)
import pytest

import zoo
from zoo import registry

SHARED = {"data": "wine", "logger": "csv", "report": False}
TRAINER = {"accelerator": "cpu", "devices": 2, "max_epochs": 2, "precision": "32-true"}


NAMES = ("test_nan_in_one", "test_refuses_in_one")
ENTRIES = {name: registry._MODELS.pop(name) for name in NAMES}  # out of the registry, which other tests go over


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    monkeypatch.setattr(registry, "_MODELS", {**registry._MODELS, **ENTRIES})


def test_non_finite_loss_in_one_process_stops_all(capfd):
    with pytest.raises(
        zoo.TrainingError, match=r"the loss became nan at step 5 in process 1 of 2 .*Last good"
    ) as caught:
        zoo.train("test_nan_in_one", run_dir="run", trainer=TRAINER, **SHARED)
    assert "\n" not in str(caught.value)
    assert "Traceback" not in capfd.readouterr().err


def test_error_in_one_process_names_its_rank(capfd):
    with pytest.raises(zoo.TrainingError, match=r"process 1 of 2: the disk of this machine is gone"):
        zoo.train("test_refuses_in_one", run_dir="run", trainer=TRAINER, **SHARED)
    assert "Traceback" not in capfd.readouterr().err
