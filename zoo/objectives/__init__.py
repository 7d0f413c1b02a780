"""What each task asks of a network's output."""

from __future__ import annotations

from collections.abc import Callable

from zoo.objectives.base import Objective
from zoo.objectives.classification import Classification, Labels, confusion
from zoo.objectives.control import Control
from zoo.objectives.generation import Generation
from zoo.objectives.language import LanguageModeling
from zoo.objectives.reconstruction import Reconstruction
from zoo.objectives.values import Forecasting, Regression
from zoo.spec import DataSpec

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

_OBJECTIVES: dict[str, Callable[[DataSpec], Objective]] = {
    "classification": Classification,
    "labels": Labels,
    "regression": Regression,
    "language_modeling": LanguageModeling,
    "forecasting": Forecasting,
    "reconstruction": Reconstruction,
    "generation": Generation,
    "control": Control,
}


def objective_of(spec: DataSpec) -> Objective:
    """Return the objective of a spec's task."""
    return _OBJECTIVES["labels" if spec.multilabel and spec.task == "classification" else spec.task](spec)
