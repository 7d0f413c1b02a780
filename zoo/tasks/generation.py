"""Generation: new rows like the real ones, compared by their distance to them and their coverage of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor
from torchmetrics import MeanMetric

from zoo.data.dataset import Batch, Dataset
from zoo.data.input_readers import to_float
from zoo.data.loader import EvalLoader
from zoo.data.spec import DataSpec
from zoo.metrics.generative import COMPONENTS, SampleMetrics, has_evaluator, load_evaluator, principal_components
from zoo.metrics.scores import Scores
from zoo.registry import register_task
from zoo.tasks.base import Baselines, EpochSamples, Example, Metrics, Plots, Task
from zoo.utils.atomic_io import atomic_write
from zoo.utils.device import to_widest_dtype
from zoo.utils.random import EVAL_BATCH

GRIDS = {  # title, number of rows
    "samples": ("new images", 8),
    "interpolation": ("interpolation between two latent vectors", 1),
    "nearest": ("generated images, each above its nearest training image", 2),
}
COLUMNS, COUNT = 10, 100  # columns and number of an epoch's samples
SMALL = 56  # pixels a side, up to which images are enlarged
SECONDS = 8.0  # maximum duration of the animation


def relative_frechet(metrics: Mapping[str, float], dataset: Dataset) -> float:
    """Return the Fréchet distance as a multiple of that of the mean test row, which is the rows' summed variance."""
    x = next(iter(EvalLoader(dataset.test)))["x"]
    return metrics["frechet_pca"] / float(x.flatten(1).var(0).sum())


