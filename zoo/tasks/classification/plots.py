"""Plots of predicted classes: confusion matrix, worst mistakes, precision and recall."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from zoo.data.dataset import Dataset, Values
from zoo.tasks.base import Plots
from zoo.utils.plotting import INK, TRAIN, VAL, panel, save, show


def classification_plots(dataset: Dataset, predictions: dict[str, Any]) -> Plots:
    """Return, by file names, what draws classes that exclude each other."""
    spec, y, probability = dataset.spec, dataset.test["y"], predictions["probability"]
    assert isinstance(y, Tensor)
    plots: Plots = {}
    if len(spec.classes) == 2:
        truth, score = (y == spec.positive_class).float().unsqueeze(1), probability[:, spec.positive_class].unsqueeze(1)
        names = [spec.classes[spec.positive_class]]
        plots["precision_recall.png"] = partial(precision_recall, score, truth, names)
    labels = torch.tensor([spec.classes.index(label) for label in predictions["label"]])
    plots["confusion.png"] = partial(confusion_plot, labels, y, spec.classes)
    if spec.spatial:
        plots["mistakes.png"] = partial(mistakes, dataset.test["x"], probability, y, spec.classes)
    return plots


def multilabel_plots(dataset: Dataset, predictions: dict[str, Any]) -> Plots:
    """Return, by file names, what draws labels that may be true together."""
    draw = partial(precision_recall, predictions["probability"], dataset.test["y"], dataset.spec.classes)
    return {"precision_recall.png": draw}


def confusion_matrix(predicted: Tensor, y: Tensor, classes: int) -> Tensor:
    """Return counts (classes, classes): row the true class, column the prediction."""
    return torch.bincount(y * classes + predicted, minlength=classes**2).view(classes, classes)


def confusion_plot(predicted: Tensor, y: Tensor, classes: Sequence[str], path: Path) -> Path:
    """Plots how often each class (row) was predicted as each other (column); counts where they can be read."""
    counts = confusion_matrix(predicted, y, len(classes)).numpy()
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = min(max(3.0, 0.45 * len(classes) + 1.2), 12)
    figure = Figure(figsize=(size, size), layout="constrained")
    ax = figure.subplots()
    ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
    ticks = range(len(classes))
    ax.set_xticks(ticks, classes, rotation=90 if max(map(len, classes)) > 2 else 0, fontsize=8)
    ax.set_yticks(ticks, classes, fontsize=8)
    ax.set_xlabel("prediction", color=INK)
    ax.set_ylabel("class", color=INK)
    if len(classes) <= 20:
        for row, column in np.argwhere(counts > 0):
            color = "white" if share[row, column] > 0.5 else INK
            text = str(counts[row, column])
            ax.text(column, row, text, ha="center", va="center", fontsize=7, color=color)
    right = np.trace(counts) / max(counts.sum(), 1)
    ax.set_title(f"{right:.2%} of {counts.sum():,} right", fontsize=10, color=INK)
    return save(figure, path)


def mistakes(images: Values, probability: Tensor, y: Tensor, classes: Sequence[str], path: Path) -> Path:
    """Plots the images whose true class got the least probability, of those that were classified wrongly."""
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
            f"{classes[guess]} ({float(probability[i, guess]):.0%})\nis {classes[y[i]]}", fontsize=7, color=INK
        )
    title = f"{len(wrong)} of {len(y):,} wrong, the worst first" if len(wrong) else f"none of {len(y):,} wrong"
    figure.suptitle(title, fontsize=9, color=INK)
    return save(figure, path)


def precision_recall(score: Tensor, truth: Tensor, names: Sequence[str], path: Path) -> Path:
    """Plots precision against recall at each threshold; ``score`` and ``truth`` are (N, names)."""
    ax = panel(4.4, 4, "recall", "precision")
    for number, name in enumerate(names[:10]):
        order = score[:, number].argsort(descending=True)
        hits = truth[order, number].double().cumsum(0)
        precision, recall = hits / torch.arange(1, len(hits) + 1), hits / hits[-1].clamp(min=1)
        color = VAL if len(names) == 1 else None
        ax.plot(recall.numpy(), precision.numpy(), color=color, linewidth=1.2, label=name)
    if len(names) == 1:
        ax.axhline(float(truth.mean()), color=TRAIN, linewidth=1, label="by chance")
    ax.set_ylim(0, 1.02)
    ax.legend(frameon=False, fontsize=8)
    return save(ax.figure, path)
