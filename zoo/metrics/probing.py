"""How much of the labels a code tells that was found without them."""

from __future__ import annotations

import numpy as np

NEIGHBORS = 5
ROWS = 5000  # that the linear probe learns from, at most


def code_figures(codes: np.ndarray, y: np.ndarray, test_codes: np.ndarray, test_y: np.ndarray) -> dict[str, float]:
    """Return test accuracies from codes (N, K) with classes (N,): ``knn_accuracy`` by the nearest neighbors' majority,
    ``probe_accuracy`` by logistic regression on the standardized codes.
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
