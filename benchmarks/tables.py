"""Tables: what a user would take instead, on the same rows, with the time that the zoo's model took.

scikit-learn's HistGradientBoosting and its MLP are each tuned by random search for as many seconds as a run of the
zoo's fnn trained: their own settings first, then draws, on the validation rows. The test rows are touched once.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from benchmarks.jobs import Job
from benchmarks.quality import Case
from benchmarks.report import same_runs
from zoo.errors import ZooError

PEERS = ("HistGradientBoosting", "MLP")
ROUNDS = 2000  # trees at most, where validation does not end it before


def fits(case: Case) -> bool:
    """Tell whether these peers are asked for."""
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
    done = {
        (row["model"], row["data"], tuple(row["overrides"]), row["seed"], row["fold"], row["peer"])
        for row in earlier
        if row["peer"] in PEERS
    }
    return [
        Job(
            f"{peer} on {case.name or case.data}, seed {seed}, fold {fold}",
            partial(_one, case, peer, seed, fold, seconds),
            seconds,
        )
        for peer in PEERS
        for seed in range(seeds)
        for fold in case.folds(budget)
        if (case.model, case.data, case.words, seed, fold, peer) not in done
    ]


def _one(case: Case, peer: str, seed: int, fold: int | None, seconds: float) -> Iterator[dict[str, Any]]:
    from zoo.parts import data_of

    assert case.promise is not None
    dataset, _ = data_of(case.plan(*([f"data.fold={fold}"] if fold is not None else [])), None)
    figure = case.promise["metric"].removeprefix("test/")
    figures, tried, fitted = tuned(dataset, peer, figure, seconds, seed)
    row = {"model": case.model, "data": case.data, "overrides": list(case.words), "seed": seed, "fold": fold}
    row |= {"peer": peer, "metrics": {f"test/{key}": value for key, value in figures.items()}}
    row |= {"seconds": round(seconds, 1), "tried": tried, "settings": fitted}
    print(f"    {figure} {figures[figure]:.4f}, {tried} tried", flush=True)
    from zoo.report import origin

    yield row | origin("cpu")


def tuned(
    dataset: Any, peer: str, figure: str, seconds: float, seed: int
) -> tuple[dict[str, float], int, dict[str, Any]]:
    """Return test figures of the best settings found in ``seconds``, how many were tried, and the settings."""
    from zoo.baselines import classification_figures, regression_figures

    spec, parts = dataset.spec, [dataset.train, dataset.val, dataset.test]
    x, val_x, test_x = (_with_gaps(spec, part["x"].flatten(1).numpy()) for part in parts)
    y, val_y, test_y = (part["y"].numpy() for part in parts)
    draw, fit = {"HistGradientBoosting": (_draw_trees, _trees), "MLP": (_draw_mlp, _mlp)}[peer]
    rng, ended = np.random.default_rng(seed), time.perf_counter() + seconds
    best, tried = None, 0
    while best is None or time.perf_counter() < ended:
        settings = draw(rng) if tried else {}
        model = fit(spec, settings, seed, (x, y), (val_x, val_y))
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


def _draw_trees(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "learning_rate": float(10 ** rng.uniform(-1.7, -0.6)),
        "max_leaf_nodes": int(rng.choice([7, 15, 31, 63, 127])),
        "min_samples_leaf": int(rng.choice([5, 10, 20, 50, 100])),
        "l2_regularization": float(10 ** rng.uniform(-3, 1)),
        "max_features": float(rng.choice([0.3, 0.5, 0.75, 1.0])),
    }


def _trees(spec: Any, settings: dict[str, Any], seed: int, train: Any, val: Any) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingClassifier if spec.task == "classification" else HistGradientBoostingRegressor
    asked = {"max_iter": ROUNDS, "early_stopping": True, "n_iter_no_change": 20, **settings}
    return kind(categorical_features=_texts(spec), random_state=seed, **asked).fit(*train, X_val=val[0], y_val=val[1])


def _draw_mlp(rng: np.random.Generator) -> dict[str, Any]:
    sizes = [(64,), (128,), (256,), (128, 128), (256, 256)]
    return {
        "hidden_layer_sizes": sizes[rng.integers(len(sizes))],
        "alpha": float(10 ** rng.uniform(-5, 0)),
        "learning_rate_init": float(10 ** rng.uniform(-3.5, -2)),
        "batch_size": int(rng.choice([32, 128, 512])),
        "early_stopping": True,
    }


def _mlp(spec: Any, settings: dict[str, Any], seed: int, train: Any, val: Any) -> Any:
    from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
    from sklearn.impute import SimpleImputer
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    text = _texts(spec) or [False] * train[0].shape[1]
    kinds = [
        ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), [k for k, one in enumerate(text) if not one]),
        ("texts", OneHotEncoder(handle_unknown="ignore"), [k for k, one in enumerate(text) if one]),
    ]
    kind: Any = MLPClassifier if spec.task == "classification" else MLPRegressor
    network = kind(random_state=seed, **settings)
    if spec.task == "regression":
        network = TransformedTargetRegressor(network, transformer=StandardScaler())
    with warnings.catch_warnings():  # its own settings end after 200 passes, converged or not
        warnings.simplefilter("ignore")
        return make_pipeline(ColumnTransformer(kinds), network).fit(*train)


def _texts(spec: Any) -> list[bool]:
    return [bool(levels) and len(levels) < 255 for levels in spec.levels[: len(spec.columns)]]


def _with_gaps(spec: Any, x: np.ndarray) -> np.ndarray:
    """Return a table's own columns with NaN where a number is missing; of what is no table all."""
    if not spec.columns:
        return x.astype(np.float64)
    own = x[:, : len(spec.columns)].astype(np.float64)
    for place, column in enumerate(spec.flagged, start=len(spec.columns)):
        own[x[:, place] == 1, spec.columns.index(column)] = np.nan
    return own
