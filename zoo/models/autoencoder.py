"""The autoencoder: an encoder compresses the input to a latent code, and a decoder reconstructs the input from it.

    z = f(x̃),   x̂ = g(z),   loss = ‖x̂ − x‖² + λ ‖z‖₁

Hinton, Salakhutdinov: Reducing the dimensionality of data with neural networks, Science 2006. Where x̃ is x with noise,
the network learns to remove it (Vincent et al.: Stacked denoising autoencoders, JMLR 2010). The second term keeps most
values of the code near 0 (a sparse code).
"""

from __future__ import annotations

from typing import Annotated, Any

import torch.nn.functional as F
from torch import Tensor

from zoo.config.schema import NonNegative, one_of
from zoo.data.dataset import Batch
from zoo.data.noise import check_noise
from zoo.models.autoencoder_base import AutoencoderBase
from zoo.registry import register

LIKELIHOODS = ("mse", "bernoulli")


@register("autoencoder")
class Autoencoder(AutoencoderBase):
    """An autoencoder over images, tables or windows of time series.

    The encoder compresses a row to a latent code ``z = f(x)``, and the decoder reconstructs the row, ``x̂ = g(z)``. The
    loss is the reconstruction error, optionally with noise on the input and an L1 penalty on the code. ``forward`` maps
    ``(B, *input_shape)`` to the reconstruction ``(B, *output_shape)``. Papers: Hinton & Salakhutdinov 2006, Vincent
    2010.

    Args:
        noise: noise that training adds to the input of a denoiser: none, gaussian, salt_and_pepper or masking.
        noise_level: standard deviation of gaussian noise, or the share of values that other noise replaces.
        sparsity_weight: weight λ of the L1 penalty on the latent code (its mean absolute value).
        likelihood: reconstruction loss: mse, or bernoulli (cross-entropy) for images of nearly black or white pixels.

    Raises:
        ZooError: an option is outside its limits, or does not apply to the data.
    """

    def __init__(
        self,
        *,
        noise: str = "none",
        noise_level: float = 0.3,
        sparsity_weight: NonNegative = 0.0,
        likelihood: Annotated[str, one_of(LIKELIHOODS)] = "mse",
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        check_noise(noise, noise_level)
        self.noise, self.sparsity_weight, self.likelihood = (noise, noise_level), sparsity_weight, likelihood
        self.build_networks(outputs=self.latent_dim, inputs=self.latent_dim)

    def encode(self, target: Tensor) -> Tensor:
        """Return the latent code (B, latent_dim) of a target (B, *output_shape)."""
        z: Tensor = self.encoder(self.encoder_input(target))
        return z

    def compute_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a batch, and the sum of its rows' mean squared errors."""
        target = self.task.target(batch["x"])
        z = self.encode(self.add_noise(target))
        logits = self.decoder(z)
        mse = (self.output_activation(logits) - target).square().mean()
        loss = F.binary_cross_entropy_with_logits(logits.float(), target) if self.likelihood == "bernoulli" else mse
        if self.sparsity_weight:
            loss = loss + self.sparsity_weight * z.float().abs().mean()
        return loss, {"mse": mse.detach() * len(target)}
