"""Plot of predicted numbers."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure
from torch import Tensor

from zoo.utils.plotting import INK, TRAIN, VAL, axes_of, save


def predicted_against_true(value: Tensor, y: Tensor, path: Path) -> Path:
    """Draw predicted against true values, in original units."""
    figure = Figure(figsize=(4, 4), layout="constrained")
    ax = axes_of(figure)
    low, high = float(min(y.min(), value.min())), float(max(y.max(), value.max()))
    ax.plot([low, high], [low, high], color=TRAIN, linewidth=1)
    ax.scatter(y.numpy(), value.numpy(), s=10, color=VAL, alpha=0.6, linewidths=0)
    ax.set_xlabel("true", color=INK)
    ax.set_ylabel("predicted", color=INK)
    return save(figure, path)
