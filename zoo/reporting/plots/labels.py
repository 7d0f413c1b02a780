"""Pictures of answers to classes and numbers: confusion, worst mistakes, precision and recall, truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from zoo.data.dataset import Batch, Values
from zoo.reporting.plots.base import INK, TRAIN, VAL, axes_of, save, show
from zoo.tasks.classification import confusion


def confusion_matrix(predicted: Tensor, y: Tensor, classes: Sequence[str], path: Path) -> Path:
    """Draw how often each class (row) was answered with each other (column); counts where they can be read."""
    counts = confusion(predicted, y, len(classes)).numpy()
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = min(max(3.0, 0.45 * len(classes) + 1.2), 12)
    figure = Figure(figsize=(size, size), layout="constrained")
    ax = figure.subplots()
    ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
    ticks = range(len(classes))
    ax.set_xticks(ticks, classes, rotation=90 if max(map(len, classes)) > 2 else 0, fontsize=8)
    ax.set_yticks(ticks, classes, fontsize=8)
    ax.set_xlabel("answer", color=INK)
    ax.set_ylabel("class", color=INK)
    if len(classes) <= 20:
        for row, column in np.argwhere(counts > 0):
            colour = "white" if share[row, column] > 0.5 else INK
            text = str(counts[row, column])
            ax.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)
    right = np.trace(counts) / max(counts.sum(), 1)
    ax.set_title(f"{right:.2%} of {counts.sum():,} right", fontsize=10, color=INK)
    return save(figure, path)


def mistakes(images: Values, probability: Tensor, y: Tensor, classes: Sequence[str], path: Path) -> Path:
    """Draw the images whose true class got the least probability, of those that were answered wrongly."""
    wrong = torch.nonzero(probability.argmax(1) != y).squeeze(1)
    order = wrong[probability[wrong, y[wrong]].argsort()][:24]
    columns = min(max(len(order), 3), 8)
    lines = max(1, -(-len(order) // columns))
    figure = Figure(figsize=(1.15 * columns, 1.5 * lines + 0.3), layout="constrained")
    axes = np.atleast_2d(figure.subplots(lines, columns))
    for ax in axes.ravel():
        ax.axis("off")
    for ax, i in zip(axes.ravel(), order.tolist(), strict=False):
        show(ax, images[i])
        guess = int(probability[i].argmax())
        ax.set_title(
            f"{classes[guess]} ({float(probability[i, guess]):.0%})\nis {classes[y[i]]}",
            fontsize=7,
            color=INK,
        )
    title = f"{len(wrong)} of {len(y):,} wrong, the worst first" if len(wrong) else f"none of {len(y):,} wrong"
    figure.suptitle(title, fontsize=9, color=INK)
    return save(figure, path)


def batch_picture(batch: Batch, classes: Sequence[str], path: Path) -> Path:
    """Draw the first images of a training batch as the network sees them, augmented, with their classes."""
    shown = min(len(batch["x"]), 32)
    columns = min(shown, 8)
    lines = -(-shown // columns)
    figure = Figure(figsize=(1.15 * columns, 1.35 * lines + 0.3), layout="constrained")
    axes = np.atleast_2d(figure.subplots(lines, columns, squeeze=False))
    for ax in axes.ravel():
        ax.axis("off")
    for ax, i in zip(axes.ravel(), range(shown), strict=False):
        show(ax, batch["x"][i])
        ax.set_title(_target_of(batch, i, classes), fontsize=7, color=INK)
    figure.suptitle("training images as the network sees them", fontsize=9, color=INK)
    return save(figure, path)


def _target_of(batch: Batch, i: int, classes: Sequence[str]) -> str:
    def name(y: Tensor) -> str:
        return classes[int(y[i])] if classes else f"{float(y[i]):.3g}"

    if "y" not in batch:
        return ""
    if "share" not in batch:
        return name(batch["y"])
    share = float(batch["share"][i])
    return f"{name(batch['y'])} {share:.0%}\n{name(batch['y2'])} {1 - share:.0%}"


def precision_recall(score: Tensor, truth: Tensor, names: Sequence[str], path: Path) -> Path:
    """Draw precision against recall at each threshold; ``score`` and ``truth`` are (N, names)."""
    figure = Figure(figsize=(4.4, 4), layout="constrained")
    ax = axes_of(figure)
    for number, name in enumerate(names[:10]):
        order = score[:, number].argsort(descending=True)
        hits = truth[order, number].double().cumsum(0)
        precision, recall = hits / torch.arange(1, len(hits) + 1), hits / hits[-1].clamp(min=1)
        colour = VAL if len(names) == 1 else None
        ax.plot(recall.numpy(), precision.numpy(), color=colour, linewidth=1.2, label=name)
    if len(names) == 1:
        ax.axhline(float(truth.mean()), color=TRAIN, linewidth=1, label="by chance")
    ax.set_ylim(0, 1.02)
    ax.set_xlabel("recall", color=INK)
    ax.set_ylabel("precision", color=INK)
    ax.legend(frameon=False, fontsize=8)
    return save(figure, path)


def truth(value: Tensor, y: Tensor, path: Path) -> Path:
    """Draw predicted against true values, in original units."""
    figure = Figure(figsize=(4, 4), layout="constrained")
    ax = axes_of(figure)
    low, high = float(min(y.min(), value.min())), float(max(y.max(), value.max()))
    ax.plot([low, high], [low, high], color=TRAIN, linewidth=1)
    ax.scatter(y.numpy(), value.numpy(), s=10, color=VAL, alpha=0.6, linewidths=0)
    ax.set_xlabel("true", color=INK)
    ax.set_ylabel("predicted", color=INK)
    return save(figure, path)
