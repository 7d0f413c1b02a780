"""What no network is needed for: the figures that stand beside every result."""

from __future__ import annotations

import numpy as np
import torch

from zoo.data.dataset import Dataset, Values

ROWS = 5000  # training rows that the linear baseline sees at most, so that it takes seconds


def baselines(dataset: Dataset) -> dict[str, float]:
    """Return test figures of the constant answer and of a linear model on the same inputs.

    Classification: accuracy of ``majority`` and of ``logistic regression``. Regression: RMSE of ``mean`` and of
    ``linear regression``.
    """
    y, test_y = (np.asarray(split["y"]) for split in (dataset.train, dataset.test))
    pick = np.random.default_rng(0).permutation(len(y))[:ROWS]
    x, test_x = _flat(dataset.train["x"], pick), _flat(dataset.test["x"], np.arange(len(test_y)))
    from sklearn.preprocessing import StandardScaler

    scale = StandardScaler().fit(x)
    x, test_x, seen = scale.transform(x), scale.transform(test_x), y[pick]
    if dataset.spec.task == "classification":
        from sklearn.linear_model import LogisticRegression

        majority = np.bincount(y).argmax()
        linear = LogisticRegression(max_iter=200, tol=1e-2).fit(x, seen)
        return {
            "majority": float(np.mean(test_y == majority)),
            "logistic regression": float(linear.score(test_x, test_y)),
        }
    from sklearn.linear_model import Ridge

    answer = Ridge().fit(x, seen).predict(test_x)
    return {
        "mean": float(np.sqrt(np.mean((test_y - y.mean()) ** 2))),
        "linear regression": float(np.sqrt(np.mean((test_y - answer) ** 2))),
    }


def _flat(x: Values, index: np.ndarray) -> np.ndarray:
    picked = x.index_select(0, torch.from_numpy(index))
    return picked.numpy().astype(np.float32).reshape(len(index), -1)
