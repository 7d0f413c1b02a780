"""Scores of predictions by scikit-learn, accuracies of latent codes, and thresholds on scores."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from zoo.data.spec import DataSpec

Scores = dict[str, float]
NEIGHBORS = 5
ROWS = 5000  # maximum number of training rows of the linear probe


def classification_scores(spec: DataSpec, probability: np.ndarray, y: np.ndarray) -> Scores:
    """Return the scores of probabilities (N, K), under the task's metric names."""
    from sklearn.metrics import accuracy_score, average_precision_score, balanced_accuracy_score, roc_auc_score

    if spec.multilabel:
        right = (probability > 0.5) == (y > 0.5)
        each = [right[:, k][y[:, k] == on].mean() for k in range(y.shape[1]) for on in (0, 1) if (y[:, k] == on).any()]
        accuracy, balanced, truth, score = right.mean(), np.mean(each), y.astype(int), probability
    else:
        label = probability.argmax(1)
        accuracy, balanced = accuracy_score(y, label), balanced_accuracy_score(y, label)
        two = len(spec.classes) == 2
        truth = (y == spec.positive_class).astype(int) if two else np.eye(len(spec.classes), dtype=int)[y]
        score = probability[:, spec.positive_class] if two else probability
    rankings = {"auroc": roc_auc_score, "average_precision": average_precision_score}
    both = truth.min(0) != truth.max(0)  # both scores are undefined for a class without test rows
    if np.ndim(both):
        truth, score = truth[:, both], score[:, both]
    scores = {name: float(metric(truth, score)) for name, metric in rankings.items() if np.any(both)}
    return {"accuracy": float(accuracy), "balanced_accuracy": float(balanced), **scores}


def regression_scores(value: np.ndarray, y: np.ndarray) -> Scores:
    """Return RMSE, MAE and R² of predicted values, in original units."""
    from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

    rmse, mae, r2 = (f(y, value) for f in (root_mean_squared_error, mean_absolute_error, r2_score))
    return {"rmse": float(rmse), "mae": float(mae), "r2": float(r2)}


def code_figures(codes: np.ndarray, y: np.ndarray, test_codes: np.ndarray, test_y: np.ndarray) -> Scores:
    """Return test accuracies of classifiers on latent codes (N, K) with class labels (N,).

    ``knn_accuracy`` is that of the nearest neighbors' majority. ``probe_accuracy`` is that of logistic regression on
    standardized codes (linear probe).
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pick = np.random.default_rng(0).permutation(len(y))[:ROWS]
    nearest = KNeighborsClassifier(min(NEIGHBORS, len(y)), n_jobs=-1).fit(codes, y)
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(codes[pick], y[pick])
    return {
        "knn_accuracy": float(nearest.score(test_codes, test_y)),
        "probe_accuracy": float(probe.score(test_codes, test_y)),
    }


def best_threshold(score: Tensor, truth: Tensor, metric: str) -> float:
    """Return the threshold on scores (N,) with the best ``metric`` of predicting the true rows (N,)."""
    score = score.double()
    order = score.argsort(descending=True, stable=True)
    score, truth = score[order], truth[order].double()
    hit = truth.cumsum(0)  # true positives for a threshold at each score
    false = (1 - truth).cumsum(0)
    positives, negatives = truth.sum().clamp(min=1), (1 - truth).sum().clamp(min=1)
    value = {
        "accuracy": hit + negatives - false,
        "balanced_accuracy": hit / positives + (negatives - false) / negatives,
        "f1": 2 * hit / (hit + false + positives),
    }[metric]
    # thresholds lie between different scores
    last = torch.cat([score[1:] < score[:-1], torch.ones(1, dtype=torch.bool)])
    best = int(torch.where(last, value, -torch.inf).argmax())
    below = score[best + 1] if best + 1 < len(score) else torch.minimum(torch.zeros(()), 2 * score[best])
    return float((score[best] + below) / 2)
