"""What models that make images of noise share: samples and walks, what they are measured by, what pictures show."""

from __future__ import annotations

import functools
import sys
from typing import Any

import torch
from torch import Tensor

from zoo.config.schema import check_flag, check_number
from zoo.data.classes import labelled, labels_of
from zoo.data.dataset import Batch, Dataset, Values
from zoo.data.input_readers import to_float
from zoo.data.spec import DataSpec
from zoo.exceptions import ZooError
from zoo.layers.latents import sample_latents
from zoo.metrics.distances import COMPONENTS, FEW, density_and_coverage, nearest, principal_components
from zoo.metrics.evaluator import Judge, judge_of
from zoo.models.base import ZooModule
from zoo.tasks.generation import Generation
from zoo.utils.precision import to_widest_dtype
from zoo.utils.random import EVAL_BATCH, PerSampleGenerator

COLLAPSED, WON = 0.2, 0.99  # coverage, and share that D tells rightly, from which a run has gone wrong
LOOKED_AT = 1000  # samples that tell whether a run has


class GenerativeModule(ZooModule):
    """A model of images out of noise (B, ``latent_dim``), and of classes (B,) where it is ``conditional``.

    A subclass defines ``made(z, y)``. Distances are measured in the space of the training images' principal components,
    which are buffers, and in the features of the zoo's own classifier of such data, where there is one.
    """

    centre: Tensor
    components: Tensor
    learnt: Tensor

    def __init__(self, *, spec: DataSpec | dict[str, Any], latent_dim: int, conditional: bool) -> None:
        super().__init__(spec=spec)
        check_number("model.latent_dim", latent_dim, low=1, integer=True)
        check_flag("model.conditional", conditional)
        if conditional and not labelled(self.spec):
            raise ZooError(f"model.conditional=true: needs rows with classes, which {self.spec.name} has not")
        self.latent_dim, self.labels = latent_dim, len(self.spec.classes) if conditional else 0
        self.task = Generation(self.spec, conditional=conditional)
        count = min(COMPONENTS, self.spec.inputs, max(self.spec.rows - 1, 1))
        self.register_buffer("centre", torch.zeros(self.spec.inputs))
        self.register_buffer("components", torch.zeros(self.spec.inputs, count))
        self.register_buffer("learnt", torch.zeros(0, count), persistent=False)  # where the training images are

    @functools.cached_property
    def judge(self) -> Judge | None:
        """The zoo's own classifier of such data, loaded once images are looked at; None where there is none."""
        return judge_of(self.spec)

    def made(self, z: Tensor, y: Tensor | None) -> Tensor:
        """Return images (B, C, H, W) in [0, 1] of noise and, where it was told classes, of those."""
        raise NotImplementedError

    # --- measures ---

    def realness(self, images: Tensor, y: Tensor | None) -> Tensor:
        """Return the logit of a discriminator (B,) for images, of classes (B,) where the model was told them."""
        return self(images).squeeze(1)

    def on_train_start(self) -> None:
        """Find the training images' principal components, and the images' places among them."""
        super().on_train_start()
        x = self.loader.split["x"]
        if not bool(self.components.any()):
            centre, components = principal_components(x, self.components.shape[1])
            self.centre.copy_(centre)
            self.components.copy_(components)
        self._learn_places(x)

    @torch.no_grad()
    def _learn_places(self, x: Values) -> None:
        parts = torch.arange(len(x)).split(EVAL_BATCH)
        self.learnt = torch.cat([self.placed(self._taken(x, rows)) for rows in parts])

    def eval_step(self, batch: Batch) -> dict[str, Tensor]:
        """Return of real and made images, as many, what the objective compares; noise is that of the rows."""
        z = PerSampleGenerator(batch["row"]).normal(self.latent_dim).to(batch["x"].device)
        y = batch["y"] if self.labels else None
        found = {}
        with torch.autocast(self.device.type, enabled=False):
            for name, images in (("real", batch["x"].float()), ("made", self.made(z.float(), y))):
                found[name] = self.placed(images)
                found[f"{name}_logit"] = self.realness(images, y)
                if len(self.learnt):
                    found[f"{name}_far"] = nearest(found[name], self.learnt)[0]
                if self.judge is not None:
                    found |= {f"{name}_{key}": value for key, value in self.judge(images).items()}
        return found

    def placed(self, images: Tensor) -> Tensor:
        """Return images (B, C, H, W) as their principal components (B, K)."""
        return (images.flatten(1) - self.centre) @ self.components

    @torch.inference_mode()
    def extra_metrics(self, dataset: Dataset) -> dict[str, float]:
        """Return no figures more; say where a run has gone wrong."""
        rows = torch.arange(min(LOOKED_AT, len(dataset.test["x"])))
        real, made = self._taken(dataset.test["x"], rows), self.sample(len(rows))
        y = dataset.test["y"].index_select(0, rows).to(self.device) if self.labels else None
        given = labels_of(self.spec, len(rows), None, told=self.labels > 0, device=self.device)
        told = [float(to_widest_dtype(self.realness(*pair) > 0).mean()) for pair in ((real, y), (made, given))]
        self._warn(real, made, told)
        return {}

    def _warn(self, real: Tensor, made: Tensor, told: list[float]) -> None:
        if len(real) > FEW and density_and_coverage(self.placed(real), self.placed(made))[1] < COLLAPSED:
            said = "the generator has collapsed, its images are far from most real ones"
        elif told[0] > WON and told[1] < 1 - WON:
            said = "the discriminator tells all images apart, so that the generator learns nothing more"
        else:
            return
        advice = "try a smaller optimizer.lr, a larger model.r1, model.adversarial=relativistic, or more images"
        print(f"warning: {said}; {advice}", file=sys.stderr)

    def _taken(self, x: Values, rows: Tensor) -> Tensor:
        return to_float(x.index_select(0, rows.to(x.device))).to(self.device)

    # --- use ---

    @torch.inference_mode()
    def sample(
        self, count: int = 64, *, seed: int = 0, label: str | None = None, truncation: float | None = None
    ) -> Tensor:
        """Return so many new images (count, C, H, W) in [0, 1]; of a conditional model of a class, or of all in turn.

        With a ``truncation`` of their noise they are better, and more alike (Brock 2019).

        Raises:
            ZooError: no such class, or a model that was told none.
        """
        z = sample_latents(count, self.latent_dim, seed=seed, truncation=truncation).to(self.device)
        y = labels_of(self.spec, count, label, told=self.labels > 0, device=self.device)
        rows = torch.arange(count, device=self.device).split(EVAL_BATCH)
        return torch.cat([self.made(z[part], None if y is None else y[part]) for part in rows])

    @torch.inference_mode()
    def walk(self, *, steps: int = 10, seed: int = 0, label: str | None = None) -> Tensor:
        """Return images (steps, C, H, W) on the way from one noise to another, along a circle around 0."""
        check_number("steps", steps, low=2, integer=True)
        ends = sample_latents(2, self.latent_dim, seed=seed)
        turn = torch.linspace(0, torch.pi / 2, steps)[:, None]
        z = (turn.cos() * ends[0] + turn.sin() * ends[1]).to(self.device)
        first = self.spec.classes[0] if self.labels and label is None else label
        return self.made(z, labels_of(self.spec, steps, first, told=self.labels > 0, device=self.device))

    @torch.inference_mode()
    def visualizations(self, batch: Batch, dataset: Dataset) -> dict[str, Tensor]:
        """Return ``samples``, of a model of classes a column each, a ``walk``, and samples above the training images
        that are ``nearest`` to them.
        """
        samples = self.sample(8 * (self.labels or 8))
        self._learn_places(dataset.train["x"])
        _, index = nearest(self.placed(samples[:10]), self.learnt)
        pairs = torch.cat([samples[:10], self._taken(dataset.train["x"], index.cpu())])
        return {"samples": samples.cpu(), "walk": self.walk().cpu(), "nearest": pairs.cpu()}
