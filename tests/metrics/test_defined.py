"""Metrics on rows that lack classes: scikit-learn's over the classes present, NaN without any."""

import warnings

import numpy as np
import pytest
import torch

from zoo.data.table.spec import TableSpec
from zoo.metrics.scores import classification_scores
from zoo.tasks import build_task


def spec(classes, **options):
    return TableSpec("t", "classification", (2,), classes=tuple("abcd"[:classes]), **options)


def metrics_of(objective, output, y):
    metrics = objective.metrics("test")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        objective.update(metrics, output, {"y": y})
        return metrics.scalars()


@pytest.mark.parametrize("present", [[0, 1, 2, 3], [0, 1, 2], [1, 3], [2]])
def test_metrics_ignore_classes_without_rows(present):
    random = np.random.default_rng(0)
    y = random.choice(present, 60)
    output = torch.from_numpy(random.normal(size=(60, 4)).astype(np.float32))
    values = metrics_of(build_task(spec(4)), output, torch.from_numpy(y))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference = classification_scores(spec(4), output.softmax(1).numpy(), y)
    assert {name: values[name] for name in values if name != "nll"} == pytest.approx(reference, abs=1e-6)


@pytest.mark.parametrize("truth", [[1, 1, 1], [0, 0, 0], [1], [0, 1, 1]])
def test_auroc_needs_rows_of_both_classes(truth):
    output, y = torch.randn(len(truth), 2), torch.tensor(truth)
    values = metrics_of(build_task(spec(2)), output, y)
    ranked = {"auroc", "average_precision"} & set(values)
    assert bool(ranked) == (len(set(truth)) == 2)
    assert {"accuracy", "nll"} <= set(values)


def test_multilabel_means_skip_constant_labels():
    random = np.random.default_rng(1)
    y = np.stack([np.ones(30), np.zeros(30), random.integers(0, 2, 30)], 1).astype(np.float32)
    output = torch.from_numpy(random.normal(size=(30, 3)).astype(np.float32))
    values = metrics_of(build_task(spec(3, multilabel=True)), output, torch.from_numpy(y))
    reference = classification_scores(spec(3, multilabel=True), output.sigmoid().numpy(), y)
    for name in ("auroc", "average_precision", "balanced_accuracy"):
        assert values[name] == pytest.approx(reference[name], abs=1e-6), name


@pytest.mark.parametrize(("y", "defined"), [([3.0], False), ([2.0, 2.0], False), ([1.0, 2.0], True)])
def test_r2_needs_two_distinct_targets(y, defined):
    numbers = TableSpec("t", "regression", (2,), target_mean=1.0, target_std=0.5)
    values = metrics_of(build_task(numbers), torch.zeros(len(y), 1), torch.tensor(y))
    assert ("r2" in values) == defined
    assert {"rmse", "mae"} <= set(values)


@pytest.mark.parametrize(("mean", "deviation"), [(1e6, 1.0), (0.0, 1e-4)])
def test_r2_equals_scikit_learn_at_any_scale(mean, deviation):
    from sklearn.metrics import r2_score

    random = np.random.default_rng(2)
    output = random.normal(size=200).astype(np.float32)
    y = ((output + 0.5 * random.normal(size=200)) * deviation + mean).astype(np.float32)
    numbers = TableSpec("t", "regression", (2,), target_mean=mean, target_std=deviation)
    values = metrics_of(build_task(numbers), torch.from_numpy(output)[:, None], torch.from_numpy(y))
    truth = (y.astype(np.float64) - mean) / deviation
    assert values["r2"] == pytest.approx(r2_score(truth, output), abs=1e-3)
