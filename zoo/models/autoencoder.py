"""The autoencoder: a code of few numbers from which the input is made again.

    z = f(x̃),   x̂ = g(z),   loss = ‖x̂ − x‖² + λ ‖z‖₁

Hinton, Salakhutdinov: Reducing the dimensionality of data with neural networks, Science 2006. Where x̃ is x with noise,
the network learns to take it off (Vincent et al.: Stacked denoising autoencoders, JMLR 2010); the second sum keeps most
numbers of the code near 0 (a sparse code).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from zoo.coding import CodingModule
from zoo.data.dataset import Batch
from zoo.errors import ZooError
from zoo.networks.coders import check_coder, decoder, encoder, latent_size
from zoo.noise import check_noise
from zoo.options import check_choice, check_number
from zoo.registry import register
from zoo.spec import UNLABELLED_DIGITS, DataSpec

LIKELIHOODS = ("mse", "bernoulli")


@register("autoencoder")
class Autoencoder(CodingModule):
    """An autoencoder over images, tables or windows of time series.

    ``network`` is dense, with hidden layers of ``widths``, or conv, with as many ``channels`` after each halving of the
    image; the decoder mirrors it. ``latent_dim`` numbers are the
    code (None: 16, or half of the input's where these are few). ``noise`` (none, gaussian, salt_pepper, masking)
    of ``noise_level`` is put on what is read in training; ``sparsity`` is λ. ``likelihood`` is what the loss takes
    values for: mse, or bernoulli, the cross-entropy of images whose pixels are nearly black or white.

    Raises:
        ZooError: an option outside its limits, or one that does not go with the data.
    """

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
        noise: str = "none",
        noise_level: float = 0.3,
        sparsity: float = 0.0,
        likelihood: str = "mse",
    ) -> None:
        super().__init__(spec=spec)
        layers: dict[str, Any] = {"network": network, "widths": widths, "channels": channels, "norm": norm}
        layers["dropout"] = dropout
        check_coder(self.spec, **layers)
        latent_dim = self.settle(latent_size(self.spec, latent_dim, 16))
        check_noise(noise, noise_level)
        check_number("model.sparsity", sparsity, low=0)
        check_choice("model.likelihood", likelihood, LIKELIHOODS)
        if likelihood == "bernoulli" and self.spec.kind != "image":
            raise ZooError(f"model.likelihood=bernoulli: is for images; {self.spec.name} is {self.spec.kind} data")
        self.noise, self.sparsity, self.likelihood = (noise, noise_level), sparsity, likelihood
        self.encoder = encoder(self.spec, outputs=latent_dim, activation=activation, **layers)
        self.decoder = decoder(self.spec, inputs=latent_dim, activation=activation, **layers)

    def code(self, target: Tensor) -> Tensor:
        """Return the code (B, latent_dim) of (B, *output_shape)."""
        z: Tensor = self.encoder(self.read(target))
        return z

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a batch, and the sum of its rows' mean squared errors."""
        target = self.objective.target(batch["x"])
        code = self.code(self.corrupted(target))
        logits = self.decoder(code)
        error = (self.values(logits) - target).square().mean()
        loss = error
        if self.likelihood == "bernoulli":
            loss = F.binary_cross_entropy_with_logits(logits.float(), target)
        if self.sparsity:
            loss = loss + self.sparsity * code.float().abs().mean()
        return loss, {"mse": error.detach() * len(target)}
