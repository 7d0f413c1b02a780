"""A bar with loss, the watched figure and the time left; where no one watches a terminal, a line now and then."""

from __future__ import annotations

import sys
import time
from typing import Any

import lightning as L
from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from zoo.models.base import ZooModule
from zoo.utils.console import print_progress

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
