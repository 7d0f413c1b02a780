"""What all pictures share, and those of any run: learning curves, learning rates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from zoo.utils.atomic_io import atomic_write

Draw = Callable[[Path], Path]  # writes a picture and returns where
INK, TRAIN, VAL = "#333333", "#9a9a9a", "#1f5fbf"
ACROSS = 5  # panels in a line
WIDE = 3  # times as large, from which an axis is logarithmic


def axes_of(figure: Figure, *args: Any, **kwargs: Any) -> Any:
    """Return the panels of a figure, plain."""
    axes = figure.subplots(*args, **kwargs)
    for ax in np.atleast_1d(axes).ravel():
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(colors=INK, labelsize=8, which="both")
    return axes


def save(figure: Figure, path: Path) -> Path:
    """Write a picture, whole or not at all, and return where."""
    atomic_write(path, lambda to: figure.savefig(to, dpi=120, format=path.suffix.removeprefix(".")))
    return path


def visible(images: Tensor) -> Tensor:
    """Return images (N, C, H, W) with channels that a picture can have: 1 or 3 as they are, others as their mean."""
    if images.shape[1] in (1, 3):
        return images
    return images.float().mean(1, keepdim=True).to(images.dtype)


def show(ax: Any, image: Tensor) -> None:
    """Draw an image (C, H, W) in [0, 1] or of bytes, dark on white where it is one of ``visible``'s greys."""
    pixels = visible(image[None])[0].permute(1, 2, 0).cpu().numpy()
    brightest = 1 if pixels.dtype.kind == "f" else 255
    ax.imshow(pixels.squeeze(-1) if pixels.shape[2] == 1 else pixels, cmap="gray_r", vmin=0, vmax=brightest)
    ax.axis("off")


def curves(history: Sequence[Mapping[str, Any]], path: Path, *, along: str = "epoch") -> Path:
    """Draw each figure that was measured per epoch, training and validation together, and the learning rate, over
    epochs or ``along`` samples.
    """
    known = list(dict.fromkeys(key for row in history for key in row))  # some are not there from the first epoch on
    names = list(dict.fromkeys(k.split("/")[1] for k in known if "/" in k))
    # nll is validation's loss: one panel, as one reads it
    panels = [n for n in names if not (n == "nll" and "loss" in names)] + ["lr"]
    columns = min(len(panels), ACROSS)
    lines = -(-len(panels) // columns)
    figure = Figure(figsize=(3.2 * columns, 2.8 * lines), layout="constrained")
    epochs = [row[along] for row in history]
    axes = axes_of(figure, lines, columns, squeeze=False).ravel()
    for ax in axes[len(panels) :]:
        ax.axis("off")
    for ax, name in zip(axes, panels, strict=False):
        for key, label, colour in ((f"train/{name}", "train", TRAIN), (f"val/{name}", "validation", VAL)):
            key = "val/nll" if key == "val/loss" and "val/nll" in known else key
            if key in known:
                ax.plot(
                    epochs,
                    [row.get(key, float("nan")) for row in history],
                    color=colour,
                    label=label,
                    marker="." * (len(epochs) < 3),
                )
        if name == "lr":
            ax.plot(epochs, [row["lr"] for row in history], color=INK)
        else:
            ax.legend(frameon=False, fontsize=8)
        seen = [row.get(f"train/{name}", 1.0) for row in history]
        if name in ("loss", "rmse", "mae") and min(seen) > 0 and max(seen) > WIDE * min(seen):
            ax.set_yscale("log")
        ax.set_title({"lr": "learning rate"}.get(name, name), fontsize=10, color=INK)
        ax.set_xlabel({"samples": "environment steps"}.get(along, along), fontsize=8, color=INK)
    return save(figure, path)


def learning_rates(rates: Sequence[float], losses: Sequence[float], suggestion: float, path: Path) -> Path:
    """Draw the smoothed losses of a range test over their rates, and the suggestion."""
    figure = Figure(figsize=(5, 3.2), layout="constrained")
    ax = axes_of(figure)
    ax.plot(rates, losses, color=VAL)
    ax.axvline(suggestion, color=INK, linewidth=1, linestyle="--")
    ax.set_xscale("log")
    low, first = min(losses), losses[0]
    ax.set_ylim(low - 0.1 * (first - low), first + 0.5 * (first - low))
    ax.set_xlabel("learning rate", color=INK)
    ax.set_ylabel("loss, smoothed", color=INK)
    ax.set_title(f"falls fastest at {suggestion:.2g}", fontsize=10, color=INK)
    return save(figure, path)
