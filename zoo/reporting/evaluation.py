"""Metrics of a trained model and of baselines, on batches or splits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from zoo import registry
from zoo.data.dataset import Dataset

Metrics = dict[str, float]


def evaluate_batches(model: Any, batches: Iterable[Any], stage: str = "test") -> tuple[Metrics, list[Any]]:
    """Return the metrics of a model on batches, and the outputs that its task collects from each batch.

    ``stage="val"`` skips slow metrics.
    """
    metrics, outputs = model.task.metrics("test").to(model.device), []
    model.eval().begin_evaluation(stage)
    with torch.inference_mode():
        for batch in batches:
            here = {k: v.to(model.device) if isinstance(v, Tensor) else v for k, v in batch.items()}
            output = model.eval_step(here)
            model.task.update(metrics, output, here)
            outputs.append(model.task.collect(output, here))
    return metrics.scalars(), outputs


def evaluate_split(
    model: Any, dataset: Dataset, *, split: str = "test", stage: str = "test"
) -> tuple[Metrics, list[Any]]:
    """Return the metrics of a model on a split, and the outputs that its task collects from each batch.

    ``stage="val"`` skips slow metrics.
    """
    batches = registry.get_modality(dataset.spec.modality).eval_loader(dataset, split)
    return evaluate_batches(model, batches, stage)


def baseline_metrics(model: Any, dataset: Dataset) -> dict[str, Metrics]:
    """Return the test metrics of the baselines, which use no neural network."""
    from zoo.tasks.baselines import baselines

    return baselines(dataset, options=dict(model.hparams))
