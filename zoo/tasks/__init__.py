"""What each task asks of a network's output."""

from __future__ import annotations

from collections.abc import Callable

from zoo.data.spec import DataSpec
from zoo.tasks.base import Task
from zoo.tasks.classification import Classification, Labels, confusion
from zoo.tasks.control import Control
from zoo.tasks.generation import Generation
from zoo.tasks.language_modeling import LanguageModeling
from zoo.tasks.reconstruction import Reconstruction
from zoo.tasks.values import Forecasting, Regression

__all__ = [
    "Classification",
    "Control",
    "Forecasting",
    "Generation",
    "Labels",
    "LanguageModeling",
    "Objective",
    "Reconstruction",
    "Regression",
    "confusion",
    "objective_of",
]

_OBJECTIVES: dict[str, Callable[[DataSpec], Task]] = {
    "classification": Classification,
    "labels": Labels,
    "regression": Regression,
    "language_modeling": LanguageModeling,
    "forecasting": Forecasting,
    "reconstruction": Reconstruction,
    "generation": Generation,
    "control": Control,
}


def build_task(spec: DataSpec) -> Task:
    """Return the objective of a spec's task."""
    return _OBJECTIVES["labels" if spec.multilabel and spec.task == "classification" else spec.task](spec)
