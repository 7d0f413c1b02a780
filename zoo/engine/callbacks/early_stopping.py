"""Early stopping on the metric that selects the best epoch."""

from __future__ import annotations

import math

import lightning as L
import torch
from lightning.pytorch.callbacks import EarlyStopping

from zoo.models.base import ZooModule


class Patience(EarlyStopping):
    """Lightning's early stopping; it starts again with a new metric when the module changes its monitored metric."""

    def _run_early_stopping_check(self, trainer: L.Trainer) -> None:
        module = trainer.lightning_module
        assert isinstance(module, ZooModule)
        monitor, mode = f"val/{module.task.monitor}", module.task.mode
        if monitor != self.monitor:
            self.monitor, self.mode, self.wait_count = monitor, mode, 0
            self.min_delta = abs(self.min_delta) * (1 if mode == "max" else -1)
            self.best_score = torch.tensor(-math.inf if mode == "max" else math.inf)
        super()._run_early_stopping_check(trainer)
