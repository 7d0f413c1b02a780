"""Baselines without a network, which are reported with every result.

Linear models read standardized numbers, one-hot categories, and texts as sets of tokens. Random search on the
validation rows tunes scikit-learn's boosted trees within a time limit.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_array

from zoo.data.dataset import Dataset, Values
from zoo.data.spec import DataSpec
from zoo.metrics.scores import Scores, classification_scores, regression_scores
from zoo.tasks import build_task
from zoo.utils.console import Attempt, direct

ROWS = 5000  # maximum number of training rows of the linear baseline, so that it takes seconds
ROUNDS = 2000  # maximum number of trees without early stopping
Rows = tuple[np.ndarray, np.ndarray]
Draw = Callable[[np.random.Generator], dict[str, Any]]
Fit = Callable[[DataSpec, dict[str, Any], int, Rows, Rows], Any]


def baselines(
    dataset: Dataset, *, options: Mapping[str, Any] | None = None, attempt: Attempt = direct
) -> dict[str, Scores]:
    """Return the test scores of the task's baselines, which may depend on a model's ``options``.

    ``attempt`` runs each baseline separately; the result omits baselines that fail.
    """
    measures = build_task(dataset.spec).baselines(dataset, options or {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings about convergence and missing classes
        scores = {name: attempt(f"baseline {name}", measure, {}) for name, measure in measures.items()}
    return {name: values for name, values in scores.items() if values}


# --- constant and linear predictors ---


def majority(dataset: Dataset) -> Scores:
    """Return the scores of predicting the class frequencies of the training rows."""
    spec, y, test_y = dataset.spec, *targets(dataset)
    share = y.mean(0) if spec.multilabel else np.bincount(y, minlength=len(spec.classes)) / len(y)
    return classification_scores(spec, np.broadcast_to(share, (len(test_y), len(share))), test_y)


def logistic_regression(dataset: Dataset) -> Scores:
    """Return the scores of logistic regression, fitted to at most ROWS training rows."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    spec, y, test_y = dataset.spec, *targets(dataset)
    index = sample_of(y)
    if not spec.multilabel and len(np.unique(y[index])) == 1:  # a single class cannot be fitted
        return majority(dataset)
    x, test_x = linear_inputs(dataset, index)
    linear = LogisticRegression(max_iter=200, tol=1e-2)
    model = OneVsRestClassifier(linear) if spec.multilabel else linear
    probability = model.fit(x, y[index]).predict_proba(test_x)
    if not spec.multilabel:  # classes without a training row have no column
        every = np.zeros((len(test_y), len(spec.classes)))
        every[:, model.classes_] = probability
        probability = every
    return classification_scores(spec, probability, test_y)


def mean(dataset: Dataset) -> Scores:
    """Return the scores of predicting the mean of the training rows."""
    y, test_y = targets(dataset)
    return regression_scores(np.full(len(test_y), y.mean()), test_y)


def linear_regression(dataset: Dataset) -> Scores:
    """Return the scores of ridge regression, fitted to at most ROWS training rows."""
    from sklearn.linear_model import Ridge

    y, test_y = targets(dataset)
    index = sample_of(y)
    x, test_x = linear_inputs(dataset, index)
    return regression_scores(Ridge().fit(x, y[index]).predict(test_x), test_y)


def sample_of(y: np.ndarray) -> np.ndarray:
    """Return the training rows for a linear model: a random sample with at least one row of each class."""
    index = np.random.default_rng(0).permutation(len(y))[:ROWS]
    if y.ndim > 1 or y.dtype.kind == "f":
        return index
    classes, first = np.unique(y, return_index=True)
    return np.concatenate([index, first[~np.isin(classes, y[index])]])


def targets(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return the targets y of the training rows and of the test rows."""
    y, test_y = (np.asarray(split["y"]) for split in (dataset.train, dataset.test))
    return y, test_y


def linear_inputs(dataset: Dataset, index: np.ndarray) -> tuple[Any, Any]:
    """Return the inputs of a linear model for the training rows ``index``, and for all test rows."""
    x, test_x = flat(dataset.train["x"], index), flat(dataset.test["x"], np.arange(len(dataset.test["x"])))
    if dataset.spec.vocab_size:
        return _bags(x, dataset.spec.vocab_size), _bags(test_x, dataset.spec.vocab_size)
    return prepared(dataset.spec, x, test_x)


def prepared(spec: DataSpec, x: np.ndarray, test_x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the inputs of a linear model: numbers standardized, texts as one column each."""
    from sklearn.compose import make_column_transformer
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    text = [n for n, levels in enumerate(spec.categories) if levels]
    number = [n for n in range(x.shape[1]) if n not in set(text)]
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    columns = make_column_transformer((StandardScaler(), number), (one_hot, text)).fit(x)
    return columns.transform(x), columns.transform(test_x)


def _bags(x: np.ndarray, symbols: int) -> csr_array:
    """Return which tokens occur in each text (N, tokens), as 0 and 1."""
    rows, _ = np.nonzero(x)
    coded = csr_array((np.ones(len(rows)), (rows, x[x > 0].astype(np.int64))), shape=(len(x), symbols))
    return coded.sign()


def flat(x: Values, index: np.ndarray) -> np.ndarray:
    """Return the rows ``index`` as float32 (rows, numbers)."""
    picked = x.index_select(0, torch.from_numpy(index))
    return picked.numpy().astype(np.float32).reshape(len(index), -1)


# --- boosted trees ---


class Tuned(NamedTuple):
    """The best model of a random search: validation and test scores, settings, and the number of settings tried."""

    val: Scores
    test: Scores
    settings: dict[str, Any]
    trials: int


def tuned(dataset: Dataset, metric: str, seconds: float, seed: int, *, draw: Draw, fit: Fit) -> Tuned:
    """Return the best model on validation by ``metric``, among default and random settings, within ``seconds``.

    The test rows are used once.
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
    """Return random settings of HistGradientBoosting."""
    return {
        "learning_rate": float(10 ** random.uniform(-1.7, -0.6)),
        "max_leaf_nodes": int(random.choice([7, 15, 31, 63, 127])),
        "min_samples_leaf": int(random.choice([5, 10, 20, 50, 100])),
        "l2_regularization": float(10 ** random.uniform(-3, 1)),
        "max_features": float(random.choice([0.3, 0.5, 0.75, 1.0])),
    }


def fit_trees(spec: DataSpec, settings: dict[str, Any], seed: int, train: Rows, val: Rows) -> Any:
    """Return a fitted HistGradientBoosting, with early stopping on the validation rows."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingClassifier if spec.target_type == "class" else HistGradientBoostingRegressor
    options = {"max_iter": ROUNDS, "early_stopping": True, "n_iter_no_change": 20, **settings}
    return kind(categorical_features=texts(spec), random_state=seed, **options).fit(*train, X_val=val[0], y_val=val[1])


def texts(spec: DataSpec) -> list[bool]:
    """Return which of a table's columns are categorical for boosted trees."""
    return [bool(levels) and len(levels) < 255 for levels in spec.categories[: len(spec.columns)]]


def with_gaps(spec: Any, x: np.ndarray) -> np.ndarray:
    """Return the columns of a table without missing indicators, and with NaN for missing numbers.

    Other data is unchanged.
    """
    if not spec.columns:
        return x.astype(np.float64)
    columns = x[:, : len(spec.columns)].astype(np.float64)
    for place, column in enumerate(spec.missing_indicators, start=len(spec.columns)):
        columns[x[:, place] == 1, spec.columns.index(column)] = np.nan
    return columns
