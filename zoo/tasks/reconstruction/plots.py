"""Plots of reconstructions, codes, samples and anomaly scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from zoo.data.dataset import Dataset, Values
from zoo.tasks.base import Plots
from zoo.utils.plotting import INK, TRAIN, VAL, axes_of, grid, panel, save, show

POINTS = 5000  # codes in a picture
LINES = {"clean": "input", "noisy": "noisy input", "restored": "reconstruction"}


def reconstructions(images: Mapping[str, Tensor], path: Path) -> Path:
    """Plots test images (N, C, H, W) in lines: as they are, with noise, and what the model makes of that."""
    lines = [name for name in LINES if name in images]
    count = len(images["clean"])
    figure = Figure(figsize=(0.9 * count + 0.9, 0.95 * len(lines)), layout="constrained")
    axes = figure.subplots(len(lines), count, squeeze=False)
    for line, name in enumerate(lines):
        for ax, image in zip(axes[line], images[name], strict=True):
            show(ax, image)
        axes[line, 0].set_title(LINES[name], fontsize=8, color=INK, loc="left")
    return save(figure, path)


def series_reconstructions(images: Mapping[str, Tensor], path: Path) -> Path:
    """Plots windows (N, T, C) of a series and what the model gives back, standardized."""
    count = min(len(images["clean"]), 4)
    figure = Figure(figsize=(6, 1.5 * count), layout="constrained")
    for ax, row in zip(np.atleast_1d(axes_of(figure, count, 1)), range(count), strict=True):
        ax.plot(images["clean"][row, :, 0].numpy(), color=INK, linewidth=1, label="input")
        ax.plot(images["restored"][row, :, 0].numpy(), color=VAL, linewidth=1.2, label="reconstruction")
    figure.axes[0].legend(frameon=False, fontsize=7)
    return save(figure, path)


def plane(codes: Tensor, y: Tensor | None, classes: Sequence[str], path: Path) -> Path:
    """Plots codes (N, K) on a plane, colored by class; of more than two numbers, their first principal components."""
    index = torch.from_numpy(np.random.default_rng(0).permutation(len(codes))[:POINTS])
    points, axes = codes[index].double(), "latent dimensions"
    if points.shape[1] > 2:
        _, _, directions = torch.linalg.svd(points - points.mean(0), full_matrices=False)
        points, axes = (points - points.mean(0)) @ directions[:2].T, "principal components of the codes"
    if points.shape[1] == 1:
        points = torch.cat([points, torch.zeros_like(points)], 1)
    ax = panel(5.4, 4.4)
    if y is None or not classes:
        ax.scatter(*points.T.numpy(), s=5, color=VAL, alpha=0.5, linewidths=0)
    else:
        for number, name in enumerate(classes[:20]):
            ax.scatter(*points[y[index] == number].T.numpy(), s=5, alpha=0.6, linewidths=0, label=name)
        ax.legend(frameon=False, fontsize=7, markerscale=3, loc="upper left", bbox_to_anchor=(1, 1))
    ax.set_title(f"test rows by two {axes}", fontsize=9, color=INK)
    return save(ax.figure, path)


def score_histogram(score: Tensor, y: Tensor, path: Path) -> Path:
    """Plots the distribution of scores of normal test rows and of anomalies, each as a share of its own rows."""
    ax = panel(5, 3, "score", "share of the rows")
    positive = bool((score > 0).all())
    edges = (np.geomspace if positive else np.linspace)(float(score.min()), float(score.max()), 50)
    for number, (name, color) in enumerate((("normal", TRAIN), ("anomaly", VAL))):
        part = score[y == number].numpy()
        if len(part):
            weights = np.full(len(part), 1 / len(part))
            ax.hist(part, bins=edges, weights=weights, color=color, alpha=0.6, label=f"{name} ({len(part):,})")
    if positive:
        ax.set_xscale("log")
    ax.legend(frameon=False, fontsize=8)
    return save(ax.figure, path)


def top_anomalies(inputs: Values, score: Tensor, y: Tensor, path: Path) -> Path:
    """Plots the test images with the highest scores, and which of them are anomalies."""
    order = score.argsort(descending=True)[:24].tolist()
    figure = Figure(figsize=(8, 1.25 * -(-len(order) // 8) + 0.3), layout="constrained")
    for ax in figure.subplots(-(-len(order) // 8), 8, squeeze=False).ravel():
        ax.axis("off")
    for ax, row in zip(figure.axes, order, strict=False):
        show(ax, inputs[row])
        ax.set_title(f"{'anomaly' if y[row] else 'normal'} {float(score[row]):.3g}", fontsize=7, color=INK)
    figure.suptitle("test images by descending anomaly score", fontsize=9, color=INK)
    return save(figure, path)


def reconstruction_plots(dataset: Dataset, visualizations: Mapping[str, Tensor], score: Tensor | None) -> Plots:
    """Return, by file names, what draws reconstructions, codes, samples and anomaly scores."""
    spec, image, y = dataset.spec, dataset.spec.spatial, dataset.test.get("y")
    plots: Plots = {}
    if "clean" in visualizations and visualizations["clean"].ndim > 2:
        plots["reconstructions.png"] = partial(reconstructions if image else series_reconstructions, visualizations)
    if "interpolation" in visualizations:
        images = visualizations["interpolation"]
        plots["interpolation.png"] = partial(grid, images, "from one test image to another", columns=len(images))
    if "samples" in visualizations and image:
        plots["samples.png"] = partial(grid, visualizations["samples"], "new images")
    if "codes" in visualizations:
        labels = y if isinstance(y, Tensor) and y.ndim == 1 else None
        plots["codes.png"] = partial(plane, visualizations["codes"], labels, spec.classes)
    if score is not None and spec.normal_classes and isinstance(y, Tensor):
        plots["scores.png"] = partial(score_histogram, score, y)
        if image:
            plots["anomalies.png"] = partial(top_anomalies, dataset.test["x"], score, y)
    return plots
