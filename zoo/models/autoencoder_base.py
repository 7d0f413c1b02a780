"""What models that compress share beside networks: codes, figures of them, what pictures show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from zoo.config.schema import check_choice
from zoo.data.classes import labelled
from zoo.data.dataset import Batch, Dataset, Split
from zoo.data.image.spec import UNLABELLED_DIGITS
from zoo.data.loader import EvalLoader, take
from zoo.data.noise import add_noise
from zoo.data.spec import DataSpec
from zoo.exceptions import ZooError
from zoo.layers.encoder_decoder import Bounded, check_coder, latent_size
from zoo.metrics.probing import code_figures
from zoo.models.base import ZooModule
from zoo.tasks.reconstruction import Reconstruction
from zoo.utils.eval_mode import eval_mode
from zoo.utils.random import PerSampleGenerator

SHOWN, STEPS = 12, 10  # rows in a picture; of an interpolation


class CodingModule(ZooModule):
    """A model that makes a code of few numbers from each row, and the row again from its code.

    ``network`` is dense, with hidden layers of ``widths``, or conv, with as many ``channels`` after each halving of the
    image; the decoder mirrors the encoder. ``latent_dim`` numbers are the code (None: the ``usual``, or half of the
    input's where these are few).

    A subclass makes ``encoder`` and ``decoder`` of ``layers`` and defines ``code``. Where it has a ``noise``,
    validation and test count what it restores of rows with such noise on them, the same each time; where it looks for
    anomalies, and in ``predict``, rows are read as they are.
    """

    tasks = ("reconstruction",)
    modalities = ("image", "table", "series")
    encoder: Any
    decoder: Any
    noise: tuple[str, float] = ("none", 0.0)
    usual: ClassVar[int] = 16
    task: Reconstruction

    def __init__(
        self,
        *,
        spec: DataSpec | dict[str, Any] = UNLABELLED_DIGITS,
        network: str = "dense",
        widths: Sequence[int] = (256, 128),
        channels: Sequence[int] = (32, 64),
        latent_dim: int | None = None,
        activation: str = "relu",
        norm: str = "none",
        dropout: float = 0.0,
    ) -> None:
        super().__init__(spec=spec)
        layers: dict[str, Any] = {"network": network, "widths": widths, "channels": channels, "norm": norm}
        layers["dropout"] = dropout
        check_coder(self.spec, **layers)
        self.layers = {**layers, "activation": activation}
        self.latent_dim = self.hparams["latent_dim"] = latent_size(self.spec, latent_dim, self.usual)
        self.values = Bounded(self.spec)

    def check_likelihood(self, likelihood: str, choices: Sequence[str]) -> None:
        """Raise ZooError where the likelihood is none of the choices, or not of such data."""
        check_choice("model.likelihood", likelihood, choices)
        if likelihood == "bernoulli" and self.spec.modality != "image":
            raise ZooError(f"model.likelihood=bernoulli: is for images; {self.spec.name} is {self.spec.modality} data")

    def read(self, target: Tensor) -> Tensor:
        """Return what the encoder reads of (B, *output_shape), images in [0, 1] or standardised numbers."""
        return self.normalize(target) if self.spec.modality == "image" else target

    def code(self, target: Tensor) -> Tensor:
        """Return the code (B, latent_dim) of (B, *output_shape)."""
        raise NotImplementedError

    def restore(self, code: Tensor) -> Tensor:
        """Return what a code (B, latent_dim) stands for: images in [0, 1], else standardised numbers."""
        out: Tensor = self.values(self.decoder(code))
        return out

    def forward(self, x: Tensor) -> Tensor:
        """Return raw ``x`` (B, *input_shape) as its code tells it (B, *output_shape)."""
        return self.restore(self.code(self.task.target(x)))

    def corrupted(self, target: Tensor, draws: PerSampleGenerator | None = None) -> Tensor:
        """Return (B, *output_shape) with the model's noise on it.

        Where rows are read as they are in the end, images are not cut to [0, 1]: black ones would be grey on average.
        """
        name, level = self.noise
        image, clip = self.spec.modality == "image", not self.task.detects_anomalies
        return add_noise(target, name, level, image=image, clip=clip, generator=draws)

    def eval_step(self, batch: Batch) -> Any:
        """Return what is restored of the batch, with noise on it where the model is a denoiser."""
        target = self.task.target(batch["x"])
        if self.noise[0] != "none" and not self.task.detects_anomalies:
            target = self.corrupted(target, PerSampleGenerator(batch["row"]))
        with torch.autocast(self.device.type, enabled=False):  # a threshold on the error holds in predict too
            return self.restore(self.code(target.float()))

    def predictions(self, batch: Batch) -> dict[str, Tensor]:
        """Return ``reconstruction``, ``code`` and ``error``, the mean squared one of each row (B,); ``score`` too,
        where anomalies are looked for.
        """
        code = self.code(self.task.target(batch["x"]))
        out = self.restore(code)
        error = self.task.error(out, batch["x"]) / self.spec.outputs
        found = {**self.task.predictions(out), "code": code.float(), "error": error}
        return {**found, "score": self.task.anomaly_score(out, batch["x"])} if self.task.detects_anomalies else found

    @torch.inference_mode()
    def codes(self, split: Split) -> Tensor:
        """Return the code of each row of a split (N, latent_dim), on the CPU."""
        with eval_mode(self):
            batches = (self.task.target(batch["x"].to(self.device)) for batch in EvalLoader(split))
            return torch.cat([self.code(target).float().cpu() for target in batches])

    def extra_metrics(self, dataset: Dataset) -> dict[str, float]:
        """Return ``knn_accuracy`` and ``probe_accuracy`` of the codes where rows have classes."""
        if not labelled(dataset.spec):
            return {}
        parts = [(self.codes(split).numpy(), split["y"].numpy()) for split in (dataset.train, dataset.test)]  # type: ignore[union-attr]
        return code_figures(*parts[0], *parts[1])

    @torch.inference_mode()
    def interpolate(self, one: Any, other: Any, *, steps: int = STEPS) -> Tensor:
        """Return what lies between two raw samples, in original units: codes evenly on a line, restored.

        Raises:
            ZooError: a sample of another shape, less than two steps.
        """
        from zoo.data.inputs import encode

        if steps < 2:
            raise ZooError(f"steps={steps}: must be at least 2")
        share = torch.linspace(0, 1, steps, device=self.device)[:, None]
        with eval_mode(self):
            first, last = (
                self.code(self.task.target(encode(self.spec, raw)["x"][:1].to(self.device))) for raw in (one, other)
            )
            return self.task.predictions(self.restore((1 - share) * first + share * last))["reconstruction"]

    @torch.inference_mode()
    def shown(self, dataset: Dataset) -> dict[str, Tensor]:
        """Return the first test rows ``clean``, ``noisy`` where the model takes noise off, and ``restored``."""
        rows = torch.arange(min(SHOWN, len(dataset.test["x"])))
        clean = self.task.target(take({"x": dataset.test["x"]}, rows)["x"].to(self.device))
        noisy = {}
        if self.noise[0] != "none" and not self.task.detects_anomalies:
            noisy["noisy"] = self.corrupted(clean, PerSampleGenerator(rows))
        with eval_mode(self):
            restored = self.restore(self.code(noisy.get("noisy", clean)))
        found = {"clean": clean, **noisy, "restored": restored}
        return {key: value.cpu() for key, value in found.items()}

    def visualizations(self, batch: Batch, dataset: Dataset) -> dict[str, Tensor]:
        """Return what ``shown`` does, an ``interpolation`` between two test images, and the test's ``codes``."""
        found = {**self.shown(dataset), "codes": self.codes(dataset.test)}
        if self.spec.modality == "image" and len(found["clean"]) > 1:
            found["interpolation"] = self.interpolate(found["clean"][0], found["clean"][1]).cpu()
        return found
