"""Samples of a generative model after each epoch: an image grid each, and an animated GIF of all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor

from zoo.utils.atomic_io import atomic_write
from zoo.utils.guard import Guard
from zoo.utils.plotting import save_gif, visible

COLUMNS, COUNT = 10, 100
SMALL = 56  # pixels a side, up to which images are drawn twice or more as large
SECONDS = 8.0  # that the animation takes at most


class SampleGrids(L.Callback):
    """Writes samples of the same noise to ``samples/<epoch>.png`` at each validation, at the end ``samples.gif``.

    Where that fails, a warning says so and the run goes on without them.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.guard = folder, Guard()

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Write the epoch's."""
        if not self.guard.missing:
            self.guard.attempt("samples of each epoch", lambda: self._write(module), None)

    def _write(self, module: Any) -> None:
        self.folder.mkdir(exist_ok=True)
        picture, path = _picture(module.sample(COUNT)), self.folder / f"{module.loop.epochs + 1:04}.png"
        atomic_write(path, lambda to: picture.save(to, format="png"))

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Write the animation of this run's epochs."""
        if not self.guard.missing:
            self.guard.attempt("samples.gif", lambda: self._animate(module), None)

    def _animate(self, module: Any) -> None:
        from PIL import Image

        paths = sorted(path for path in self.folder.glob("*.png") if int(path.stem) <= module.loop.epochs)
        if not paths:
            return
        durations = [max(int(1000 * SECONDS / len(paths)), 40)] * (len(paths) - 1) + [3000]  # the last one stays
        save_gif([Image.open(path).convert("P") for path in paths], self.folder.with_suffix(".gif"), durations)


def _picture(images: Tensor) -> Any:
    """Return images (N, C, H, W) in [0, 1] side by side, as a PIL image."""
    from PIL import Image
    from torchvision.utils import make_grid

    side = images.shape[2]
    # gray images become colored
    grid = make_grid(visible(images.float().cpu()), nrow=COLUMNS, padding=1, pad_value=0.5)
    times = max(SMALL // side, 1)
    pixels = (grid * 255).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()
    return Image.fromarray(np.ascontiguousarray(pixels.repeat(times, 0).repeat(times, 1)))
