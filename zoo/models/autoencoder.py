"""The autoencoder: a code of few numbers from which the input is made again.

    z = f(x̃),   x̂ = g(z),   loss = ‖x̂ − x‖² + λ ‖z‖₁

Hinton, Salakhutdinov: Reducing the dimensionality of data with neural networks, Science 2006. Where x̃ is x with noise,
the network learns to take it off (Vincent et al.: Stacked denoising autoencoders, JMLR 2010); the second sum keeps most
numbers of the code near 0 (a sparse code).
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from zoo.config.schema import check_number
from zoo.data.dataset import Batch
from zoo.data.noise import check_noise
from zoo.layers.encoder_decoder import decoder, encoder
from zoo.models.autoencoder_base import CodingModule
from zoo.registry import register

LIKELIHOODS = ("mse", "bernoulli")


@register("autoencoder")
class Autoencoder(CodingModule):
    """An autoencoder over images, tables or windows of time series; its networks are those of ``CodingModule``.

    ``noise`` (none, gaussian, salt_pepper, masking) of ``noise_level`` is put on what is read in training; ``sparsity``
    is λ. ``likelihood`` is what the loss takes values for: mse, or bernoulli, the cross-entropy of images whose pixels
    are nearly black or white.

    Raises:
        ZooError: an option outside its limits, or one that does not go with the data.
    """

    def __init__(
        self,
        *,
        noise: str = "none",
        noise_level: float = 0.3,
        sparsity: float = 0.0,
        likelihood: str = "mse",
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        check_noise(noise, noise_level)
        check_number("model.sparsity", sparsity, low=0)
        self.check_likelihood(likelihood, LIKELIHOODS)
        self.noise, self.sparsity, self.likelihood = (noise, noise_level), sparsity, likelihood
        self.encoder = encoder(self.spec, outputs=self.latent_dim, **self.layers)
        self.decoder = decoder(self.spec, inputs=self.latent_dim, **self.layers)

    def code(self, target: Tensor) -> Tensor:
        """Return the code (B, latent_dim) of (B, *output_shape)."""
        z: Tensor = self.encoder(self.read(target))
        return z

    def compute_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a batch, and the sum of its rows' mean squared errors."""
        target = self.task.target(batch["x"])
        code = self.code(self.corrupted(target))
        logits = self.decoder(code)
        error = (self.values(logits) - target).square().mean()
        loss = error
        if self.likelihood == "bernoulli":
            loss = F.binary_cross_entropy_with_logits(logits.float(), target)
        if self.sparsity:
            loss = loss + self.sparsity * code.float().abs().mean()
        return loss, {"mse": error.detach() * len(target)}
