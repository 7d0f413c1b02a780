"""The constant answer and a linear model, for classes and numbers."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import csr_array

from zoo.data.dataset import Dataset, Values
from zoo.spec import DataSpec

ROWS = 5000  # training rows that the linear baseline sees at most, so that it takes seconds

Figures = dict[str, float]


def simple(dataset: Dataset) -> dict[str, Figures]:
    """Return figures of the constant answer, and of a linear model on the same inputs (of texts: on their words)."""
    y, test_y = (np.asarray(split["y"]) for split in (dataset.train, dataset.test))
    pick = np.random.default_rng(0).permutation(len(y))[:ROWS]
    x, test_x = flat(dataset.train["x"], pick), flat(dataset.test["x"], np.arange(len(test_y)))
    if dataset.spec.kind == "text":
        x, test_x = (_bags(part, len(dataset.spec.vocabulary)) for part in (x, test_x))
    else:
        x, test_x = prepared(dataset.spec, x, test_x)
    if dataset.spec.task == "classification":
        from sklearn.linear_model import LogisticRegression
        from sklearn.multiclass import OneVsRestClassifier

        linear = LogisticRegression(max_iter=200, tol=1e-2)
        model = OneVsRestClassifier(linear) if dataset.spec.multilabel else linear
        probability = model.fit(x, y[pick]).predict_proba(test_x)
        share = y.mean(0) if dataset.spec.multilabel else np.bincount(y, minlength=len(dataset.spec.classes)) / len(y)
        constant = np.broadcast_to(share, (len(test_y), len(share)))
        return {
            "majority": classification_figures(dataset.spec, constant, test_y),
            "logistic regression": classification_figures(dataset.spec, probability, test_y),
        }
    from sklearn.linear_model import Ridge

    return {
        "mean": regression_figures(np.full(len(test_y), y.mean()), test_y),
        "linear regression": regression_figures(Ridge().fit(x, y[pick]).predict(test_x), test_y),
    }


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
        truth = (y == spec.positive).astype(int) if two else np.eye(len(spec.classes), dtype=int)[y]
        score = probability[:, spec.positive] if two else probability
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

    text = [n for n, levels in enumerate(spec.levels) if levels]
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
