"""The base of autoencoders: networks, latent codes and their metrics, interpolation, plots."""

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

EXAMPLES, STEPS = 12, 10  # rows in a plot; images in an interpolation


class AutoencoderBase(ZooModule):
    """The base of models that encode each row to a latent code and decode the row from it.

    A subclass calls ``build_networks`` to create ``encoder`` and ``decoder``, and defines ``encode``. With ``noise``
    the model is a denoiser: validation and test reconstruct rows from noisy copies, with the same noise each time.
    Anomaly detection and ``predict`` add no noise.

    Args:
        network: dense (hidden layers of ``hidden_sizes``) or conv (images only); the decoder mirrors the encoder.
        hidden_sizes: for dense, sizes of the encoder's hidden layers.
        channels: for conv, output channels after each halving of the image.
        latent_dim: size of the latent code; null: the model's default, at most half the size of the input.
        activation: relu, gelu, silu, elu, tanh or sigmoid.
        norm: normalization in the hidden layers: none, batch or layer.
        dropout: dropout rate in the hidden layers.
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
            raise ZooError(
                f"model.likelihood=bernoulli: requires images, but {self.spec.name} is {self.spec.modality} data"
            )
        self.layers: dict[str, Any] = {"network": network, "hidden_sizes": hidden_sizes, "channels": channels}
        self.layers |= {"norm": norm, "dropout": dropout, "activation": activation}
        self.latent_dim = default_latent_size(self.spec, latent_dim, self.default_latent_dim)
        self.hparams["latent_dim"] = self.latent_dim

    def build_networks(self, *, outputs: int, inputs: int) -> None:
        """Create the encoder with ``outputs`` output values, and the decoder with ``inputs`` input values."""
        self.encoder = encoder(self.spec.output_shape, outputs=outputs, **self.layers)
        self.decoder = decoder(self.spec.output_shape, inputs=inputs, **self.layers)

    def output_activation(self, logits: Tensor) -> Tensor:
        """Return the values for the decoder's logits: in (0, 1) for bounded data, else unchanged."""
        return logits.float().sigmoid() if self.spec.bounded else logits.float()

    # --- encoding and decoding ---

    def encoder_input(self, target: Tensor) -> Tensor:
        """Return the encoder's input for a target (B, *output_shape): images normalized, other data unchanged."""
        return self.normalize(target) if self.spec.bounded else target

    def encode(self, target: Tensor) -> Tensor:
        """Return the latent code (B, latent_dim) of a target (B, *output_shape)."""
        raise NotImplementedError

    def decode(self, z: Tensor) -> Tensor:
        """Return the reconstruction from codes (B, latent_dim): images in [0, 1], else standardized values."""
        return self.output_activation(self.decoder(z))

    def forward(self, x: Tensor) -> Tensor:
        """Return the reconstruction (B, *output_shape) of raw ``x`` (B, *input_shape)."""
        return self.decode(self.encode(self.task.target(x)))

    @property
    def denoises(self) -> bool:
        """Whether evaluation reconstructs rows from noisy copies."""
        return self.noise[0] != "none" and not self.task.detects_anomalies

    def add_noise(self, target: Tensor, generator: PerSampleGenerator | None = None) -> Tensor:
        """Return the target (B, *output_shape) with the model's noise added.

        An anomaly detector is evaluated on clean rows, so its noisy images are not clipped to [0, 1]. Clipping would
        make black regions gray on average.
        """
        name, level = self.noise
        clip = not self.task.detects_anomalies
        return add_noise(target, name, level, image=self.spec.bounded, clip=clip, generator=generator)

    # --- evaluation and use ---

    def eval_step(self, batch: Batch) -> Any:
        """Return the reconstruction of a batch, from noisy rows if the model is a denoiser."""
        target = self.task.target(batch["x"])
        if self.denoises:
            target = self.add_noise(target, PerSampleGenerator(batch["row"]))
        with torch.autocast(self.device.type, enabled=False):  # a threshold on the error must also hold in predict
            return self.decode(self.encode(target.float()))

    def predictions(self, batch: Batch) -> dict[str, Tensor]:
        """Return ``reconstruction``, ``code`` and ``error`` (B,), the mean squared error of each row.

        An anomaly detector also returns the anomaly ``score`` (B,).
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
        """Return the latent codes (N, latent_dim) of a split, on the CPU."""
        with eval_mode(self):
            targets = (self.task.target(batch["x"].to(self.device)) for batch in EvalLoader(split))
            return torch.cat([self.encode(target).float().cpu() for target in targets])

    def extra_metrics(self, dataset: Dataset) -> dict[str, float]:
        """Return ``knn_accuracy`` and ``probe_accuracy`` of the codes if rows have class labels."""
        if not has_class_labels(dataset.spec):
            return {}
        parts = [(self.encode_split(split).numpy(), split["y"].numpy()) for split in (dataset.train, dataset.test)]  # type: ignore[union-attr]
        return code_figures(*parts[0], *parts[1])

    @torch.inference_mode()
    def interpolate(self, first: Any, last: Any, *, steps: int = STEPS) -> Tensor:
        """Return ``steps`` reconstructions from codes on the line between those of two raw samples, in original units.

        Raises:
            ZooError: a sample has another shape, or ``steps`` is less than two.
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
        """Return the first test rows as ``clean``, ``restored`` and, if the model is a denoiser, ``noisy``."""
        rows = torch.arange(min(EXAMPLES, len(dataset.test["x"])))
        clean = self.task.target(to_float(dataset.test["x"].index_select(0, rows)).to(self.device))
        noisy = {"noisy": self.add_noise(clean, PerSampleGenerator(rows))} if self.denoises else {}
        with eval_mode(self):
            restored = self.decode(self.encode(noisy.get("noisy", clean)))
        return {key: value.cpu() for key, value in {"clean": clean, **noisy, "restored": restored}.items()}

    def visualizations(self, batch: Batch, dataset: Dataset) -> dict[str, Tensor]:
        """Return ``reconstructions``, an ``interpolation`` between two test images, and the ``codes`` of the test rows."""
        tensors = {**self.reconstructions(dataset), "codes": self.encode_split(dataset.test)}
        if self.spec.spatial and len(tensors["clean"]) > 1:
            tensors["interpolation"] = self.interpolate(tensors["clean"][0], tensors["clean"][1]).cpu()
        return tensors