@register_task("generation", target="none")
class Generation(Task):
    """Compare generated images with as many real ones.

    ``frechet_pca`` is the Fréchet distance in the space of the first 64 principal components of the training images.
    ``precision``, ``recall`` (Kynkäänniemi 2019), ``density`` and ``coverage`` (Naeem 2020) use the same space, with k = 5.
    ``nearest_distance_ratio`` is the median distance of generated images to their nearest training image, divided by
    that of real test images. A value far below 1 shows memorization.

    If the zoo has a classifier of the dataset (see ``zoo.metrics.generative``), ``frechet_zoo_cnn`` is the Fréchet distance
    in its features, which is not the Inception FID. ``class_accuracy`` is the GAN-test accuracy (Shmelkov 2018): the share of
    generated images that the classifier assigns to the requested class. Two monitors of training complete them:
    ``confident_share`` is the share of images with a class probability above 0.9, ``min_class_share`` that of the rarest class.
    ``d_real`` and ``d_generated`` are the accuracies of the discriminator on real and on generated images.
    """

    monitor, mode, fallback_monitor = "frechet_pca", "min", "frechet_pca"
    example = Example(relative_frechet, 0.5, 0.3, "Fréchet distance {:.3f} times that of the mean row is above")
    rejected_options = dict.fromkeys(("class_weights", "loss", "threshold"), "there is no target to predict")
    collects_outputs = False  # samples are generated for plots
    demo = "sample"
    command = "zoo sample {}"

    def __init__(self, spec: DataSpec, *, conditional: bool = False) -> None:
        super().__init__()
        self.spec, self.conditional, self.has_evaluator = spec, conditional, has_evaluator(spec)
        self.monitors = ["frechet_pca", "coverage", *(["frechet_zoo_cnn"] if self.has_evaluator else [])]

    @classmethod
    def output_shape(cls, spec: DataSpec) -> tuple[int, ...]:
        """Return (1,), the logit of a discriminator."""
        return (1,)

    def metrics(self, stage: str) -> Metrics:
        """Return the metrics that compare samples, and the accuracies of the discriminator."""
        samples = SampleMetrics(self.has_evaluator, len(self.spec.classes), self.conditional)
        return Metrics({"samples": samples, "d_real": MeanMetric(), "d_generated": MeanMetric()})

    def update(self, metrics: Metrics, output: Any, batch: Batch) -> None:
        """Update the metrics with a batch; ``output`` has named values of real and generated rows."""
        metrics["samples"].update(**output, **({"y": batch["y"]} if self.conditional else {}))
        metrics["d_real"].update(to_widest_dtype(output["real_logit"] > 0))
        metrics["d_generated"].update(to_widest_dtype(output["generated_logit"] < 0))

    def predictions(self, output: Tensor) -> dict[str, Tensor]:
        """Return ``real_probability``, the discriminator's probability that an image is real."""
        return {"real_probability": output.float().sigmoid().squeeze(-1)}

    def metric_names(self, stage: str) -> list[str] | None:
        """Return None, since the metrics that compare samples depend on the data."""
        return None

    def baselines(self, dataset: Dataset, options: Mapping[str, Any]) -> Baselines:
        """Return the baseline ``other real images``, which replace generated ones."""
        return {"other real images": partial(real_to_real, dataset)}

    def plots(self, dataset: Dataset, predictions: dict[str, Any], visualizations: Mapping[str, Tensor]) -> Plots:
        """Return plots of samples, interpolations and nearest neighbors."""
        from zoo.utils.plotting import grid

        return {
            f"{name}.png": partial(grid, visualizations[name], title, columns=len(visualizations[name]) // lines)
            for name, (title, lines) in GRIDS.items()
            if name in visualizations
        }

    def callbacks(self, model: Any, folder: Path) -> list[Callback]:
        """Return a callback that writes a grid of samples after each epoch, if the model generates images."""
        return [SampleGrids(folder / "samples")] if hasattr(model, "sample") else []


@torch.inference_mode()
def real_to_real(dataset: Dataset) -> Scores:
    """Return the test scores of as many real images from the training split in place of generated ones."""
    spec, evaluator = dataset.spec, load_evaluator(dataset.spec)
    center, components = principal_components(dataset.train["x"], COMPONENTS)
    samples = SampleMetrics(evaluator is not None, len(spec.classes), conditional=False)
    count = len(dataset.test["x"])
    picked = np.random.default_rng(0).permutation(len(dataset.train["x"]))[:count]
    sources = {"real": (dataset.test, np.arange(count)), "generated": (dataset.train, np.sort(picked))}
    for name, (split, rows) in sources.items():
        for part in torch.split(torch.from_numpy(rows), EVAL_BATCH):
            images = to_float(split["x"].index_select(0, part))
            values: dict[str, Tensor] = {name: (images.flatten(1) - center) @ components}
            if evaluator is not None:
                values |= {f"{name}_{key}": value for key, value in evaluator(images).items()}
            samples.update(**values)
    return {name: float(value) for name, value in samples.compute().items()}


class SampleGrids(EpochSamples):
    """Writes samples of the same noise to ``samples/<epoch>.png`` after each epoch, and ``samples.gif`` at the end."""

    def write(self, model: Any) -> None:
        """Write the epoch's grid."""
        self.path.mkdir(exist_ok=True)
        picture, path = _picture(model.sample(COUNT)), self.path / f"{model.loop.epochs + 1:04}.png"
        atomic_write(path, lambda to: picture.save(to, format="png"))

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Write an animation of the run's epochs."""
        if not self.guard.missing:
            self.guard.attempt("samples.gif", lambda: self._animate(module), None)

    def _animate(self, model: Any) -> None:
        from PIL import Image

        from zoo.utils.plotting import save_gif

        paths = sorted(path for path in self.path.glob("*.png") if int(path.stem) <= model.loop.epochs)
        if not paths:
            return
        durations = [max(int(1000 * SECONDS / len(paths)), 40)] * (len(paths) - 1) + [3000]  # ms
        save_gif([Image.open(path).convert("P") for path in paths], self.path.with_suffix(".gif"), durations)


def _picture(images: Tensor) -> Any:
    """Return images (N, C, H, W) in [0, 1] as a grid, a PIL image."""
    from PIL import Image
    from torchvision.utils import make_grid

    from zoo.utils.plotting import visible

    side = images.shape[2]
    # gray images get three channels
    grid = make_grid(visible(images.float().cpu()), nrow=COLUMNS, padding=1, pad_value=0.5)
    times = max(SMALL // side, 1)
    pixels = (grid * 255).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()
    return Image.fromarray(np.ascontiguousarray(pixels.repeat(times, 0).repeat(times, 1)))
