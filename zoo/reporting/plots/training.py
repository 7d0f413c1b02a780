"""Plots for every kind of run: learning curves, learning rates, a training batch, gradients along a sequence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from zoo.data.dataset import Batch
from zoo.utils.plotting import INK, TRAIN, VAL, axes_of, grid, panel, save

COLUMNS = 5  # panels per row
LOG_RATIO = 3  # ratio of the largest to the smallest value above which an axis is logarithmic


def curves(history: Sequence[Mapping[str, Any]], path: Path, *, along: str = "epoch") -> Path:
    """Draw the learning curves of a run and return the path of the plot.

    Each metric has a panel with training and validation; the last panel shows the learning rate. ``along`` is the
    column on the x axis: ``epoch`` or ``samples``.
    """
    known = list(dict.fromkeys(key for row in history for key in row))  # the first epoch may lack some
    names = list(dict.fromkeys(k.split("/")[1] for k in known if "/" in k))
    # nll is the validation loss, so both share a panel
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
    """Draw the smoothed loss of a learning rate range test over the learning rate, with the suggested rate."""
    ax = panel(5, 3.2, "learning rate", "smoothed loss")
    ax.plot(rates, losses, color=VAL)
    ax.axvline(suggested, color=INK, linewidth=1, linestyle="--")
    ax.set_xscale("log")
    low, first = min(losses), losses[0]
    ax.set_ylim(low - 0.1 * (first - low), first + 0.5 * (first - low))
    ax.set_title(f"steepest descent at {suggested:.2g}", fontsize=10, color=INK)
    return save(ax.figure, path)


def batch_picture(batch: Batch, classes: Sequence[str], path: Path) -> Path:
    """Draw the first 32 images of a training batch after augmentation, with their classes."""
    images = batch["x"][:32]
    captions = [_target_of(batch, i, classes) for i in range(len(images))]
    title = "training images after augmentation"
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
    """Draw the gradient norm of the last output with respect to each step before it."""
    ax = panel(4.6, 3, "step relative to the last", "gradient norm of the last output")
    ax.plot(np.arange(1 - len(norm), 1), norm.clamp(min=1e-12).numpy(), color=VAL, linewidth=1.2)
    ax.set_yscale("log")
    return save(ax.figure, path)
