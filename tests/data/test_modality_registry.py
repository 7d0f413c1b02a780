"""A modality of the user's own in one file: sets of points in the plane."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from zoo import registry
from zoo.data.example import ROWS, has_classes, row_dataset, statistics
from zoo.data.inputs import encode, from_json
from zoo.data.modality import Modality
from zoo.data.spec import DataSpec
from zoo.exceptions import ZooError
from zoo.inference.request_schema import question
from zoo.testing.cases import Case


@dataclass(frozen=True)
class PointSpec(DataSpec):
    """Sets of points: ``input_shape`` is (points, 2)."""

    modality: ClassVar[str] = "points"


@pytest.fixture(autouse=True)
def _points(monkeypatch):
    monkeypatch.setattr(registry, "_MODALITIES", dict(registry._MODALITIES))

    @registry.register_modality
    class Points(Modality[PointSpec]):
        spec = PointSpec
        tasks = ("classification",)

        def example(self, task, action_space=""):
            x = np.random.default_rng(0).normal(size=(ROWS, 5, 2))
            assert has_classes(task)
            return row_dataset(PointSpec, task, x, (x[:, 0, 0] > 0).astype(int), **statistics(x, (0, 1)))


def test_user_modality_reads_describes_and_generates():
    spec = Case("classification", "points").dataset.spec
    assert DataSpec.of(spec.to_dict()) == spec
    row = registry.get_modality("points").request_example(spec)
    question(spec)(x=[row])
    assert encode(spec, from_json(spec, [row]))["x"].shape == (1, 5, 2)


def test_user_modality_rejects_unsupported_tasks():
    with pytest.raises(ZooError, match="forecasting of points data; must be classification"):
        PointSpec("p", "forecasting", (5, 2))
