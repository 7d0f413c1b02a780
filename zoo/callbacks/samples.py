"""What a language model writes after each epoch: printed, and kept in the run's folder."""

from __future__ import annotations

from pathlib import Path

import lightning as L

from zoo.sequence import SequenceModule

LENGTH, WORDS = 120, 40  # symbols that are written


class Samples(L.Callback):
    """Adds a sample to ``samples.txt`` at each validation and prints it in one line, the same draw each time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Write."""
        assert isinstance(module, SequenceModule)
        length = LENGTH if module.spec.tokens == "characters" else WORDS
        text = module.generate(length=length, temperature=0.8)
        with self.path.open("a") as file:
            file.write(f"--- epoch {module.loop.epochs + 1} ---\n{text}\n")
        print(f"  writes: {' '.join(text.split())}", flush=True)
