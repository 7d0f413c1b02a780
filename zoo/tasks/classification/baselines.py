"""Baselines of classification: class frequencies, and logistic regression on the same inputs."""

from __future__ import annotations

import numpy as np

from zoo.data.dataset import Dataset
from zoo.metrics.scores import Scores, classification_scores
from zoo.tasks.linear import linear_inputs, sample_of, targets


def majority(dataset: Dataset) -> Scores:
    """Return the scores of the training rows' class frequencies."""
    spec, y, test_y = dataset.spec, *targets(dataset)
    share = y.mean(0) if spec.multilabel else np.bincount(y, minlength=len(spec.classes)) / len(y)
    return classification_scores(spec, np.broadcast_to(share, (len(test_y), len(share))), test_y)


def logistic_regression(dataset: Dataset) -> Scores:
    """Return the scores of logistic regression on at most ROWS training rows."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    spec, y, test_y = dataset.spec, *targets(dataset)
    index = sample_of(y)
    if not spec.multilabel and len(np.unique(y[index])) == 1:  # of which nothing can be fitted
        return majority(dataset)
    x, test_x = linear_inputs(dataset, index)
    linear = LogisticRegression(max_iter=200, tol=1e-2)
    model = OneVsRestClassifier(linear) if spec.multilabel else linear
    probability = model.fit(x, y[index]).predict_proba(test_x)
    if not spec.multilabel:  # a class without a training row has no column there
        every = np.zeros((len(test_y), len(spec.classes)))
        every[:, model.classes_] = probability
        probability = every
    return classification_scores(spec, probability, test_y)
