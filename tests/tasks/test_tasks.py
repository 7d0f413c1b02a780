"""Tasks: class weights against their closed form, buffers on the model's device."""

from __future__ import annotations

import pytest
import torch

from zoo.config.schema import ObjectiveOptions
from zoo.data.image.spec import ImageSpec
from zoo.data.series.spec import SeriesSpec
from zoo.data.table.spec import TableSpec
from zoo.tasks.classification import Classification, MultilabelClassification
from zoo.tasks.forecasting import Forecasting
from zoo.tasks.reconstruction import Reconstruction

COUNTS = (70, 20, 10)


def classification(*, label_smoothing: float, weighted: bool) -> Classification:
    objective = Classification(
        TableSpec("x", "classification", (4,), classes=("a", "b", "c"), class_counts=COUNTS, rows=100)
    )
    options = ObjectiveOptions(class_weights="balanced" if weighted else None)
    objective.configure(options, label_smoothing=label_smoothing)
    return objective


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
def test_class_weights_are_equal_with_mixup(label_smoothing, weighted):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(12, 3, generator=generator, dtype=torch.float64)
    y, y2 = (torch.randint(3, (12,), generator=generator) for _ in range(2))
    share = torch.rand(12, generator=generator, dtype=torch.float64)
    objective = classification(label_smoothing=label_smoothing, weighted=weighted)
    plain = objective.loss(logits, {"y": y})
    for mixed in ({"y": y, "y2": y2, "share": torch.ones(12)}, {"y": y2, "y2": y, "share": torch.zeros(12)}):
        assert torch.allclose(objective.loss(logits, mixed), plain)

    weights = torch.tensor([100 / (3 * n) for n in COUNTS], dtype=torch.float64) if weighted else torch.ones(3).double()
    target = (1 - label_smoothing) * torch.eye(3, dtype=torch.float64) + label_smoothing / 3  # (class, entry)
    log_probability = logits.log_softmax(1)
    total = norm = 0.0
    for row in range(12):
        for label, part in ((y[row], share[row]), (y2[row], 1 - share[row])):
            # as torch's cross-entropy: the target's own entry by its weight, the smoothed ones by each entry's
            total = total - part * (weights * target[label] * log_probability[row]).sum()
            norm = norm + part * weights[label]
    assert torch.allclose(objective.loss(logits, {"y": y, "y2": y2, "share": share}), total / norm)


def test_task_buffers_follow_the_model_and_are_not_saved():
    table = TableSpec("x", "reconstruction", (2,), mean=(1.0, 2.0), std=(1.0, 2.0))
    series = SeriesSpec("x", "forecasting", (8, 2), target_shape=(4, 1), targets=(1,), mean=(1.0,) * 2)
    objectives = [Reconstruction(table), Forecasting(series), classification(label_smoothing=0.0, weighted=True)]
    labels = MultilabelClassification(
        ImageSpec("x", "classification", (1, 8, 8), classes=("a", "b"), class_counts=(3, 4), rows=10)
    )
    labels.configure(ObjectiveOptions(class_weights="balanced"), label_smoothing=0.0)
    for objective in [*objectives, labels]:
        moved = objective.to("meta")
        assert list(moved.buffers())
        assert all(buffer.device.type == "meta" for buffer in moved.buffers())
        assert not moved.state_dict()
