"""The constant answer and a linear model, for classes and numbers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array

from zoo.data.dataset import Dataset, Values
from zoo.data.spec import DataSpec

ROWS = 5000  # training rows that the linear baseline sees at most, so that it takes seconds

Figures = dict[str, float]


def simple(dataset: Dataset) -> dict[str, Callable[[], Figures]]:
    """Return what measures the constant answer, and a linear model on the same inputs (of texts: on their words)."""
    if dataset.spec.task == "classification":
        measures = {"majority": _majority, "logistic regression": _logistic_regression}
    else:
        measures = {"mean": _mean, "linear regression": _linear_regression}
    return {name: partial(measure, dataset) for name, measure in measures.items()}


def _majority(dataset: Dataset) -> Figures:
    spec, y, test_y = dataset.spec, *_targets(dataset)
    share = y.mean(0) if spec.multilabel else np.bincount(y, minlength=len(spec.classes)) / len(y)
    return classification_figures(spec, np.broadcast_to(share, (len(test_y), len(share))), test_y)


def _logistic_regression(dataset: Dataset) -> Figures:
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    spec, y, test_y = dataset.spec, *_targets(dataset)
    index = sample_of(y)
    if not spec.multilabel and len(np.unique(y[index])) == 1:  # of which nothing can be fitted
        return _majority(dataset)
    x, test_x = _inputs(dataset, index)
    linear = LogisticRegression(max_iter=200, tol=1e-2)
    model = OneVsRestClassifier(linear) if spec.multilabel else linear
    probability = model.fit(x, y[index]).predict_proba(test_x)
    if not spec.multilabel:  # a class without a training row has no column there
        every = np.zeros((len(test_y), len(spec.classes)))
        every[:, model.classes_] = probability
        probability = every
    return classification_figures(spec, probability, test_y)


def _mean(dataset: Dataset) -> Figures:
    y, test_y = _targets(dataset)
    return regression_figures(np.full(len(test_y), y.mean()), test_y)


def _linear_regression(dataset: Dataset) -> Figures:
    from sklearn.linear_model import Ridge

    y, test_y = _targets(dataset)
    index = sample_of(y)
    x, test_x = _inputs(dataset, index)
    return regression_figures(Ridge().fit(x, y[index]).predict(test_x), test_y)


def sample_of(y: np.ndarray) -> np.ndarray:
    """Return the training rows that a linear model is fitted to: some at random, and one of each class among them."""
    index = np.random.default_rng(0).permutation(len(y))[:ROWS]
    if y.ndim > 1 or y.dtype.kind == "f":
        return index
    classes, first = np.unique(y, return_index=True)
    return np.concatenate([index, first[~np.isin(classes, y[index])]])


def _targets(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    y, test_y = (np.asarray(split["y"]) for split in (dataset.train, dataset.test))
    return y, test_y


def _inputs(dataset: Dataset, index: np.ndarray) -> tuple[Any, Any]:
    """Return what a linear model reads of the training rows ``index``, and of all test rows."""
    test = np.arange(len(dataset.test["x"]))
    x, test_x = flat(dataset.train["x"], index), flat(dataset.test["x"], test)
    if dataset.spec.modality == "text":
        x, test_x = (_bags(part, dataset.spec.vocab_size) for part in (x, test_x))
        return x, test_x
    return prepared(dataset.spec, x, test_x)


def classification_figures(spec: DataSpec, probability: np.ndarray, y: np.ndarray) -> Figures:
    """Return the figures of probabilities (N, K), by the names and in the sense of the objective."""
    from sklearn.metrics import accuracy_score, average_precision_score, balanced_accuracy_score, roc_auc_score

    if spec.multilabel:
        right = (probability > 0.5) == (y > 0.5)
        each = [right[:, k][y[:, k] == on].mean() for k in range(y.shape[1]) for on in (0, 1) if (y[:, k] == on).any()]
        accuracy, fair, truth, score = right.mean(), np.mean(each), y.astype(int), probability
    else:
        answer = probability.argmax(1)
        accuracy, fair = accuracy_score(y, answer), balanced_accuracy_score(y, answer)
        two = len(spec.classes) == 2
        truth = (y == spec.positive_class).astype(int) if two else np.eye(len(spec.classes), dtype=int)[y]
        score = probability[:, spec.positive_class] if two else probability
    ranked = {"auroc": roc_auc_score, "average_precision": average_precision_score}
    both = truth.min(0) != truth.max(0)  # a class that is not in test has neither figure
    if np.ndim(both):
        truth, score = truth[:, both], score[:, both]
    found = {name: float(figure(truth, score)) for name, figure in ranked.items() if np.any(both)}
    return {"accuracy": float(accuracy), "balanced_accuracy": float(fair), **found}


def regression_figures(value: np.ndarray, y: np.ndarray) -> Figures:
    """Return RMSE, MAE and R² of predicted values, in original units."""
    from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

    rmse, mae, r2 = (f(y, value) for f in (root_mean_squared_error, mean_absolute_error, r2_score))
    return {"rmse": float(rmse), "mae": float(mae), "r2": float(r2)}


def prepared(spec: DataSpec, x: np.ndarray, test_x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs of a linear model: numbers standardised, texts as one column each."""
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    text = [n for n, levels in enumerate(spec.categories) if levels]
    number = [n for n in range(x.shape[1]) if n not in set(text)]
    scale = StandardScaler().fit(x[:, number])
    parts = [[scale.transform(part[:, number])] for part in (x, test_x)]
    if text:
        coded = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(x[:, text])
        for made, part in zip(parts, (x, test_x), strict=True):
            made.append(coded.transform(part[:, text]))
    return np.concatenate(parts[0], axis=1), np.concatenate(parts[1], axis=1)


def _bags(x: np.ndarray, symbols: int) -> csr_array:
    """Return which symbols are in each text (N, symbols), as 0 and 1."""
    rows, _ = np.nonzero(x)
    coded = csr_array((np.ones(len(rows)), (rows, x[x > 0].astype(np.int64))), shape=(len(x), symbols))
    return coded.sign()


def flat(x: Values, index: np.ndarray) -> np.ndarray:
    """Return the rows ``index`` as float32 (rows, numbers)."""
    picked = x.index_select(0, torch.from_numpy(index))
    return picked.numpy().astype(np.float32).reshape(len(index), -1)
