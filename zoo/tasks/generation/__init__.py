"""Generation: new rows like the real ones; how far they are from them, and how much of them they cover."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor
from torchmetrics import MeanMetric

from zoo.config.schema import ObjectiveOptions
from zoo.data.dataset import Batch, Dataset
from zoo.data.loader import EvalLoader
from zoo.data.spec import DataSpec
from zoo.metrics.evaluator import has_evaluator
from zoo.registry import register_task
from zoo.tasks.base import Baselines, Example, Metrics, Plots, Task, reject_options
from zoo.tasks.generation.metrics import SampleMetrics
from zoo.utils.precision import to_widest_dtype

if TYPE_CHECKING:
    from lightning import Callback


@register_task("generation", target="none")
class Generation(Task):
    """Samples beside real rows, as many.

    ``frechet_pca`` is the Fréchet distance in the space of 64 principal components of the training images. ``density``
    and ``coverage`` (Naeem 2020) are in the same space, and so is ``nearest_distance_ratio``: how far samples are from
    the nearest training image, as a multiple of what the real rows are (1: as far; far below: memorized).

    Where the zoo has a classifier of the data (see ``zoo.metrics.evaluator``), ``frechet_zoo_cnn`` is the distance in
    its features (no Inception FID), ``confident_share`` the share of samples to whose class it gives more than 0.9,
    ``min_class_share`` that of the rarest class, ``class_accuracy`` how often a sample of a class is taken for one.
    ``d_real`` and ``d_generated`` are the discriminator's accuracies on real and on generated rows.
    """

    monitor, mode, fallback_monitor = "frechet_pca", "min", "frechet_pca"
    example = Example(
        lambda metrics, dataset: metrics["frechet_pca"] / variance(dataset),
        0.5,
        0.3,
        "Fréchet distance {:.3f} times that of the mean row is above",
    )
    collects_outputs = False  # samples are drawn when a picture is
    demo = "sample"
    command = "zoo sample {}"

    def __init__(self, spec: DataSpec, *, conditional: bool = False) -> None:
        super().__init__()
        self.spec, self.conditional = spec, conditional

    @classmethod
    def output_shape(cls, spec: DataSpec) -> tuple[int, ...]:
        """Return (1,), the logit of a discriminator."""
        return (1,)

    def configure(self, options: ObjectiveOptions, *, label_smoothing: float) -> None:
        """Take up a run's options."""
        known = ["frechet_pca", "coverage", *(["frechet_zoo_cnn"] if has_evaluator(self.spec) else [])]
        self.select_monitor(options.monitor, known)
        reject_options(options, "nothing is predicted", "class_weights", "loss", "threshold")

    def metrics(self, stage: str) -> Metrics:
        """Return what compares samples, and the discriminator's shares."""
        samples = SampleMetrics(has_evaluator(self.spec), len(self.spec.classes), self.conditional)
        return Metrics({"samples": samples, "d_real": MeanMetric(), "d_generated": MeanMetric()})

    def update(self, metrics: Metrics, output: Any, batch: Batch) -> None:
        """Add a batch; ``output`` has real and generated rows by name."""
        metrics["samples"].update(**output, **({"y": batch["y"]} if self.conditional else {}))
        metrics["d_real"].update(to_widest_dtype(output["real_logit"] > 0))
        metrics["d_generated"].update(to_widest_dtype(output["generated_logit"] < 0))

    def predictions(self, output: Tensor) -> dict[str, Tensor]:
        """Return ``real_probability``, that of the discriminator for each image to be real."""
        return {"real_probability": output.float().sigmoid().squeeze(-1)}

    def metric_names(self, stage: str) -> list[str] | None:
        """Return None: which metrics compare samples depends on the data."""
        return None

    def baselines(self, dataset: Dataset, options: Mapping[str, Any]) -> Baselines:
        """Return ``other real images``, in place of generated ones."""
        from zoo.tasks.generation.baselines import real_to_real

        return {"other real images": partial(real_to_real, dataset)}

    def plots(self, dataset: Dataset, predictions: dict[str, Any], visualizations: Mapping[str, Tensor]) -> Plots:
        """Return what draws samples, interpolations and nearest neighbors."""
        from zoo.tasks.generation.plots import generation_plots

        return generation_plots(visualizations)

    def callbacks(self, model: Any, folder: Path) -> list[Callback]:
        """Return what writes a grid of samples after each epoch, where the model samples."""
        from zoo.tasks.generation.callbacks import SampleGrids

        return [SampleGrids(folder / "samples")] if hasattr(model, "sample") else []


def variance(dataset: Dataset) -> float:
    """Return the variance of test rows, summed: the Fréchet distance of samples that are all their mean."""
    x = next(iter(EvalLoader(dataset.test)))["x"]
    return float(x.flatten(1).var(0).sum())
