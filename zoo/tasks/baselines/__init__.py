"""What no network is needed for: the figures that stand beside every result."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from zoo.data.dataset import Dataset
from zoo.tasks.baselines.control import at_random
from zoo.tasks.baselines.generation import real_to_real
from zoo.tasks.baselines.labels import classification_figures, regression_figures, simple
from zoo.tasks.baselines.reconstruction import given_back
from zoo.tasks.baselines.sequences import language, naive, ngram
from zoo.utils.guard import Attempt, direct

__all__ = ["baselines", "classification_figures", "ngram", "regression_figures"]

Figures = dict[str, float]


def baselines(
    dataset: Dataset, *, options: Mapping[str, Any] | None = None, attempt: Attempt = direct
) -> dict[str, Figures]:
    """Return test figures, by the names of the objective's, of what is simpler than a network.

    Classification: of ``majority`` and of ``logistic regression`` (of texts: on which words are in them); regression:
    of ``mean`` and of ``linear regression``; a language: of single symbols' frequencies and of a ``5-gram``; forecasts:
    ``repeat last`` and, where a season is known, ``seasonal naive``; reconstructions: see ``given_back``, which a
    model's ``options`` decide; generation: of ``other real images``; control: of ``random``
    actions. ``attempt`` runs each by itself; one that fails is not in the result.
    """
    measures = _measures(dataset, options or {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of fits that do not converge, and of classes that are not there
        figures = {name: attempt(f"baseline {name}", measure, {}) for name, measure in measures.items()}
    return {name: values for name, values in figures.items() if values}


def _measures(dataset: Dataset, options: Mapping[str, Any]) -> dict[str, Callable[[], Figures]]:
    task = dataset.spec.task
    if task == "reconstruction":
        return given_back(dataset, options)
    if task == "control":
        return {"random": partial(at_random, dataset)}  # type: ignore[arg-type]
    if task == "generation":
        return {"other real images": partial(real_to_real, dataset)}
    if task == "language_modeling":
        return language(dataset)
    return naive(dataset) if task == "forecasting" else simple(dataset)
