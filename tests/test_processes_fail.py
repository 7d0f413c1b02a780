"""Runs that several processes share: what goes wrong in one of them is said once, by name."""

from __future__ import annotations

import pytest

import zoo
from zoo import registry

SHARED = {"data": "wine", "logger": "csv", "report": False}
TRAINER = {"accelerator": "cpu", "devices": 2, "max_epochs": 2, "precision": "32"}


@zoo.register("test_nan_in_one")
class NanInOne(zoo.FNN):
    """Has a loss that becomes NaN in process 1 alone."""

    def loss(self, batch):
        loss, counts = super().loss(batch)
        bad = self.trainer.global_rank == 1 and self.steps == 5
        return loss * (float("nan") if bad else 1.0), counts


@zoo.register("test_refuses_in_one")
class RefusesInOne(zoo.FNN):
    """Raises an error of its own in process 1 alone."""

    def loss(self, batch):
        if self.trainer.global_rank == 1 and self.steps == 2:
            raise zoo.TrainingError("the disk of this machine is gone")
        return super().loss(batch)


@pytest.fixture(autouse=True, scope="module")
def _registered():
    yield
    for name in ("test_nan_in_one", "test_refuses_in_one"):
        registry._MODELS.pop(name)


def test_a_loss_that_is_not_finite_in_one_process_ends_all_with_its_number(capfd):
    with pytest.raises(
        zoo.TrainingError, match=r"the loss became nan at step 5 in process 1 of 2 .*last good"
    ) as caught:
        zoo.train("test_nan_in_one", run_dir="run", trainer=TRAINER, **SHARED)
    assert "\n" not in str(caught.value)
    assert "Traceback" not in capfd.readouterr().err


def test_an_error_of_one_process_is_said_with_its_number(capfd):
    with pytest.raises(zoo.TrainingError, match=r"process 1 of 2: the disk of this machine is gone"):
        zoo.train("test_refuses_in_one", run_dir="run", trainer=TRAINER, **SHARED)
    assert "Traceback" not in capfd.readouterr().err
