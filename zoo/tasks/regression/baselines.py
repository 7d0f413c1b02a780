"""Baselines of regression: the mean, and a linear model on the same inputs."""

from __future__ import annotations

import numpy as np

from zoo.data.dataset import Dataset
from zoo.metrics.scores import Scores, regression_scores
from zoo.tasks.linear import linear_inputs, sample_of, targets


def mean(dataset: Dataset) -> Scores:
    """Return the scores of the training rows' mean."""
    y, test_y = targets(dataset)
    return regression_scores(np.full(len(test_y), y.mean()), test_y)


def linear_regression(dataset: Dataset) -> Scores:
    """Return the scores of ridge regression on at most ROWS training rows."""
    from sklearn.linear_model import Ridge

    y, test_y = targets(dataset)
    index = sample_of(y)
    x, test_x = linear_inputs(dataset, index)
    return regression_scores(Ridge().fit(x, y[index]).predict(test_x), test_y)
