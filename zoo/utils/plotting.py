"""Helpers for plots: axes, colors, images and atomic writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from zoo.utils.atomic_io import atomic_write

INK, TRAIN, VAL = "#333333", "#9a9a9a", "#1f5fbf"


def axes_of(figure: Figure, *args: Any, **kwargs: Any) -> Any:
    """Return the axes of a figure in the style of the project."""
    axes = figure.subplots(*args, **kwargs)
    for ax in np.atleast_1d(axes).ravel():
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(colors=INK, labelsize=8, which="both")
    return axes


def panel(width: float, height: float, x: str = "", y: str = "") -> Any:
    """Return the axes of a new figure, ``width`` × ``height`` inches, with the axis labels ``x`` and ``y``."""
    ax = axes_of(Figure(figsize=(width, height), layout="constrained"))
    ax.set_xlabel(x, fontsize=8, color=INK)
    ax.set_ylabel(y, fontsize=8, color=INK)
    return ax


def save(figure: Figure, path: Path) -> Path:
    """Write a figure atomically and return its path."""
    atomic_write(path, lambda to: figure.savefig(to, dpi=120, format=path.suffix.removeprefix(".")))
    return path


def save_gif(images: Sequence[Any], path: Path, durations: int | list[int]) -> Path:
    """Write PIL images as an animated GIF that repeats, and return its path. ``durations`` are in milliseconds."""
    options = {"format": "gif", "save_all": True, "append_images": images[1:], "duration": durations, "loop": 0}
    atomic_write(path, lambda to: images[0].save(to, **options))
    return path


def visible(images: Tensor) -> Tensor:
    """Return images (N, C, H, W) with 1 or 3 channels; other numbers of channels are averaged to 1."""
    if images.shape[1] in (1, 3):
        return images
    return images.float().mean(1, keepdim=True).to(images.dtype)


def show(ax: Any, image: Tensor) -> None:
    """Draw an image (C, H, W) in [0, 1] or uint8. Gray images are drawn dark on white."""
    pixels = visible(image[None])[0].permute(1, 2, 0).cpu().numpy()
    brightest = 1 if pixels.dtype.kind == "f" else 255
    ax.imshow(pixels.squeeze(-1) if pixels.shape[2] == 1 else pixels, cmap="gray_r", vmin=0, vmax=brightest)
    ax.axis("off")


def grid(
    images: Tensor | Sequence[Tensor], title: str, path: Path, *, columns: int = 8, captions: Sequence[str] = ()
) -> Path:
    """Draw images (C, H, W) in a grid, each below its caption if there are ``captions``, and return the path."""
    lines = max(-(-len(images) // columns), 1)
    width, height = (1.15, 1.5) if captions else (0.8, 0.8)
    figure = Figure(figsize=(width * columns, height * lines + 0.3), layout="constrained")
    for ax in figure.subplots(lines, columns, squeeze=False).ravel():
        ax.axis("off")
    for ax, image, caption in zip(figure.axes, images, captions or [""] * len(images), strict=False):
        show(ax, image)
        ax.set_title(caption, fontsize=7, color=INK)
    figure.suptitle(title, fontsize=9, color=INK)
    return save(figure, path)
