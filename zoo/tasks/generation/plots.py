"""Plots of generated images."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from torch import Tensor

from zoo.tasks.base import Draw
from zoo.utils.plotting import grid

TITLES = {
    "samples": "new images",
    "interpolation": "interpolation between two latent vectors",
    "nearest": "new images, each beside its nearest training image",
}


def generation_plots(visualizations: Mapping[str, Tensor]) -> dict[str, Draw]:
    """Return, by file names, what draws ``samples``, an ``interpolation`` between them, and the ``nearest`` training images."""
    plots: dict[str, Draw] = {}
    for name, title in TITLES.items():
        if name in visualizations:
            images = visualizations[name]
            columns = {"samples": len(images) // 8, "interpolation": len(images), "nearest": len(images) // 2}[name]
            plots[f"{name}.png"] = partial(grid, images, title, columns=columns)
    return plots
