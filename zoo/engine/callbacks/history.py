"""What a run's epochs say: rows of metrics.csv for the run's logger, and progress with the time left."""

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


REFRESH = 0.25  # seconds between two drawings of the bar
LINE = 10.0  # seconds between two lines where there is no terminal


class Progress(L.Callback):
    """Progress over the whole run. Reads the loss only when it draws, since reading waits for the device."""

    def __init__(self) -> None:
        self.live = sys.stderr.isatty()
        self.watched = ""

    def on_train_start(self, trainer: L.Trainer, module: ZooModule) -> None:  # type: ignore[override]
        """Open the bar."""
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
        """Draw the bar, if it is time."""
        now = time.monotonic()
        if not self.live or now - self._drawn < REFRESH:
            return
        self._drawn = now
        text = f"{self._where(module)}{self.watched}"
        self.bar.update(self.task, completed=module.steps, total=module.loop.total_steps, text=text, refresh=True)

    def on_train_epoch_end(self, trainer: L.Trainer, module: ZooModule) -> None:  # type: ignore[override]
        """Take up the epoch's validation figures."""
        values = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("val/")}
        figures = {name: f"  {name} {value:.4f}" for name, value in values.items()}
        self.watched = figures[f"val/{module.task.monitor}"]  # a bar has no room for more
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
        """Close the bar."""
        self._close()

    def on_exception(self, trainer: L.Trainer, module: L.LightningModule, exception: BaseException) -> None:
        """Close the bar, so that the error stands on a line of its own."""
        self._close()
