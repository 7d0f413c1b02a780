"""Plots of any run: learning curves, learning rates, a training batch, gradients along a sequence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from zoo.data.dataset import Batch
from zoo.utils.plotting import INK, TRAIN, VAL, axes_of, grid, panel, save

COLUMNS = 5  # panels in a line
LOG_RATIO = 3  # of the largest to the smallest value, from which an axis is logarithmic


def curves(history: Sequence[Mapping[str, Any]], path: Path, *, along: str = "epoch") -> Path:
    """Draw each metric per epoch, training and validation together, and the learning rate, over
    epochs or ``along`` samples.
    """
    known = list(dict.fromkeys(key for row in history for key in row))  # some are not there from the first epoch on
    names = list(dict.fromkeys(k.split("/")[1] for k in known if "/" in k))
    # nll is validation's loss: one panel, as one reads it
    panels = [n for n in names if not (n == "nll" and "loss" in names)] + ["lr"]
    columns = min(len(panels), COLUMNS)
    lines = -(-len(panels) // columns)
    figure = Figure(figsize=(3.2 * columns, 2.8 * lines), layout="constrained")
    epochs = [row[along] for row in history]
    axes = axes_of(figure, lines, columns, squeeze=False).ravel()
    for ax in axes[len(panels) :]:
        ax.axis("off")
    for ax, name in zip(axes, panels, strict=False):
        for key, label, color in ((f"train/{name}", "train", TRAIN), (f"val/{name}", "validation", VAL)):
            key = "val/nll" if key == "val/loss" and "val/nll" in known else key
            if key in known:
                values = [row.get(key, float("nan")) for row in history]
                ax.plot(epochs, values, color=color, label=label, marker="." * (len(epochs) < 3))
        if name == "lr":
            ax.plot(epochs, [row["lr"] for row in history], color=INK)
        else:
            ax.legend(frameon=False, fontsize=8)
        values = [row.get(f"train/{name}", 1.0) for row in history]
        if name in ("loss", "rmse", "mae") and min(values) > 0 and max(values) > LOG_RATIO * min(values):
            ax.set_yscale("log")
        ax.set_title({"lr": "learning rate"}.get(name, name), fontsize=10, color=INK)
        ax.set_xlabel({"samples": "environment steps"}.get(along, along), fontsize=8, color=INK)
    return save(figure, path)


def learning_rates(rates: Sequence[float], losses: Sequence[float], suggested: float, path: Path) -> Path:
    """Draw the loss of a learning rate range test over the rate, and the suggestion."""
    ax = panel(5, 3.2, "learning rate", "smoothed loss")
    ax.plot(rates, losses, color=VAL)
    ax.axvline(suggested, color=INK, linewidth=1, linestyle="--")
    ax.set_xscale("log")
    low, first = min(losses), losses[0]
    ax.set_ylim(low - 0.1 * (first - low), first + 0.5 * (first - low))
    ax.set_title(f"falls fastest at {suggested:.2g}", fontsize=10, color=INK)
    return save(ax.figure, path)


def batch_picture(batch: Batch, classes: Sequence[str], path: Path) -> Path:
    """Draw the first images of a training batch as the network sees them, augmented, with their classes."""
    images = batch["x"][:32]
    captions = [_target_of(batch, i, classes) for i in range(len(images))]
    title = "training images as the network sees them"
    return grid(images, title, path, columns=min(len(images), 8), captions=captions)


def _target_of(batch: Batch, i: int, classes: Sequence[str]) -> str:
    def name(y: Tensor) -> str:
        return classes[int(y[i])] if classes else f"{float(y[i]):.3g}"

    if "y" not in batch:
        return ""
    if "share" not in batch:
        return name(batch["y"])
    share = float(batch["share"][i])
    return f"{name(batch['y'])} {share:.0%}\n{name(batch['y2'])} {1 - share:.0%}"


def gradient_norms(norm: Tensor, path: Path) -> Path:
    """Draw how much the last output depends on each step before it."""
    ax = panel(4.6, 3, "step, counted from the last", "norm of the last output's gradient")
    ax.plot(np.arange(1 - len(norm), 1), norm.clamp(min=1e-12).numpy(), color=VAL, linewidth=1.2)
    ax.set_yscale("log")
    return save(ax.figure, path)
