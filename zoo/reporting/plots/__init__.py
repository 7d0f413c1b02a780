"""Pictures of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo.data.dataset import Batch, Dataset
from zoo.reporting.plots.base import Draw, curves, learning_rates
from zoo.reporting.plots.codes import coding_pictures, generated, grid, plane
from zoo.reporting.plots.control import control_pictures
from zoo.reporting.plots.labels import batch_picture, confusion_matrix, mistakes, precision_recall, truth
from zoo.reporting.plots.sequences import errors_by_step, forecasts, gradient_norms
from zoo.utils.guard import Attempt, direct

__all__ = ["grid", "learning_rates", "plane", "run_pictures"]


def run_pictures(
    dataset: Dataset,
    history: Sequence[Mapping[str, Any]],
    decoded: dict[str, Any],
    folder: Path,
    *,
    batch: Batch | None = None,
    visualizations: Mapping[str, Tensor] | None = None,
    attempt: Attempt = direct,
) -> list[Path]:
    """Draw all that suits the run's task into ``folder``, from the test's answers and the model's ``visualizations``.

    ``attempt`` runs each picture by itself; one that fails is not in the result.
    """
    folder.mkdir(exist_ok=True)
    drawings = {
        **_of_training(dataset, history, batch, visualizations or {}),
        **_of_answers(dataset, decoded, visualizations or {}),
    }
    drawn = [attempt(f"picture {name}", partial(draw, folder / name), None) for name, draw in drawings.items()]
    return [path for path in drawn if path is not None]


def _of_training(
    dataset: Dataset, history: Sequence[Mapping[str, Any]], batch: Batch | None, visualizations: Mapping[str, Tensor]
) -> dict[str, Draw]:
    """Return, by the names of files, what draws how a run learned."""
    along = "samples" if dataset.spec.task == "control" else "epoch"
    drawings: dict[str, Draw] = {"curves.png": lambda path: curves(history, path, along=along)} if history else {}
    if "gradient" in visualizations:
        drawings["gradient.png"] = lambda path: gradient_norms(visualizations["gradient"], path)
    if batch is not None and dataset.spec.modality == "image":
        drawings["batch.png"] = lambda path: batch_picture(batch, dataset.spec.classes, path)
    return drawings


def _of_answers(dataset: Dataset, decoded: dict[str, Any], visualizations: Mapping[str, Tensor]) -> dict[str, Draw]:
    """Return, by the names of files, what draws the answers to the test rows."""
    spec = dataset.spec
    if spec.task == "reconstruction":
        return coding_pictures(dataset, visualizations, decoded.get("score"))
    if spec.task == "generation":
        return generated(visualizations)
    if spec.task == "control":
        return control_pictures(visualizations)
    if spec.task == "forecasting":
        return {
            "forecasts.png": lambda path: forecasts(dataset, decoded["value"], path),
            "errors.png": lambda path: errors_by_step(dataset, decoded["value"], path),
        }
    if spec.task == "regression":
        y = dataset.test["y"]
        assert isinstance(y, Tensor)
        return {"truth.png": lambda path: truth(decoded["value"], y + spec.target_offset, path)}
    return _of_classes(dataset, decoded) if spec.task == "classification" else {}


def _of_classes(dataset: Dataset, decoded: dict[str, Any]) -> dict[str, Draw]:
    spec, y, probability = dataset.spec, dataset.test["y"], decoded["probability"]
    assert isinstance(y, Tensor)
    drawings: dict[str, Draw] = {}
    if len(spec.classes) == 2 or spec.multilabel:
        truths = y if spec.multilabel else (y == spec.positive_class).float().unsqueeze(1)
        scores = probability if spec.multilabel else probability[:, spec.positive_class].unsqueeze(1)
        names = spec.classes if spec.multilabel else [spec.classes[spec.positive_class]]
        drawings["precision_recall.png"] = lambda path: precision_recall(scores, truths, names, path)
    if spec.multilabel:
        return drawings

    def confusion(path: Path) -> Path:
        answered = torch.tensor([spec.classes.index(label) for label in decoded["label"]])
        return confusion_matrix(answered, y, spec.classes, path)

    drawings["confusion.png"] = confusion
    if spec.modality == "image":
        drawings["mistakes.png"] = lambda path: mistakes(dataset.test["x"], probability, y, spec.classes, path)
    return drawings
