"""Metrics of each epoch, written to metrics.csv and the logger, and a progress display with the time left."""

from __future__ import annotations

import csv
import sys
import time
from pathlib import Path
from typing import Any

import lightning as L
from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from zoo.models.base import ZooModule
from zoo.utils.atomic_io import atomic_write
from zoo.utils.console import Guard, print_progress


class History(L.Callback):
    """Records one row per epoch and measures the duration of training and validation.

    A row has the epoch, steps, samples, seconds, learning rate and all training and validation metrics. ``seconds`` is
    the time from the first batch to the end of the last validation, and ``validating`` the part spent in validation.
    If the logger fails, it prints a warning and is disabled for the rest of the run.

    Args:
        path: the CSV file to write.
        logger: a Lightning logger that receives the metrics too; None: only the CSV file.
    """

    def __init__(self, path: Path, logger: Any = None) -> None:
        self.path, self.logger, self.guard = path, logger, Guard()
        self.rows: list[dict[str, Any]] = []
        self.seconds = self._before = self.validating = 0.0

    def state_dict(self) -> dict[str, Any]:
        """Return the rows so far and the elapsed seconds."""
        return {"rows": self.rows, "seconds": self._clock(), "validating": self.validating}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the rows and the elapsed seconds."""
        self.rows, self._before = state["rows"], state["seconds"]
        self.seconds, self.validating = self._before, state.get("validating", 0.0)

    def _clock(self) -> float:
        return self._before + time.perf_counter() - self._started

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Start the clock just before the first batch."""
        self._started = time.perf_counter()

    def on_validation_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Start the clock of validation."""
        self._validation = time.perf_counter()

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Stop the clock of validation."""
        self.validating += time.perf_counter() - self._validation

    def on_train_epoch_end(self, trainer: L.Trainer, module: ZooModule) -> None:  # type: ignore[override]
        """Add the row of the epoch, then write metrics.csv and call the logger."""
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
        """Close the logger, which writes its last row to disk."""
        if self.logger is not None and not self.guard.missing:
            self.guard.attempt("logger", lambda: self.logger.finalize("success"), None)

    def _write(self, path: Path) -> None:
        with path.open("w", newline="") as file:
            names = dict.fromkeys(name for row in self.rows for name in row)  # the first row may lack some
            writer = csv.DictWriter(file, fieldnames=list(names), lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)


REFRESH = 0.25  # seconds between updates of the progress bar
LINE = 10.0  # seconds between progress lines without a terminal


class Progress(L.Callback):
    """A progress bar over the whole run, or a line every 10 seconds without a terminal.

    It reads the loss only when it draws, because reading waits for the device.
    """

    def __init__(self) -> None:
        self.live = sys.stderr.isatty()
        self.watched = ""

    def on_train_start(self, trainer: L.Trainer, module: ZooModule) -> None:  # type: ignore[override]
        """Open the progress bar."""
        self._drawn = self._began = time.monotonic()
        self._first = module.steps
        self.live = self.live and trainer.is_global_zero
        if self.live:
            columns = (
                BarColumn(12),
                TaskProgressColumn(),
                TimeRemainingColumn(compact=True),
                TextColumn("{task.fields[text]}"),
            )
            self.bar = Bar(*columns, console=Console(stderr=True), auto_refresh=False, transient=True)
            self.task = self.bar.add_task("", total=None, text="")
            self.bar.start()

    def on_train_batch_end(self, trainer: L.Trainer, module: ZooModule, *_: Any) -> None:  # type: ignore[override]
        """Update the progress bar at most every 0.25 seconds."""
        now = time.monotonic()
        if not self.live or now - self._drawn < REFRESH:
            return
        self._drawn = now
        text = f"{self._where(module)}{self.watched}"
        self.bar.update(self.task, completed=module.steps, total=module.loop.total_steps, text=text, refresh=True)

    def on_train_epoch_end(self, trainer: L.Trainer, module: ZooModule) -> None:  # type: ignore[override]
        """Show the validation metrics of the epoch."""
        values = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("val/")}
        figures = {name: f"  {name} {value:.4f}" for name, value in values.items()}
        self.watched = figures[f"val/{module.task.monitor}"]  # the bar has room for one metric
        now = time.monotonic()
        last = module.loop.epochs + 1 == module.loop.max_epochs
        if trainer.is_global_zero and not self.live and (now - self._drawn > LINE or last):
            self._drawn = now
            done = max(module.steps - self._first, 1)
            left = (now - self._began) * (module.loop.total_steps - module.steps) / done
            print_progress(f"{self._where(module)}{''.join(figures.values())}  {left:.0f} s left")

    @staticmethod
    def _where(module: ZooModule) -> str:
        loop = module.loop
        return f"epoch {loop.epochs + 1}/{loop.max_epochs}  loss {float(loop.last_loss or 0):.4f}"

    def _close(self) -> None:
        if self.live and hasattr(self, "bar"):
            self.bar.stop()

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Close the progress bar."""
        self._close()

    def on_exception(self, trainer: L.Trainer, module: L.LightningModule, exception: BaseException) -> None:
        """Close the progress bar, so that the error starts on a new line."""
        self._close()
