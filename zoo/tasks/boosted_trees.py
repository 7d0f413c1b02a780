"""scikit-learn's boosted trees on a table, tuned by random search on the validation rows for as long as one says."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo.data.dataset import Dataset
from zoo.data.spec import DataSpec
from zoo.metrics.scores import Scores, classification_scores, regression_scores

ROUNDS = 2000  # trees at most, where validation does not end it before
Rows = tuple[np.ndarray, np.ndarray]
Draw = Callable[[np.random.Generator], dict[str, Any]]
Fit = Callable[[DataSpec, dict[str, Any], int, Rows, Rows], Any]


@dataclass(frozen=True)
class Tuned:
    """The best of a random search: its scores on validation and test, its settings, and how many were tried."""

    val: Scores
    test: Scores
    settings: dict[str, Any]
    trials: int


def tuned(dataset: Dataset, metric: str, seconds: float, seed: int, *, draw: Draw, fit: Fit) -> Tuned:
    """Return what is best on validation by ``metric`` among its default settings and draws, in so many ``seconds``.

    The test rows are touched once.
    """
    spec, parts = dataset.spec, [dataset.train, dataset.val, dataset.test]
    x, val_x, test_x = (with_gaps(spec, np.asarray(part["x"].flatten(1))) for part in parts)  # type: ignore[union-attr]
    y, val_y, test_y = (np.asarray(part["y"]) for part in parts)
    random, ended = np.random.default_rng(seed), time.perf_counter() + seconds
    best: tuple[float, Any, dict[str, Any], Scores] | None = None
    tried = 0
    while best is None or time.perf_counter() < ended:
        settings = draw(random) if tried else {}
        model = fit(spec, settings, seed, (x, y), (val_x, val_y))
        tried += 1
        scores = _scores(spec, model, val_x, val_y)
        value = -scores[metric] if metric in ("rmse", "mae") else scores[metric]
        if best is None or value > best[0]:
            best = (value, model, settings, scores)
    return Tuned(best[3], _scores(spec, best[1], test_x, test_y), best[2], tried)


def _scores(spec: DataSpec, model: Any, x: np.ndarray, y: np.ndarray) -> Scores:
    if spec.target_type == "class":
        return classification_scores(spec, model.predict_proba(x), y)
    return regression_scores(model.predict(x), y)


def draw_trees(random: np.random.Generator) -> dict[str, Any]:
    """Return settings of HistGradientBoosting, drawn."""
    return {
        "learning_rate": float(10 ** random.uniform(-1.7, -0.6)),
        "max_leaf_nodes": int(random.choice([7, 15, 31, 63, 127])),
        "min_samples_leaf": int(random.choice([5, 10, 20, 50, 100])),
        "l2_regularization": float(10 ** random.uniform(-3, 1)),
        "max_features": float(random.choice([0.3, 0.5, 0.75, 1.0])),
    }


def fit_trees(spec: DataSpec, settings: dict[str, Any], seed: int, train: Rows, val: Rows) -> Any:
    """Return HistGradientBoosting, ended by the validation rows."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingClassifier if spec.target_type == "class" else HistGradientBoostingRegressor
    options = {"max_iter": ROUNDS, "early_stopping": True, "n_iter_no_change": 20, **settings}
    return kind(categorical_features=texts(spec), random_state=seed, **options).fit(*train, X_val=val[0], y_val=val[1])


def texts(spec: DataSpec) -> list[bool]:
    """Return which of a table's columns are texts that trees take as such."""
    return [bool(levels) and len(levels) < 255 for levels in spec.categories[: len(spec.columns)]]


def with_gaps(spec: DataSpec, x: np.ndarray) -> np.ndarray:
    """Return a table's columns, without missing indicators, with NaN where a number is missing; of what is no table all."""
    if not spec.columns:
        return x.astype(np.float64)
    columns = x[:, : len(spec.columns)].astype(np.float64)
    for place, column in enumerate(spec.missing_indicators, start=len(spec.columns)):
        columns[x[:, place] == 1, spec.columns.index(column)] = np.nan
    return columns
