"""Metrics of samples, which compare them with real rows."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat

from zoo.metrics.distances import FEW, density_and_coverage, frechet
from zoo.metrics.evaluator import CONFIDENT
from zoo.utils.precision import to_widest_dtype

STATES = (
    *("real", "real_distance", "real_features", "generated", "generated_distance", "generated_features"),
    *("generated_label", "generated_confidence", "y"),
)


class SampleMetrics(Metric):
    """Distances between real and generated rows; both are collected until it is computed."""

    def __init__(self, has_evaluator: bool, classes: int, conditional: bool) -> None:
        super().__init__()
        self.has_evaluator, self.classes, self.conditional = has_evaluator, classes, conditional
        for name in STATES:
            self.add_state(name, default=[], dist_reduce_fx="cat")

    def update(self, **values: Tensor) -> None:
        """Add the parts of a batch that it knows."""
        for name in STATES:
            if name in values:
                getattr(self, name).append(values[name])

    def compute(self) -> dict[str, Tensor]:
        """Return the metrics."""
        rows = {name: dim_zero_cat(getattr(self, name)) for name in STATES if len(getattr(self, name))}
        metrics = {"frechet_pca": frechet(rows["real"], rows["generated"])}
        if len(rows["real"]) > FEW:
            metrics["density"], metrics["coverage"] = density_and_coverage(rows["real"], rows["generated"])
        if "generated_distance" in rows:
            metrics["nearest_distance_ratio"] = float(
                rows["generated_distance"].median() / rows["real_distance"].median()
            )
        if self.has_evaluator:
            metrics["frechet_zoo_cnn"] = frechet(rows["real_features"], rows["generated_features"])
            metrics["confident_share"] = float(to_widest_dtype(rows["generated_confidence"] > CONFIDENT).mean())
            counts = torch.bincount(rows["generated_label"], minlength=self.classes)
            metrics["min_class_share"] = float(counts.min() / counts.sum())
            if self.conditional:
                metrics["class_accuracy"] = float(to_widest_dtype(rows["generated_label"] == rows["y"]).mean())
        return {name: torch.tensor(value, dtype=torch.float64) for name, value in metrics.items()}
