"""Samples of a language model after each epoch: printed, and written to the run's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L

from zoo.utils.atomic_io import atomic_write
from zoo.utils.console import print_progress
from zoo.utils.guard import Guard

CHARACTERS, WORDS = 120, 40  # in a sample


class TextSamples(L.Callback):
    """Adds a sample to ``samples.txt`` at each validation and prints it in one line, the same draw each time.

    Where that fails, a warning says so and the run goes on without them.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.guard = path, Guard()
        self.written = ""

    def state_dict(self) -> dict[str, Any]:
        """Return the samples so far."""
        return {"written": self.written}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore them."""
        self.written = state["written"]

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Write a sample."""
        if not self.guard.missing:
            self.guard.attempt("samples of each epoch", lambda: self._write(module), None)

    def _write(self, module: Any) -> None:
        length = CHARACTERS if module.spec.tokenizer == "characters" else WORDS
        text = module.generate(length=length, temperature=0.8)
        self.written += f"--- epoch {module.loop.epochs + 1} ---\n{text}\n"
        atomic_write(self.path, lambda to: to.write_text(self.written))
        print_progress(f"  writes: {' '.join(text.split())}")
