"""The autoencoder: a latent code of few numbers, from which the input is reconstructed.

    z = f(x̃),   x̂ = g(z),   loss = ‖x̂ − x‖² + λ ‖z‖₁

Hinton, Salakhutdinov: Reducing the dimensionality of data with neural networks, Science 2006. Where x̃ is x with noise,
the network learns to remove it (Vincent et al.: Stacked denoising autoencoders, JMLR 2010). The second term keeps most
numbers of the code near 0 (a sparse code).
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

    Args:
        noise: none, gaussian, salt_and_pepper or masking: what training adds to the input, and the network removes.
        noise_level: standard deviation of gaussian noise, else the share of numbers that it hits.
        sparsity_weight: λ of the penalty on the mean absolute number of the code.
        likelihood: mse, or bernoulli: the cross-entropy of images whose pixels are nearly black or white.

    Raises:
        ZooError: an option outside its limits, or one that does not go with the data.
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
        """Return the latent code (B, latent_dim) of (B, *output_shape)."""
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
