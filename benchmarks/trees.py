"""Trees: what a user would take instead for a table, on the same rows, with the time that the zoo's model took.

scikit-learn's HistGradientBoosting is tuned by random search for as many seconds as a run of the zoo's fnn trained:
its own settings first, then draws, each with early stopping on the validation rows, on which the best is chosen. The
test rows are touched once.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from benchmarks.jobs import Job
from benchmarks.quality import Case
from benchmarks.report import same_runs
from zoo.errors import ZooError

PEER = "HistGradientBoosting"
ROUNDS = 2000  # trees at most, where validation does not end it before


def fits(case: Case) -> bool:
    """Tell whether trees are asked for."""
    return bool((case.promise or {}).get("peer"))


def jobs(case: Case, seeds: int, budget: str, earlier: Sequence[dict[str, Any]]) -> list[Job]:
    """Return a job per seed and fold of a case on a table that the zoo's fnn was measured on; not of ``earlier`` ones.

    Raises:
        ZooError: it was not.
    """
    measured = same_runs(case.model, case.data, case.words)
    if not measured:
        raise ZooError(f"model={case.model} data={case.data}: measure it first, by suite=quality")
    seconds = statistics.median(row["train_seconds"] for row in measured)
    done = {(r["model"], r["data"], tuple(r["overrides"]), r["seed"], r["fold"]) for r in earlier if r["peer"] == PEER}
    return [
        Job(
            f"{PEER} on {case.name or case.data}, seed {seed}, fold {fold}",
            partial(_one, case, seed, fold, seconds),
            seconds,
        )
        for seed in range(seeds)
        for fold in case.folds(budget)
        if (case.model, case.data, case.words, seed, fold) not in done
    ]


def _one(case: Case, seed: int, fold: int | None, seconds: float) -> Iterator[dict[str, Any]]:
    from zoo.parts import data_of

    assert case.promise is not None
    dataset, _ = data_of(case.plan(*([f"data.fold={fold}"] if fold is not None else [])), None)
    figure = case.promise["metric"].removeprefix("test/")
    figures, tried, fitted = tuned(dataset, figure, seconds, seed)
    row = {"model": case.model, "data": case.data, "overrides": list(case.words), "seed": seed, "fold": fold}
    row |= {"peer": PEER, "metrics": {f"test/{key}": value for key, value in figures.items()}}
    row |= {"seconds": round(seconds, 1), "tried": tried, "settings": fitted}
    print(f"    {figure} {figures[figure]:.4f}, {tried} tried", flush=True)
    from zoo.report import origin

    yield row | origin("cpu")


def tuned(dataset: Any, figure: str, seconds: float, seed: int) -> tuple[dict[str, float], int, dict[str, Any]]:
    """Return test figures of the best settings found in ``seconds``, how many were tried, and the settings."""
    from zoo.baselines import classification_figures, regression_figures

    spec, parts = dataset.spec, [dataset.train, dataset.val, dataset.test]
    x, val_x, test_x = (_with_gaps(spec, part["x"].numpy()) for part in parts)
    y, val_y, test_y = (part["y"].numpy() for part in parts)
    rng, ended = np.random.default_rng(seed), time.perf_counter() + seconds
    best, tried = None, 0
    while best is None or time.perf_counter() < ended:
        settings = _draw(rng) if tried else {"max_iter": ROUNDS}
        model = _model(spec, settings, seed).fit(x, y, X_val=val_x, y_val=val_y)
        tried += 1

        def figures(x: np.ndarray, y: np.ndarray, model: Any = model) -> dict[str, float]:
            if spec.task == "classification":
                return classification_figures(spec, model.predict_proba(x), y)
            return regression_figures(model.predict(x), y)

        value = figures(val_x, val_y)[figure]
        value = -value if figure in ("rmse", "mae") else value
        if best is None or value > best[0]:
            best = (value, settings, figures)
    return best[2](test_x, test_y), tried, best[1]


def _draw(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "max_iter": ROUNDS,
        "learning_rate": float(10 ** rng.uniform(-1.7, -0.6)),
        "max_leaf_nodes": int(rng.choice([7, 15, 31, 63, 127])),
        "min_samples_leaf": int(rng.choice([5, 10, 20, 50, 100])),
        "l2_regularization": float(10 ** rng.uniform(-3, 1)),
        "max_features": float(rng.choice([0.3, 0.5, 0.75, 1.0])),
    }


def _model(spec: Any, settings: dict[str, Any], seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingClassifier if spec.task == "classification" else HistGradientBoostingRegressor
    text = [bool(levels) and len(levels) < 255 for levels in spec.levels[: len(spec.columns)]]
    return kind(early_stopping=True, n_iter_no_change=20, categorical_features=text, random_state=seed, **settings)


def _with_gaps(spec: Any, x: np.ndarray) -> np.ndarray:
    """Return a table's own columns with NaN where a number is missing, as trees take it."""
    own = x[:, : len(spec.columns)].astype(np.float64)
    for place, column in enumerate(spec.flagged, start=len(spec.columns)):
        own[x[:, place] == 1, spec.columns.index(column)] = np.nan
    return own
