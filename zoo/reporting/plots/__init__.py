"""Plots of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from zoo.data.dataset import Batch, Dataset
from zoo.reporting.plots.training import batch_picture, curves, gradient_norms
from zoo.tasks import Task
from zoo.tasks.base import Plots
from zoo.utils.console import Attempt, direct


def run_plots(
    task: Task,
    dataset: Dataset,
    history: Sequence[Mapping[str, Any]],
    predictions: dict[str, Any],
    folder: Path,
    *,
    batch: Batch | None = None,
    visualizations: Mapping[str, Tensor] | None = None,
    attempt: Attempt = direct,
) -> list[Path]:
    """Draw the plots of a finished run into ``folder`` and return their paths.

    Args:
        task: the run's task, which selects the plots.
        dataset: the data of the run.
        history: one row of metrics per epoch, for the learning curves.
        predictions: predictions on the test split.
        folder: the folder to write to; it is created if it does not exist.
        batch: a training batch, shown if it contains images.
        visualizations: tensors from the model's ``visualizations``, by name.
        attempt: runs each plot on its own; the result omits a plot that fails.
    """
    folder.mkdir(exist_ok=True)
    visualizations = visualizations or {}
    plots: Plots = {}
    if history:
        plots["curves.png"] = partial(curves, history, along=task.progress_axis)
    if "gradient" in visualizations:
        plots["gradient.png"] = partial(gradient_norms, visualizations["gradient"])
    if batch is not None and dataset.spec.spatial:
        plots["batch.png"] = partial(batch_picture, batch, dataset.spec.classes)
    plots |= task.plots(dataset, predictions, visualizations)
    paths = [attempt(f"plot {name}", partial(draw, folder / name), None) for name, draw in plots.items()]
    return [path for path in paths if path is not None]
