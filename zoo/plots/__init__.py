"""Pictures of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo.data.dataset import Batch, Dataset
from zoo.plots.base import curves, learning_rates
from zoo.plots.codes import coding_pictures, generated, grid, plane
from zoo.plots.control import control_pictures
from zoo.plots.labels import batch_picture, confusion_matrix, mistakes, precision_recall, truth
from zoo.plots.sequences import errors_by_step, forecasts, gradient_norms

__all__ = ["grid", "learning_rates", "plane", "run_pictures"]


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
    along = "samples" if dataset.spec.task == "control" else "epoch"
    made = [curves(history, folder / "curves.png", along=along)] if history else []
    if insights and "gradient" in insights:
        made.append(gradient_norms(insights["gradient"], folder / "gradient.png"))
    if batch is not None and dataset.spec.kind == "image":
        made.append(batch_picture(batch, dataset.spec.classes, folder / "batch.png"))
    if dataset.spec.task == "reconstruction":
        return made + coding_pictures(dataset, insights or {}, decoded.get("score"), folder)
    if dataset.spec.task == "generation":
        return made + generated(insights or {}, folder)
    if dataset.spec.task == "forecasting":
        made.append(forecasts(dataset, decoded["value"], folder / "forecasts.png"))
        made.append(errors_by_step(dataset, decoded["value"], folder / "errors.png"))
        return made
    if dataset.spec.task == "control":
        return made + control_pictures(insights or {}, folder)
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
