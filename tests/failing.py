"""Models that fail in one of several processes, in a module that the other processes import."""

from __future__ import annotations

import zoo


@zoo.register("test_nan_in_one")
class NanInOne(zoo.FNN):
    """Has a loss that becomes NaN in process 1 alone."""

    def compute_loss(self, batch):
        loss, counts = super().compute_loss(batch)
        bad = self.trainer.global_rank == 1 and self.steps == 5
        return loss * (float("nan") if bad else 1.0), counts


@zoo.register("test_refuses_in_one")
class RefusesInOne(zoo.FNN):
    """Raises an error of its own in process 1 alone."""

    def compute_loss(self, batch):
        if self.trainer.global_rank == 1 and self.steps == 2:
            raise zoo.TrainingError("the disk of this machine is gone")
        return super().compute_loss(batch)
