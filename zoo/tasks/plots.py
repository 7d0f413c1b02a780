"""Plots of test predictions and of trained models; each task uses some of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from zoo.data.dataset import Values
from zoo.utils.plotting import INK, TRAIN, VAL, axes_of, grid, panel, save, save_gif, show

PER_SECOND = 25  # frames
POINTS = 5000  # maximum number of codes in a plot
LINES = {"clean": "input", "noisy": "noisy input", "restored": "reconstruction"}

# --- classes ---


def confusion_plot(predicted: Tensor, y: Tensor, classes: Sequence[str], path: Path) -> Path:
    """Plot how often each class (row) was predicted as each class (column), with counts if they fit."""
    counts = torch.bincount(y * len(classes) + predicted, minlength=len(classes) ** 2).view(len(classes), -1).numpy()
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
    ax.set_title(f"{right:.2%} of {counts.sum():,} correct", fontsize=10, color=INK)
    return save(figure, path)


def mistakes(images: Values, probability: Tensor, y: Tensor, classes: Sequence[str], path: Path) -> Path:
    """Plot the misclassified images with the lowest probability of the true class."""
    wrong = torch.nonzero(probability.argmax(1) != y).squeeze(1)
    order = wrong[probability[wrong, y[wrong]].argsort()][:24].tolist()
    guess = [(classes[int(probability[i].argmax())], float(probability[i].max())) for i in order]
    captions = [f"{name} ({p:.0%})\nis {classes[int(y[i])]}" for i, (name, p) in zip(order, guess, strict=True)]
    title = f"{len(wrong)} of {len(y):,} wrong, the worst first" if len(wrong) else f"none of {len(y):,} wrong"
    return grid([images[i] for i in order], title, path, columns=min(max(len(order), 3), 8), captions=captions)


def precision_recall(score: Tensor, truth: Tensor, names: Sequence[str], path: Path) -> Path:
    """Plot precision against recall at all thresholds; ``score`` and ``truth`` are (N, names)."""
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


# --- numbers and series ---


def predicted_against_true(value: Tensor, y: Tensor, path: Path) -> Path:
    """Plot predicted against true values, in original units."""
    ax = panel(4, 4, "true", "predicted")
    low, high = float(min(y.min(), value.min())), float(max(y.max(), value.max()))
    ax.plot([low, high], [low, high], color=TRAIN, linewidth=1)
    ax.scatter(y.numpy(), value.numpy(), s=10, color=VAL, alpha=0.6, linewidths=0)
    return save(ax.figure, path)


def forecasts(dataset: Any, value: Tensor, path: Path) -> Path:
    """Plot evenly spaced test windows by column: the context, the true future and the forecast."""
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


def errors_by_step(dataset: Any, value: Tensor, path: Path) -> Path:
    """Plot the root mean squared error over the steps ahead by column, in units of the training standard deviation."""
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


# --- reconstructions, codes and anomaly scores ---


def reconstructions(images: Mapping[str, Tensor], path: Path) -> Path:
    """Plot test images (N, C, H, W) in rows: clean, with noise, and reconstructed."""
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
    """Plot windows (N, T, C) of a series and their reconstructions, standardized."""
    count = min(len(images["clean"]), 4)
    figure = Figure(figsize=(6, 1.5 * count), layout="constrained")
    for ax, row in zip(np.atleast_1d(axes_of(figure, count, 1)), range(count), strict=True):
        ax.plot(images["clean"][row, :, 0].numpy(), color=INK, linewidth=1, label="input")
        ax.plot(images["restored"][row, :, 0].numpy(), color=VAL, linewidth=1.2, label="reconstruction")
    figure.axes[0].legend(frameon=False, fontsize=7)
    return save(figure, path)


def plane(codes: Tensor, y: Tensor | None, classes: Sequence[str], path: Path) -> Path:
    """Plot codes (N, K) in two dimensions, colored by class; for K > 2, their first two principal components."""
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
    """Plot the distributions of the scores of normal test rows and of anomalies, each as a share of its own rows."""
    ax = panel(5, 3, "score", "share of rows")
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
    """Plot the test images with the highest scores, and mark the anomalies."""
    order = score.argsort(descending=True)[:24].tolist()
    captions = [f"{'anomaly' if y[row] else 'normal'} {float(score[row]):.3g}" for row in order]
    title = "test images by descending anomaly score"
    return grid([inputs[row] for row in order], title, path, captions=captions)


# --- policies ---


def write_gif(frames: Tensor, path: Path) -> Path:
    """Write frames (T, H, W, 3) of bytes as an animated GIF."""
    from PIL import Image

    images = [Image.fromarray(np.ascontiguousarray(frame)) for frame in frames.cpu().numpy()]
    return save_gif(images, path, 1000 // PER_SECOND)


def maps(visualizations: Mapping[str, Tensor], path: Path) -> Path:
    """Plot action and value (H, W) over two-dimensional observations, which range over ``range`` (2, 2)."""
    panels = {"action": visualizations["map"]}
    panels |= {"value": visualizations["value"]} if "value" in visualizations else {}
    figure = Figure(figsize=(4.2 * len(panels), 3.6), layout="constrained")
    (left, right), (low, high) = visualizations["range"].tolist()
    for ax, (title, values) in zip(np.atleast_1d(axes_of(figure, 1, len(panels))), panels.items(), strict=True):
        options = {"extent": (left, right, low, high), "cmap": "viridis" if title == "value" else "coolwarm"}
        drawn = ax.imshow(values.cpu().numpy(), origin="lower", aspect="auto", **options)
        figure.colorbar(drawn, ax=ax)
        ax.set_xlabel("first dimension of the observation", color=INK)
        ax.set_ylabel("second dimension of the observation", color=INK)
        ax.set_title(title, fontsize=10, color=INK)
    return save(figure, path)
