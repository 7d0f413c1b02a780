"""One row of figures per epoch: kept, written to metrics.csv and sent to the run's logger."""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import Any

import lightning as L

from zoo.models.base import ZooModule
from zoo.utils.atomic_io import atomic_write
from zoo.utils.guard import Guard


class History(L.Callback):
    """Rows of epoch, steps, samples, seconds, learning rate, and every train and val figure; and the run's clocks.

    ``seconds`` is from the first batch to the end of the last validation, of which ``validating`` were validation's.
    A logger that fails is left out for the rest of the run, with a warning.
    """

    def __init__(self, path: Path, logger: Any = None) -> None:
        self.path, self.logger, self.guard = path, logger, Guard()
        self.rows: list[dict[str, Any]] = []
        self.seconds = self._before = self.validating = 0.0

    def state_dict(self) -> dict[str, Any]:
        """Return the rows so far, and the seconds that training took."""
        return {"rows": self.rows, "seconds": self._clock(), "validating": self.validating}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take them up."""
        self.rows, self._before = state["rows"], state["seconds"]
        self.seconds, self.validating = self._before, state.get("validating", 0.0)

    def _clock(self) -> float:
        return self._before + time.perf_counter() - self._started

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Start the clock: data and model are there, the first batch is next."""
        self._started = time.perf_counter()

    def on_validation_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Start validation's clock."""
        self._validation = time.perf_counter()

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Stop it."""
        self.validating += time.perf_counter() - self._validation

    def on_train_epoch_end(self, trainer: L.Trainer, module: ZooModule) -> None:  # type: ignore[override]
        """Add the epoch's row."""
        self.seconds = self._clock()
        row: dict[str, Any] = {"epoch": module.loop.epochs + 1, "steps": module.steps, "samples": module.loop.samples}
        row |= {"seconds": round(self.seconds, 3), "lr": trainer.optimizers[0].param_groups[0]["lr"]}
        row |= module.train_metrics()
        row |= {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("val/")}
        self.rows.append(row)
        if not trainer.is_global_zero:
            return
        atomic_write(self.path, self._write)
        if self.logger is not None and not self.guard.missing:
            figures = {k: v for k, v in row.items() if k not in ("steps", "samples")}
            self.guard.attempt("logger", lambda: self.logger.log_metrics(figures, step=module.steps), None)

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Close the logger, so that its last row is on disk."""
        if self.logger is not None and not self.guard.missing:
            self.guard.attempt("logger", lambda: self.logger.finalize("success"), None)

    def _write(self, path: Path) -> None:
        with path.open("w", newline="") as file:
            names = dict.fromkeys(name for row in self.rows for name in row)  # some are not there from the first on
            writer = csv.DictWriter(file, fieldnames=list(names), lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)
