"""Generated data: how far it is from the real data, how much of that it covers, and what a classifier says of it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection
from torchmetrics.utilities.data import dim_zero_cat

from zoo.config.schema import ObjectiveOptions
from zoo.data.dataset import Batch
from zoo.data.spec import DataSpec
from zoo.metrics.distances import FEW, density_and_coverage, frechet
from zoo.metrics.evaluator import SURE, judged
from zoo.registry import register_task
from zoo.tasks.base import Metrics, Task, refuse, watched
from zoo.utils.precision import to_widest_dtype

STATES = ("real", "made", "real_far", "made_far", "real_features", "made_features", "made_label", "made_sure", "y")


class Samples(Metric):
    """All that compares real and made samples; both are kept until it is computed."""

    def __init__(self, judged: bool, classes: int, conditional: bool) -> None:
        super().__init__()
        self.judged, self.classes, self.conditional = judged, classes, conditional
        for name in STATES:
            self.add_state(name, default=[], dist_reduce_fx="cat")

    def update(self, **values: Tensor) -> None:
        """Add the parts of a batch that it knows."""
        for name in STATES:
            if name in values:
                getattr(self, name).append(values[name])

    def compute(self) -> dict[str, Tensor]:
        """Return the figures."""
        whole = {name: dim_zero_cat(getattr(self, name)) for name in STATES if len(getattr(self, name))}
        found = {"frechet_pca": frechet(whole["real"], whole["made"])}
        if len(whole["real"]) > FEW:
            found["density"], found["coverage"] = density_and_coverage(whole["real"], whole["made"])
        if "made_far" in whole:
            found["nearest"] = float(whole["made_far"].median() / whole["real_far"].median())
        if self.judged:
            found["frechet_zoo_cnn"] = frechet(whole["real_features"], whole["made_features"])
            found["sure"] = float(to_widest_dtype(whole["made_sure"] > SURE).mean())
            counts = torch.bincount(whole["made_label"], minlength=self.classes)
            found["least_class_share"] = float(counts.min() / counts.sum())
            if self.conditional:
                found["label_accuracy"] = float(to_widest_dtype(whole["made_label"] == whole["y"]).mean())
        return {name: torch.tensor(value, dtype=torch.float64) for name, value in found.items()}


@register_task("generation", unsupervised=True)
class Generation(Task):
    """Samples beside real rows, as many.

    ``frechet_pca`` is the Fréchet distance in the space of 64 principal components of the training images, ``density``
    and ``coverage`` (Naeem 2020) are in the same space, and so is ``nearest``: how far samples are from the nearest
    training image, as a multiple of what the real rows are (1: as far; far below: learnt by heart). Where the zoo has a
    classifier of the data (see ``zoo.metrics.evaluator``), ``frechet_zoo_cnn`` is the distance in its features (no
    Inception FID), ``sure`` the share of samples of which it is surer than 0.9, ``least_class_share`` that of the
    rarest class, ``label_accuracy`` how often a sample of a class is taken for one. ``d_real`` and ``d_made`` are the
    shares that the discriminator tells rightly.
    """

    monitor, mode, fallback_monitor = "frechet_pca", "min", "frechet_pca"

    def __init__(self, spec: DataSpec, *, conditional: bool = False) -> None:
        super().__init__()
        self.spec, self.conditional = spec, conditional

    def configure(self, options: ObjectiveOptions, *, label_smoothing: float) -> None:
        """Take up a run's options."""
        known = ["frechet_pca", "coverage", *(["frechet_zoo_cnn"] if judged(self.spec) else [])]
        self.monitor, self.mode = watched(options.monitor, self.monitor, known)
        refuse(options, "nothing is predicted", "class_weights", "loss", "threshold")

    def metrics(self, stage: str) -> MetricCollection:
        """Return what compares samples, and the discriminator's shares."""
        from torchmetrics import MeanMetric

        samples = Samples(judged(self.spec), len(self.spec.classes), self.conditional)
        return Metrics({"samples": samples, "d_real": MeanMetric(), "d_made": MeanMetric()}, compute_groups=False)

    def update(self, metrics: MetricCollection, output: Any, batch: Batch) -> None:
        """Add a batch; ``output`` has real and made rows by name."""
        assert isinstance(metrics, Metrics)
        metrics["samples"].update(**output, **({"y": batch["y"]} if self.conditional else {}))
        metrics.feed(
            d_real=(to_widest_dtype(output["real_logit"] > 0),),
            d_made=(to_widest_dtype(output["made_logit"] < 0),),
        )

    def collect(self, output: Any, batch: Batch) -> Tensor | None:
        """Return nothing: samples are drawn when a picture is."""
        return None

    def predictions(self, output: Tensor) -> dict[str, Tensor]:
        """Return ``realness``, the probability that a discriminator gives an image to be real."""
        return {"realness": output.float().sigmoid().squeeze(-1)}
