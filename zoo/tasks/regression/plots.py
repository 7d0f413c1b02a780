"""Plot of predicted numbers."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from zoo.utils.plotting import TRAIN, VAL, panel, save


def predicted_against_true(value: Tensor, y: Tensor, path: Path) -> Path:
    """Plots predicted against true values, in original units."""
    ax = panel(4, 4, "true", "predicted")
    low, high = float(min(y.min(), value.min())), float(max(y.max(), value.max()))
    ax.plot([low, high], [low, high], color=TRAIN, linewidth=1)
    ax.scatter(y.numpy(), value.numpy(), s=10, color=VAL, alpha=0.6, linewidths=0)
    return save(ax.figure, path)
