"""Metrics of samples, which compare them with real rows."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat

from zoo.metrics.distances import FEW, density_and_coverage, frechet
from zoo.metrics.evaluator import SURE
from zoo.utils.precision import to_widest_dtype

STATES = ("real", "made", "real_far", "made_far", "real_features", "made_features", "made_label", "made_sure", "y")


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
        metrics = {"frechet_pca": frechet(rows["real"], rows["made"])}
        if len(rows["real"]) > FEW:
            metrics["density"], metrics["coverage"] = density_and_coverage(rows["real"], rows["made"])
        if "made_far" in rows:
            metrics["nearest"] = float(rows["made_far"].median() / rows["real_far"].median())
        if self.has_evaluator:
            metrics["frechet_zoo_cnn"] = frechet(rows["real_features"], rows["made_features"])
            metrics["sure"] = float(to_widest_dtype(rows["made_sure"] > SURE).mean())
            counts = torch.bincount(rows["made_label"], minlength=self.classes)
            metrics["least_class_share"] = float(counts.min() / counts.sum())
            if self.conditional:
                metrics["label_accuracy"] = float(to_widest_dtype(rows["made_label"] == rows["y"]).mean())
        return {name: torch.tensor(value, dtype=torch.float64) for name, value in metrics.items()}
