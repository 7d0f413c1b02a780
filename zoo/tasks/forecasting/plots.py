"""Plots of forecasts and of their errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from zoo.data.dataset import Dataset
from zoo.utils.plotting import INK, TRAIN, VAL, axes_of, panel, save


def forecasts(dataset: Dataset, value: Tensor, path: Path) -> Path:
    """Plots test windows, evenly through the test part: the past, the true future, the forecast; by column."""
    spec, rows = dataset.spec, 3
    columns = list(range(min(len(spec.targets), 3)))
    figure = Figure(figsize=(4.2 * len(columns), 2.1 * rows), layout="constrained")
    axes = np.atleast_2d(axes_of(figure, rows, len(columns), squeeze=False))
    past, horizon = spec.input_shape[0], spec.target_shape[0]
    context = min(past, 3 * horizon)
    for line, row in enumerate(np.linspace(0, len(value) - 1, rows).astype(int).tolist()):
        x, y = dataset.test["x"][row], dataset.test["y"][row]
        for column in columns:
            ax, ahead = axes[line, column], np.arange(1, horizon + 1)
            ax.plot(np.arange(1 - context, 1), x[-context:, spec.targets[column]].numpy(), color=TRAIN, linewidth=1)
            ax.plot(ahead, y[:, column].numpy(), color=INK, linewidth=1, label="true")
            ax.plot(ahead, value[row, :, column].numpy(), color=VAL, linewidth=1.4, label="forecast")
            ax.axvline(0.5, color=TRAIN, linewidth=0.6, linestyle=":")
            if line == 0:
                ax.set_title(spec.columns[spec.targets[column]], fontsize=9, color=INK)
    axes[0, 0].legend(frameon=False, fontsize=7)
    return save(figure, path)


def errors_by_step(dataset: Dataset, value: Tensor, path: Path) -> Path:
    """Plots the root of the mean squared error over the steps ahead, by column, in units of training's deviation."""
    spec = dataset.spec
    y = dataset.test["y"].index_select(0, torch.arange(len(value)))
    scale = torch.tensor([spec.std[n] for n in spec.targets])
    error = ((value - y) / scale).square().mean(0).sqrt().numpy()  # (H, columns)
    ax = panel(4.6, 3, "steps ahead", "RMSE, standardized")
    for column, number in enumerate(spec.targets[:10]):
        ax.plot(np.arange(1, len(error) + 1), error[:, column], linewidth=1, label=spec.columns[number])
    ax.set_ylim(0)
    ax.legend(frameon=False, fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
    return save(ax.figure, path)
