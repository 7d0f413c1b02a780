"""scikit-learn on the same rows of tables, with the same time as the zoo's fnn.

HistGradientBoosting and the MLP are each tuned by random search on the validation rows. The search takes the training
time of a run of the zoo's fnn, and starts with the default settings. The test rows are used once.
"""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from benchmarks.jobs import Job
from benchmarks.quality import Case
from benchmarks.report_results import same_runs
from zoo.exceptions import ZooError
from zoo.tasks.baselines import draw_trees, fit_trees, texts, tuned

LIBRARIES = ("HistGradientBoosting", "MLP")


def fits(case: Case) -> bool:
    """Return whether scikit-learn is measured for a case."""
    return bool((case.expected or {}).get("third_party"))


def jobs(case: Case, seeds: int, budget: str, earlier: Sequence[dict[str, Any]]) -> list[Job]:
    """Return a job for each seed and fold of the zoo's fnn on a table. Combinations in ``earlier`` rows are skipped.

    Raises:
        ZooError: suite=quality has no rows of the case.
    """
    measured = same_runs(case.model, case.data, case.words)
    if not measured:
        raise ZooError(f"model={case.model} data={case.data}: no rows of suite=quality. Run it first.")
    seconds = statistics.median(row["train_seconds"] for row in measured)
    done = {
        (row["model"], row["data"], tuple(row["overrides"]), row["seed"], row["fold"], row["library"])
        for row in earlier
        if row["library"] in LIBRARIES
    }
    return [
        Job(
            f"{library} on {case.name or case.data}, seed {seed}, fold {fold}",
            partial(_one, case, library, seed, fold, seconds),
            seconds,
        )
        for library in LIBRARIES
        for seed in range(seeds)
        for fold in case.folds(budget)
        if (case.model, case.data, case.words, seed, fold, library) not in done
    ]


def _one(case: Case, library: str, seed: int, fold: int | None, seconds: float) -> Iterator[dict[str, Any]]:
    from zoo.engine.build import build_data

    assert case.expected is not None
    dataset, _ = build_data(case.plan(*([f"data.fold={fold}"] if fold is not None else [])))
    figure = case.expected["metric"].removeprefix("test/")
    draw, fit = {"HistGradientBoosting": (draw_trees, fit_trees), "MLP": (_draw_mlp, _mlp)}[library]
    best = tuned(dataset, figure, seconds, seed, draw=draw, fit=fit)
    row = {"model": case.model, "data": case.data, "overrides": list(case.words), "seed": seed, "fold": fold}
    row |= {"library": library, "metrics": {f"test/{key}": value for key, value in best.test.items()}}
    row |= {"seconds": round(seconds, 1), "tried": best.trials, "settings": best.settings}
    print(f"    {figure} {best.test[figure]:.4f}, {best.trials} tried", flush=True)
    from zoo.reporting.results import origin

    yield row | origin("cpu")


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

    text = texts(spec) or [False] * train[0].shape[1]
    kinds = [
        ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), [k for k, one in enumerate(text) if not one]),
        ("texts", OneHotEncoder(handle_unknown="ignore"), [k for k, one in enumerate(text) if one]),
    ]
    kind: Any = MLPClassifier if spec.target_type == "class" else MLPRegressor
    network = kind(random_state=seed, **settings)
    if spec.target_type == "number":
        network = TransformedTargetRegressor(network, transformer=StandardScaler())
    with warnings.catch_warnings():  # the default settings stop after 200 epochs, converged or not
        warnings.simplefilter("ignore")
        return make_pipeline(ColumnTransformer(kinds), network).fit(*train)
