"""Plots of generated images."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from torch import Tensor

from zoo.tasks.base import Plots
from zoo.utils.plotting import grid

GRIDS = {  # title, and number of lines
    "samples": ("new images", 8),
    "interpolation": ("interpolation between two latent vectors", 1),
    "nearest": ("new images, each beside its nearest training image", 2),
}


def generation_plots(visualizations: Mapping[str, Tensor]) -> Plots:
    """Return, by file names, what draws ``samples``, an ``interpolation`` between them, and the ``nearest`` training images."""
    return {
        f"{name}.png": partial(grid, visualizations[name], title, columns=len(visualizations[name]) // lines)
        for name, (title, lines) in GRIDS.items()
        if name in visualizations
    }
