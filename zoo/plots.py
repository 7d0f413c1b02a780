"""Pictures of a run: learning curves, confusion matrix, worst mistakes, prediction against truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from zoo.data.dataset import Batch, Dataset, Values
from zoo.finding import Found
from zoo.objectives import confusion

INK, TRAIN, VAL = "#333333", "#9a9a9a", "#1f5fbf"


def _axes(figure: Figure, *args: Any, **kwargs: Any) -> Any:
    axes = figure.subplots(*args, **kwargs)
    for ax in np.atleast_1d(axes).ravel():
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(colors=INK, labelsize=8)
    return axes


def _save(figure: Figure, path: Path) -> Path:
    figure.savefig(path, dpi=120)
    return path


def curves(history: Sequence[Mapping[str, Any]], path: Path) -> Path:
    """Draw each figure that was measured per epoch, training and validation together, and the learning rate."""
    names = list(dict.fromkeys(k.split("/")[1] for k in history[0] if "/" in k))
    # nll is validation's loss: one panel, as one reads it
    panels = [n for n in names if not (n == "nll" and "loss" in names)] + ["lr"]
    figure = Figure(figsize=(3.2 * len(panels), 2.8), layout="constrained")
    epochs = [row["epoch"] for row in history]
    for ax, name in zip(np.atleast_1d(_axes(figure, 1, len(panels))), panels, strict=True):
        for key, label, colour in ((f"train/{name}", "train", TRAIN), (f"val/{name}", "validation", VAL)):
            key = "val/nll" if key == "val/loss" and "val/nll" in history[0] else key
            if key in history[0]:
                ax.plot(
                    epochs,
                    [row[key] for row in history],
                    color=colour,
                    label=label,
                    marker="." * (len(epochs) < 3),
                )
        if name == "lr":
            ax.plot(epochs, [row["lr"] for row in history], color=INK)
        else:
            ax.legend(frameon=False, fontsize=8)
        if name in ("loss", "rmse", "mae"):
            ax.set_yscale("log")
        ax.set_title({"lr": "learning rate"}.get(name, name), fontsize=10, color=INK)
        ax.set_xlabel("epoch", fontsize=8, color=INK)
    return _save(figure, path)


def learning_rates(found: Found, path: Path) -> Path:
    """Draw the loss of a range test over the rate, and the suggestion."""
    figure = Figure(figsize=(5, 3.2), layout="constrained")
    ax = _axes(figure)
    ax.plot(found.rates, found.losses, color=VAL)
    ax.axvline(found.suggested, color=INK, linewidth=1, linestyle="--")
    ax.set_xscale("log")
    low, first = min(found.losses), found.losses[0]
    ax.set_ylim(low - 0.1 * (first - low), first + 0.5 * (first - low))
    ax.set_xlabel("learning rate", color=INK)
    ax.set_ylabel("loss, smoothed", color=INK)
    ax.set_title(f"falls fastest at {found.suggested:.2g}", fontsize=10, color=INK)
    return _save(figure, path)


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
    return _save(figure, path)


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
        image = images[i].permute(1, 2, 0).numpy()
        ax.imshow(image.squeeze(-1) if image.shape[2] == 1 else image, cmap="gray_r")
        guess = int(probability[i].argmax())
        ax.set_title(
            f"{classes[guess]} ({float(probability[i, guess]):.0%})\nis {classes[y[i]]}",
            fontsize=7,
            color=INK,
        )
    title = f"{len(wrong)} of {len(y):,} wrong, the worst first" if len(wrong) else f"none of {len(y):,} wrong"
    figure.suptitle(title, fontsize=9, color=INK)
    return _save(figure, path)


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
        image = batch["x"][i].permute(1, 2, 0).cpu().numpy()
        ax.imshow(image.squeeze(-1) if image.shape[2] == 1 else image, cmap="gray_r", vmin=0, vmax=1)
        ax.set_title(_target_of(batch, i, classes), fontsize=7, color=INK)
    figure.suptitle("training images as the network sees them", fontsize=9, color=INK)
    return _save(figure, path)


def _target_of(batch: Batch, i: int, classes: Sequence[str]) -> str:
    def name(y: Tensor) -> str:
        return classes[int(y[i])] if classes else f"{float(y[i]):.3g}"

    if "share" not in batch:
        return name(batch["y"])
    share = float(batch["share"][i])
    return f"{name(batch['y'])} {share:.0%}\n{name(batch['y2'])} {1 - share:.0%}"


def precision_recall(score: Tensor, truth: Tensor, names: Sequence[str], path: Path) -> Path:
    """Draw precision against recall at each threshold; ``score`` and ``truth`` are (N, names)."""
    figure = Figure(figsize=(4.4, 4), layout="constrained")
    ax = _axes(figure)
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
    return _save(figure, path)


def truth(value: Tensor, y: Tensor, path: Path) -> Path:
    """Draw predicted against true values, in original units."""
    figure = Figure(figsize=(4, 4), layout="constrained")
    ax = _axes(figure)
    low, high = float(min(y.min(), value.min())), float(max(y.max(), value.max()))
    ax.plot([low, high], [low, high], color=TRAIN, linewidth=1)
    ax.scatter(y.numpy(), value.numpy(), s=10, color=VAL, alpha=0.6, linewidths=0)
    ax.set_xlabel("true", color=INK)
    ax.set_ylabel("predicted", color=INK)
    return _save(figure, path)


def forecasts(dataset: Dataset, value: Tensor, path: Path) -> Path:
    """Draw test windows, evenly through the test part: the past, the true future, the forecast; by column."""
    spec, rows = dataset.spec, 3
    shown = list(range(min(len(spec.targets), 3)))
    figure = Figure(figsize=(4.2 * len(shown), 2.1 * rows), layout="constrained")
    axes = np.atleast_2d(_axes(figure, rows, len(shown), squeeze=False))
    past, horizon = spec.input_shape[0], spec.target_shape[0]
    context = min(past, 3 * horizon)
    for line, row in enumerate(np.linspace(0, len(value) - 1, rows).astype(int).tolist()):
        x, y = dataset.test["x"][row], dataset.test["y"][row]
        for column in shown:
            ax, ahead = axes[line, column], np.arange(1, horizon + 1)
            ax.plot(np.arange(1 - context, 1), x[-context:, spec.targets[column]].numpy(), color=TRAIN, linewidth=1)
            ax.plot(ahead, y[:, column].numpy(), color=INK, linewidth=1, label="truth")
            ax.plot(ahead, value[row, :, column].numpy(), color=VAL, linewidth=1.4, label="forecast")
            ax.axvline(0.5, color=TRAIN, linewidth=0.6, linestyle=":")
            if line == 0:
                ax.set_title(spec.columns[spec.targets[column]], fontsize=9, color=INK)
    axes[0, 0].legend(frameon=False, fontsize=7)
    return _save(figure, path)


def errors_by_step(dataset: Dataset, value: Tensor, path: Path) -> Path:
    """Draw the root of the mean squared error over the steps ahead, by column, in units of training's deviation."""
    spec = dataset.spec
    y = dataset.test["y"].index_select(0, torch.arange(len(value)))
    scale = torch.tensor([spec.std[n] for n in spec.targets])
    error = ((value - y) / scale).square().mean(0).sqrt().numpy()  # (H, columns)
    figure = Figure(figsize=(4.6, 3), layout="constrained")
    ax = _axes(figure)
    for column, number in enumerate(spec.targets[:10]):
        ax.plot(np.arange(1, len(error) + 1), error[:, column], linewidth=1, label=spec.columns[number])
    ax.set_ylim(0)
    ax.set_xlabel("steps ahead", fontsize=8, color=INK)
    ax.set_ylabel("RMSE, standardised", fontsize=8, color=INK)
    ax.legend(frameon=False, fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
    return _save(figure, path)


def gradient_norms(norm: Tensor, path: Path) -> Path:
    """Draw how much the last output depends on each step before it."""
    figure = Figure(figsize=(4.6, 3), layout="constrained")
    ax = _axes(figure)
    ax.plot(np.arange(1 - len(norm), 1), norm.clamp(min=1e-12).numpy(), color=VAL, linewidth=1.2)
    ax.set_yscale("log")
    ax.set_xlabel("step, counted from the last", fontsize=8, color=INK)
    ax.set_ylabel("norm of the last output's gradient", fontsize=8, color=INK)
    return _save(figure, path)


def run_pictures(
    dataset: Dataset,
    history: Sequence[Mapping[str, Any]],
    decoded: dict[str, Any],
    folder: Path,
    *,
    batch: Batch | None = None,
    insights: Mapping[str, Tensor] | None = None,
) -> list[Path]:
    """Draw all that suits the run's task into ``folder``, from the test's answers and the model's ``insights``."""
    folder.mkdir(exist_ok=True)
    made = [curves(history, folder / "curves.png")] if history else []
    if insights and "gradient" in insights:
        made.append(gradient_norms(insights["gradient"], folder / "gradient.png"))
    if batch is not None and dataset.spec.kind == "image":
        made.append(batch_picture(batch, dataset.spec.classes, folder / "batch.png"))
    if dataset.spec.task == "forecasting":
        made.append(forecasts(dataset, decoded["value"], folder / "forecasts.png"))
        made.append(errors_by_step(dataset, decoded["value"], folder / "errors.png"))
        return made
    if dataset.spec.task == "language_modeling":
        return made
    y, classes = dataset.test["y"], dataset.spec.classes
    assert isinstance(y, Tensor)
    if dataset.spec.task == "classification":
        probability, spec = decoded["probability"], dataset.spec
        if len(classes) == 2 or spec.multilabel:
            truths = y if spec.multilabel else (y == spec.positive).float().unsqueeze(1)
            scores = probability if spec.multilabel else probability[:, spec.positive].unsqueeze(1)
            names = classes if spec.multilabel else [classes[spec.positive]]
            made.append(precision_recall(scores, truths, names, folder / "precision_recall.png"))
        if spec.multilabel:
            return made
        answered = torch.tensor([classes.index(label) for label in decoded["label"]])
        made.append(confusion_matrix(answered, y, classes, folder / "confusion.png"))
        if dataset.spec.kind == "image":
            made.append(mistakes(dataset.test["x"], probability, y, classes, folder / "mistakes.png"))
    else:
        made.append(truth(decoded["value"], y, folder / "truth.png"))
    return made
