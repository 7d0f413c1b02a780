"""The base of models that generate images from noise: samples, interpolation, metrics and plots."""

from __future__ import annotations

import functools
import sys
from typing import Any

import torch
from torch import Tensor

from zoo.config.schema import check_number
from zoo.data.dataset import Batch, Dataset, Values
from zoo.data.input_readers import to_float
from zoo.data.labeled import conditional_classes, labels_of
from zoo.data.spec import DataSpec
from zoo.layers.encoder_decoder import sample_latents
from zoo.metrics import generative
from zoo.models.base import ZooModule
from zoo.tasks.generation import Generation
from zoo.utils.device import to_widest_dtype
from zoo.utils.random import EVAL_BATCH, PerSampleGenerator

COLLAPSED, SATURATED = 0.2, 0.99  # limits of coverage and of D's accuracy beyond which a run has failed
CHECKED = 1000  # samples for these checks


class GenerativeModule(ZooModule):
    """The base of models that generate images from noise, and from class labels if ``conditional``.

    A subclass defines ``generate_images(z, y)``. Distances are measured in the space of the principal components of the
    training images, which are buffers. They are also measured in the features of the zoo's classifier of the dataset,
    if it has one.
    """

    pca_mean: Tensor
    pca_components: Tensor
    train_features: Tensor

    def __init__(self, *, spec: DataSpec | dict[str, Any], latent_dim: int, conditional: bool) -> None:
        super().__init__(spec=spec)
        self.latent_dim, self.num_classes = latent_dim, conditional_classes(self.spec, conditional=conditional)
        self.task = Generation(self.spec, conditional=conditional)
        count = min(generative.COMPONENTS, self.spec.inputs, max(self.spec.rows - 1, 1))
        self.register_buffer("pca_mean", torch.zeros(self.spec.inputs))
        self.register_buffer("pca_components", torch.zeros(self.spec.inputs, count))
        self.register_buffer("train_features", torch.zeros(0, count), persistent=False)  # the projected training images

    @functools.cached_property
    def evaluator(self) -> generative.Evaluator | None:
        """The zoo's classifier of the dataset, loaded on first use; None if there is none."""
        return generative.load_evaluator(self.spec)

    def generate_images(self, z: Tensor, y: Tensor | None) -> Tensor:
        """Return images (B, C, H, W) in [0, 1] for noise (B, latent_dim), and for class labels (B,) if conditional."""
        raise NotImplementedError

    # --- metrics ---

    def discriminator_logit(self, images: Tensor, y: Tensor | None = None) -> Tensor:
        """Return the logit (B,) that images are real, given class labels (B,) if the model is conditional."""
        raise NotImplementedError

    def on_train_start(self) -> None:
        """Compute the principal components of the training images, and project the images on them."""
        super().on_train_start()
        x = self.loader.split["x"]
        if not bool(self.pca_components.any()):
            mean, components = generative.principal_components(x, self.pca_components.shape[1])
            self.pca_mean.copy_(mean)
            self.pca_components.copy_(components)
        self.project_training_images(x)

    @torch.no_grad()
    def project_training_images(self, x: Values) -> None:
        """Store the principal components (N, K) of all training images."""
        parts = torch.split(torch.arange(len(x)), EVAL_BATCH)
        self.train_features = torch.cat([self.project(self._images(x, rows)) for rows in parts])

    def project(self, images: Tensor) -> Tensor:
        """Return the principal components (B, K) of images (B, C, H, W)."""
        return (images.flatten(1) - self.pca_mean) @ self.pca_components

    def eval_step(self, batch: Batch) -> dict[str, Tensor]:
        """Return features of real images and of as many generated ones; the row index seeds the noise."""
        z = PerSampleGenerator(batch["row"]).normal(self.latent_dim).to(batch["x"].device)
        y = batch["y"] if self.num_classes else None
        output = {}
        with torch.autocast(self.device.type, enabled=False):
            for name, images in (("real", batch["x"].float()), ("generated", self.generate_images(z.float(), y))):
                output[name] = self.project(images)
                output[f"{name}_logit"] = self.discriminator_logit(images, y)
                if len(self.train_features):
                    output[f"{name}_distance"] = generative.nearest(output[name], self.train_features)[0]
                if self.evaluator is not None:
                    output |= {f"{name}_{key}": value for key, value in self.evaluator(images).items()}
        return output

    @torch.inference_mode()
    def extra_metrics(self, dataset: Dataset) -> dict[str, float]:
        """Return no further metrics; print a warning if the run has failed."""
        rows = torch.arange(min(CHECKED, len(dataset.test["x"])))
        real, generated = self._images(dataset.test["x"], rows), self.sample(len(rows))
        y = dataset.test["y"].index_select(0, rows).to(self.device) if self.num_classes else None
        pairs = ((real, y), (generated, self._classes(len(rows), None)))
        detected = [float(to_widest_dtype(self.discriminator_logit(*pair) > 0).mean()) for pair in pairs]
        if (
            len(real) > generative.FEW
            and generative.neighbor_metrics(self.project(real), self.project(generated))["coverage"] < COLLAPSED
        ):
            problem = "the generator has collapsed: its images are far from most real ones"
        elif detected[0] > SATURATED and detected[1] < 1 - SATURATED:
            problem = "the discriminator tells all images apart, so the generator no longer learns"
        else:
            return {}
        advice = "train longer, or try a smaller optimizer.lr, a larger model.r1_gamma, model.gan_loss=relativistic, or more images"
        print(f"warning: {problem}; {advice}", file=sys.stderr)
        return {}

    def _images(self, x: Values, rows: Tensor) -> Tensor:
        return to_float(x.index_select(0, rows.to(x.device))).to(self.device)

    def _classes(self, count: int, label: str | None) -> Tensor | None:
        return labels_of(self.spec, count, label, conditional=self.num_classes > 0, device=self.device)

    # --- use ---

    @torch.inference_mode()
    def sample(
        self, count: int = 64, *, seed: int = 0, label: str | None = None, truncation: float | None = None
    ) -> Tensor:
        """Return generated images (count, C, H, W) in [0, 1].

        A conditional model generates ``label``, or all classes in turn. A lower ``truncation`` of the noise gives
        better but more similar images (Brock 2019).

        Raises:
            ZooError: the class does not exist, or the model is not conditional.
        """
        z = sample_latents(count, self.latent_dim, seed=seed, truncation=truncation).to(self.device)
        y = self._classes(count, label)
        parts = torch.split(torch.arange(count, device=self.device), EVAL_BATCH)
        return torch.cat([self.generate_images(z[rows], None if y is None else y[rows]) for rows in parts])

    @torch.inference_mode()
    def interpolate(self, *, steps: int = 10, seed: int = 0, label: str | None = None) -> Tensor:
        """Return images (steps, C, H, W) for noise on the great circle between two random draws."""
        check_number("steps", steps, low=2, integer=True)
        first, last = sample_latents(2, self.latent_dim, seed=seed)
        angle = torch.linspace(0, torch.pi / 2, steps)[:, None]
        z = (angle.cos() * first + angle.sin() * last).to(self.device)
        default = self.spec.classes[0] if self.num_classes else None
        return self.generate_images(z, self._classes(steps, default if label is None else label))

    @torch.inference_mode()
    def visualizations(self, batch: Batch, dataset: Dataset) -> dict[str, Tensor]:
        """Return ``samples``, an ``interpolation``, and samples with their ``nearest`` training images.

        A conditional model has a column of samples for each class.
        """
        samples = self.sample(8 * (self.num_classes or 8))
        self.project_training_images(dataset.train["x"])
        _, index = generative.nearest(self.project(samples[:10]), self.train_features)
        pairs = torch.cat([samples[:10], self._images(dataset.train["x"], index.cpu())])
        return {"samples": samples.cpu(), "interpolation": self.interpolate().cpu(), "nearest": pairs.cpu()}
