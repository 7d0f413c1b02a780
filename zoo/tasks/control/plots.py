"""Plots of policies: an animated episode; action and value over two observed numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from zoo.tasks.base import Plots
from zoo.utils.plotting import INK, axes_of, save, save_gif

PER_SECOND = 25  # frames


def control_plots(visualizations: Mapping[str, Tensor]) -> Plots:
    """Return, by the names of files, what draws ``frames`` of an episode and a ``map`` of two numbers."""
    plots: Plots = {}
    if "frames" in visualizations:
        plots["episode.gif"] = lambda path: write_gif(visualizations["frames"], path)
    if "map" in visualizations:
        plots["map.png"] = lambda path: maps(visualizations, path)
    return plots


def write_gif(frames: Tensor, path: Path) -> Path:
    """Write frames (T, H, W, 3) of bytes as an animated GIF."""
    from PIL import Image

    images = [Image.fromarray(np.ascontiguousarray(frame)) for frame in frames.cpu().numpy()]
    return save_gif(images, path, 1000 // PER_SECOND)


def maps(visualizations: Mapping[str, Tensor], path: Path) -> Path:
    """Plots action and value (H, W) over two observed numbers, which range over ``range`` (2, 2)."""
    panels = [("action", "action"), *([("value", "value")] if "value" in visualizations else [])]
    figure = Figure(figsize=(4.2 * len(panels), 3.6), layout="constrained")
    (left, right), (low, high) = visualizations["range"].tolist()
    for ax, (name, title) in zip(np.atleast_1d(axes_of(figure, 1, len(panels))), panels, strict=True):
        values: Any = visualizations["map" if name == "action" else name].cpu().numpy()
        colors = {"cmap": "viridis"} if name == "value" else {"cmap": "coolwarm"}
        drawn = ax.imshow(values, origin="lower", aspect="auto", extent=(left, right, low, high), **colors)
        figure.colorbar(drawn, ax=ax)
        ax.set_xlabel("first observed number", color=INK)
        ax.set_ylabel("second observed number", color=INK)
        ax.set_title(title, fontsize=10, color=INK)
    return save(figure, path)
