"""A modality of a user's own in one file: sets of points in the plane, with a data set, a model and a task of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
import torch
from torch import nn

import zoo
from zoo.data.example import ROWS, has_classes, row_dataset, statistics
from zoo.data.input_readers import Piece, as_floats, batched
from zoo.data.labeled import with_classes
from zoo.data.spec import DataSpec
from zoo.tasks.base import Example
from zoo.tasks.regression import Regression

POINTS = 6


@dataclass(frozen=True)
class PointSpec(DataSpec):
    """Sets of points: ``input_shape`` is (points, 2); ``unit`` is that of a request's coordinates."""

    modality: ClassVar[str] = "points"

    unit: float = 1.0


def read_lines(path: str) -> tuple[np.ndarray, list[str]]:
    """Return points (N, POINTS, 2) and labels of a file with a set a line: its numbers, and perhaps a label."""
    fields = [line.split() for line in Path(path).read_text().splitlines()]
    x = np.array([line[: 2 * POINTS] for line in fields], np.float32).reshape(-1, POINTS, 2)
    return x, [" ".join(line[2 * POINTS :]) for line in fields]


@zoo.register_modality
class Points(zoo.Modality[PointSpec]):
    """Sets of points."""

    spec = PointSpec
    tasks = ("classification",)
    raw_input = "sets of points as arrays"
    labeled_options: ClassVar = {"point_file": ()}

    def read(self, spec, path):
        """Yield the sets of a file."""
        x, _ = read_lines(path)
        yield Piece([f"{path}:{number + 1}" for number in range(len(x))], x, done=1.0)

    def encode(self, spec, raw):
        """Return points as a batch."""
        return {"x": batched(spec, as_floats(raw))}

    def from_json(self, spec, rows):
        """Return points of dictionaries in units of the request."""
        return spec.unit * np.array([[(point["east"], point["north"]) for point in row] for row in rows])

    def request_row(self, spec):
        """Return the type of a list of points."""
        from pydantic import Field

        return "Sets of points.", Annotated[list[dict[str, float]], Field(min_length=POINTS, max_length=POINTS)]

    def request_example(self, spec):
        """Return points at the mean."""
        return [{"east": spec.mean[0], "north": spec.mean[1]}] * POINTS

    def labeled(self, spec, data, part):
        """Return the sets of a file with their labels."""
        x, labels = read_lines(data["path"])
        return with_classes(spec, {"x": torch.from_numpy(x)}, labels, ())

    def example(self, task, action_space=""):
        """Return points around a center, by whose distance from 0 they are told apart."""
        rng = np.random.default_rng(0)
        distance, angle = rng.uniform(0.5, 1.5, ROWS), rng.uniform(0, 2 * np.pi, ROWS)
        center = np.stack([distance * np.cos(angle), distance * np.sin(angle)], 1)
        x = center[:, None] + 0.1 * rng.normal(size=(ROWS, POINTS, 2))
        y = (distance > 1).astype(int) if has_classes(task) else distance
        return row_dataset(PointSpec, task, x, y, **statistics(x, (0, 1)), unit=0.5)


@zoo.register_data("point_file", tasks=("classification",), modality="points")
def point_file(*, path: str) -> zoo.Dataset:
    """Name the files that a trained model is evaluated on; they are no training data."""
    raise NotImplementedError


@zoo.register_task("distance", target="number", modalities=("points",))
class Distance(Regression):
    """The distance of the points from 0, by a loss that outliers do not rule."""

    example = Example(lambda metrics, dataset: metrics["rmse"], 0.2, 0.15, "RMSE {:.3f} is above")

    def loss(self, output, batch):
        """Return the Huber loss, a scalar."""
        return nn.functional.huber_loss(output.squeeze(1), (batch["y"] - self.mean) / self.std)


@zoo.register("point_net")
class PointNet(zoo.ZooModule):
    """Deep sets (Zaheer 2017): the order of the points is without effect."""

    tasks, modalities = ("classification", "distance"), ("points",)

    def __init__(self, *, spec: zoo.DataSpec | None = None, width: int = 64) -> None:
        super().__init__(spec=spec or PointSpec("points", "classification", (POINTS, 2), ("a", "b")))
        self.points = nn.Sequential(nn.Linear(2, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.head = nn.Linear(width, self.spec.outputs)

    def forward(self, x):
        """Return logits or a value (B, outputs) of points (B, P, 2)."""
        return self.head(self.points(self.normalize(x)).mean(1))
