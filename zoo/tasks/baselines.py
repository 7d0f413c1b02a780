"""Baselines without a network: the scores that stand beside every result."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from zoo.data.dataset import Dataset
from zoo.tasks import build_task
from zoo.tasks.base import Scores
from zoo.utils.guard import Attempt, direct


def baselines(
    dataset: Dataset, *, options: Mapping[str, Any] | None = None, attempt: Attempt = direct
) -> dict[str, Scores]:
    """Return the test scores of each of the task's baselines, which a model's ``options`` may decide.

    ``attempt`` runs each by itself; one that fails is not in the result.
    """
    measures = build_task(dataset.spec).baselines(dataset, options or {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of fits that do not converge, and of classes that are not there
        scores = {name: attempt(f"baseline {name}", measure, {}) for name, measure in measures.items()}
    return {name: values for name, values in scores.items() if values}
