"""Models that encode and decode share this: networks, latent codes and their metrics, interpolations, pictures."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor

from zoo.config.schema import OptionalCount, Share, Sizes, check_number, one_of
from zoo.data.dataset import Batch, Dataset, Split
from zoo.data.image.spec import UNLABELED_DIGITS
from zoo.data.input_readers import to_float
from zoo.data.labeled import has_class_labels
from zoo.data.loader import EvalLoader
from zoo.data.noise import add_noise
from zoo.data.spec import DataSpec
from zoo.exceptions import ZooError
from zoo.layers.blocks import NORMS
from zoo.layers.encoder_decoder import NETWORKS, check_encoder, decoder, default_latent_size, encoder
from zoo.metrics.scores import code_figures
from zoo.models.base import ZooModule
from zoo.tasks.reconstruction import Reconstruction
from zoo.utils.eval_mode import eval_mode
from zoo.utils.random import PerSampleGenerator

EXAMPLES, STEPS = 12, 10  # rows in a picture; of an interpolation


class AutoencoderBase(ZooModule):
    """A model that encodes each row in few numbers, and decodes it from them.

    A subclass calls ``build_networks`` for ``encoder`` and ``decoder``, and defines ``encode``. With ``noise`` it
    is a denoiser: validation and test measure what it restores of noisy rows, the same noise each time. Where it
    detects anomalies, and in ``predict``, rows are read as they are.

    Args:
        network: dense (hidden layers of ``hidden_sizes``) or conv (for images); the decoder mirrors the encoder.
        hidden_sizes: of dense, sizes of the encoder's hidden layers.
        channels: of conv, channels after each halving of the image.
        latent_dim: size of the latent code; null: the model's default, or half of the input's size if that is less.
        activation: relu, gelu, silu, elu, tanh or sigmoid.
        norm: none, batch or layer.
        dropout: share of the hidden numbers that training drops.
    """

    tasks = ("reconstruction",)
    modalities = ("image", "table", "series")
    noise: tuple[str, float] = ("none", 0.0)
    default_latent_dim: ClassVar[int] = 16
    task: Reconstruction

    def __init__(
        self,
        *,
        spec: DataSpec | dict[str, Any] = UNLABELED_DIGITS,
        network: Annotated[str, one_of(NETWORKS)] = "dense",
        hidden_sizes: Sizes = (256, 128),
        channels: Sizes = (32, 64),
        latent_dim: OptionalCount = None,
        activation: str = "relu",
        norm: Annotated[str, one_of(NORMS)] = "none",
        dropout: Share = 0.0,
    ) -> None:
        super().__init__(spec=spec)
        check_encoder(self.spec, network=network, channels=channels)
        if self.hparams.get("likelihood") == "bernoulli" and not self.spec.bounded:
            raise ZooError(f"model.likelihood=bernoulli: is for images; {self.spec.name} is {self.spec.modality} data")
        self.layers: dict[str, Any] = {"network": network, "hidden_sizes": hidden_sizes, "channels": channels}
        self.layers |= {"norm": norm, "dropout": dropout, "activation": activation}
        self.latent_dim = default_latent_size(self.spec, latent_dim, self.default_latent_dim)
        self.hparams["latent_dim"] = self.latent_dim

    def build_networks(self, *, outputs: int, inputs: int) -> None:
        """Create the encoder to ``outputs`` numbers, and the decoder from ``inputs``."""
        self.encoder = encoder(self.spec.output_shape, outputs=outputs, **self.layers)
        self.decoder = decoder(self.spec.output_shape, inputs=inputs, **self.layers)

    def output_activation(self, logits: Tensor) -> Tensor:
        """Return the decoder's values of its logits: bounded ones between 0 and 1, else as they are."""
        return logits.float().sigmoid() if self.spec.bounded else logits.float()

    # --- encoding and decoding ---

    def encoder_input(self, target: Tensor) -> Tensor:
        """Return what the encoder reads of (B, *output_shape), values in [0, 1] or standardized numbers."""
        return self.normalize(target) if self.spec.bounded else target

    def encode(self, target: Tensor) -> Tensor:
        """Return the latent code (B, latent_dim) of (B, *output_shape)."""
        raise NotImplementedError

    def decode(self, z: Tensor) -> Tensor:
        """Return the reconstruction from codes (B, latent_dim): images in [0, 1], else standardized numbers."""
        return self.output_activation(self.decoder(z))

    def forward(self, x: Tensor) -> Tensor:
        """Return the reconstruction (B, *output_shape) of raw ``x`` (B, *input_shape)."""
        return self.decode(self.encode(self.task.target(x)))

    @property
    def denoises(self) -> bool:
        """Whether evaluation measures what is restored of noisy rows."""
        return self.noise[0] != "none" and not self.task.detects_anomalies

    def add_noise(self, target: Tensor, generator: PerSampleGenerator | None = None) -> Tensor:
        """Return (B, *output_shape) with the model's noise on it.

        Anomaly detectors read clean rows in the end, so images are not clipped to [0, 1]: black ones would be gray on
        average.
        """
        name, level = self.noise
        clip = not self.task.detects_anomalies
        return add_noise(target, name, level, image=self.spec.bounded, clip=clip, generator=generator)

    # --- evaluation and use ---

    def eval_step(self, batch: Batch) -> Any:
        """Return the reconstruction of the batch, with noise on it where the model is a denoiser."""
        target = self.task.target(batch["x"])
        if self.denoises:
            target = self.add_noise(target, PerSampleGenerator(batch["row"]))
        with torch.autocast(self.device.type, enabled=False):  # a threshold on the error holds in predict too
            return self.decode(self.encode(target.float()))

    def predictions(self, batch: Batch) -> dict[str, Tensor]:
        """Return ``reconstruction``, ``code`` and ``error``, the mean squared one of each row (B,); ``score`` too,
        where anomalies are detected.
        """
        code = self.encode(self.task.target(batch["x"]))
        out = self.decode(code)
        error = self.task.error(out, batch["x"]) / self.spec.outputs
        predictions = {**self.task.predictions(out), "code": code.float(), "error": error}
        if self.task.detects_anomalies:
            predictions["score"] = self.task.anomaly_score(out, batch["x"])
        return predictions

    @torch.inference_mode()
    def encode_split(self, split: Split) -> Tensor:
        """Return the code of each row of a split (N, latent_dim), on the CPU."""
        with eval_mode(self):
            targets = (self.task.target(batch["x"].to(self.device)) for batch in EvalLoader(split))
            return torch.cat([self.encode(target).float().cpu() for target in targets])

    def extra_metrics(self, dataset: Dataset) -> dict[str, float]:
        """Return ``knn_accuracy`` and ``probe_accuracy`` of the codes where rows have classes."""
        if not has_class_labels(dataset.spec):
            return {}
        parts = [(self.encode_split(split).numpy(), split["y"].numpy()) for split in (dataset.train, dataset.test)]  # type: ignore[union-attr]
        return code_figures(*parts[0], *parts[1])

    @torch.inference_mode()
    def interpolate(self, first: Any, last: Any, *, steps: int = STEPS) -> Tensor:
        """Return the decoded codes, evenly on a line between those of two raw samples, in original units.

        Raises:
            ZooError: a sample of another shape, fewer than two steps.
        """
        from zoo.data.inputs import encode

        check_number("steps", steps, low=2, integer=True)
        weight = torch.linspace(0, 1, steps, device=self.device)[:, None]
        raw = [encode(self.spec, sample)["x"][:1].to(self.device) for sample in (first, last)]
        with eval_mode(self):
            start, end = (self.encode(self.task.target(x)) for x in raw)
            return self.task.predictions(self.decode(torch.lerp(start, end, weight)))["reconstruction"]

    @torch.inference_mode()
    def reconstructions(self, dataset: Dataset) -> dict[str, Tensor]:
        """Return the first test rows ``clean``, ``noisy`` where the model is a denoiser, and ``restored``."""
        rows = torch.arange(min(EXAMPLES, len(dataset.test["x"])))
        clean = self.task.target(to_float(dataset.test["x"].index_select(0, rows)).to(self.device))
        noisy = {"noisy": self.add_noise(clean, PerSampleGenerator(rows))} if self.denoises else {}
        with eval_mode(self):
            restored = self.decode(self.encode(noisy.get("noisy", clean)))
        return {key: value.cpu() for key, value in {"clean": clean, **noisy, "restored": restored}.items()}

    def visualizations(self, batch: Batch, dataset: Dataset) -> dict[str, Tensor]:
        """Return ``reconstructions``, an ``interpolation`` between two test images, and the test's ``codes``."""
        tensors = {**self.reconstructions(dataset), "codes": self.encode_split(dataset.test)}
        if self.spec.spatial and len(tensors["clean"]) > 1:
            tensors["interpolation"] = self.interpolate(tensors["clean"][0], tensors["clean"][1]).cpu()
        return tensors
