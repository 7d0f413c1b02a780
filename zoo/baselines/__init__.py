"""What no network is needed for: the figures that stand beside every result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo.baselines.control import at_random
from zoo.baselines.generation import real_to_real
from zoo.baselines.labels import classification_figures, regression_figures, simple
from zoo.baselines.reconstruction import given_back
from zoo.baselines.sequences import language, naive, ngram
from zoo.data.dataset import Dataset

__all__ = ["baselines", "classification_figures", "ngram", "regression_figures"]

Figures = dict[str, float]


def baselines(dataset: Dataset, *, options: Mapping[str, Any] | None = None) -> dict[str, Figures]:
    """Return test figures, by the names of the objective's, of what is simpler than a network.

    Classification: of ``majority`` and of ``logistic regression`` (of texts: on which words are in them); regression:
    of ``mean`` and of ``linear regression``; a language: of single symbols' frequencies and of a ``5-gram``; forecasts:
    ``repeat last`` and, where a season is known, ``seasonal naive``; reconstructions: see ``given_back``, which a
    model's ``options`` decide; generation: of ``other real images``; control: of ``random``
    actions.
    """
    task = dataset.spec.task
    if task == "reconstruction":
        return given_back(dataset, options or {})
    if task == "control":
        return at_random(dataset)
    if task == "generation":
        return real_to_real(dataset)
    if task == "language_modeling":
        return language(dataset)
    return naive(dataset) if task == "forecasting" else simple(dataset)
