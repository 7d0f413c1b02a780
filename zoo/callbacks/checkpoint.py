"""best.ckpt, what the model can do; last.ckpt, with all that training goes on from."""

from __future__ import annotations

import os
import time
from pathlib import Path

import lightning as L

from zoo.module import ZooModule

EVERY = 30.0  # seconds between two writes of last.ckpt, at the ends of epochs


class Checkpoints(L.Callback):
    """Writes both files whole or not at all: under another name first, then renamed.

    ``best.ckpt`` is the epoch with the best monitored validation figure, the later of two equal ones.
    """

    def __init__(self, folder: Path) -> None:
        self.best, self.last = folder / "best.ckpt", folder / "last.ckpt"
        self.best_figure: float | None = None
        self._written = time.monotonic()

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Write what is due."""
        assert isinstance(module, ZooModule)
        figure = float(trainer.callback_metrics[f"val/{module.objective.monitor}"])
        old = self.best_figure
        if old is None or (figure >= old if module.objective.mode == "max" else figure <= old):
            self.best_figure = figure
            self._save(trainer, self.best, weights_only=True)
        if time.monotonic() - self._written > EVERY:
            self._save(trainer, self.last)
            self._written = time.monotonic()

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Write the end."""
        self._save(trainer, self.last)

    def _save(self, trainer: L.Trainer, path: Path, *, weights_only: bool = False) -> None:
        temporary = path.with_suffix(".tmp")
        trainer.save_checkpoint(temporary, weights_only=weights_only)
        if trainer.is_global_zero:
            os.replace(temporary, path)
