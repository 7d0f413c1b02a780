"""The variational autoencoder: a distribution of latent codes for each input, and samples decoded from the prior.

    p(z) = N(0, I),   q(z|x) = N(μ(x), σ(x)²),   log p(x) ≥ E_q[log p(x|z)] − KL(q(z|x) ‖ p(z))

Kingma, Welling: Auto-encoding variational Bayes, ICLR 2014. With k importance samples the bound
log (1/k) Σ p(x, zᵢ)/q(zᵢ|x) is tighter (Burda, Grosse, Salakhutdinov: Importance weighted autoencoders, ICLR 2016).
"""

from __future__ import annotations

import math
import sys
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.config.schema import Count, NonNegative, Probability, one_of
from zoo.data.dataset import Batch, Dataset
from zoo.data.labeled import conditional_classes, labels_of
from zoo.exceptions import ZooError
from zoo.layers.encoder_decoder import sample_latents
from zoo.models.autoencoder_base import AutoencoderBase
from zoo.registry import register
from zoo.tasks.base import Metrics
from zoo.tasks.reconstruction import Reconstruction
from zoo.utils.eval_mode import eval_mode
from zoo.utils.random import EVAL_BATCH, PerSampleGenerator

LIKELIHOODS = ("auto", "bernoulli", "gaussian")
MAX_SAMPLES, MAX_NUMBERS = 20, 2e7  # codes per row, and values in all, to decode at once
ACTIVE = 0.01  # a latent unit is active if its mean has a larger variance over the data (Burda 2016)


class EvidenceLowerBound(Reconstruction):
    """Reconstruction with bounds on log p(x), in nats per row: ``elbo`` with one sample, ``kl``, and ``nll`` with many."""

    monitor, mode = "elbo", "max"

    def names(self, stage: str) -> list[str]:
        """Return the names of a stage's metrics."""
        return [*super().names(stage), "elbo", *(["kl", "nll"] if stage == "test" else [])]

    def update(self, metrics: Metrics, output: Any, batch: Batch) -> None:
        """Update the metrics with a batch; ``output`` has the bounds (B,) of its rows."""
        super().update(metrics, output, batch)
        weight = self.normal(batch).float()
        metrics.feed(**{name: (output[name], weight) for name in ("elbo", "kl", "nll") if name in output})


def kl_to_prior(mean: Tensor, log_var: Tensor) -> Tensor:
    """Return KL(N(μ, σ²) ‖ N(0, 1)) = ½ (μ² + σ² − log σ² − 1) of each latent unit (B, latent_dim)."""
    return 0.5 * (mean.square() + log_var.exp() - log_var - 1)


def log_normal(z: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    """Return log N(z; μ, σ²), summed over the last dimension."""
    return -0.5 * (math.log(2 * math.pi) + log_var + (z - mean).square() * (-log_var).exp()).sum(-1)


def log_ratio(z: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    """Return log p(z) − log q(z|x) for codes (…, latent_dim), where p is N(0, 1) and q is N(μ, σ²)."""
    return log_normal(z, torch.zeros_like(mean), torch.zeros_like(mean)) - log_normal(z, mean, log_var)


@register("vae")
class VAE(AutoencoderBase):
    """A variational autoencoder (Kingma & Welling 2014) over images, tables or windows of time series.

    The encoder predicts a normal distribution q(z|x) of latent codes, and the decoder the distribution p(x|z). The loss
    is the negative evidence lower bound, ``KL(q(z|x) ‖ N(0, I)) − E_q[log p(x|z)]``. New samples are decoded from codes
    of the prior N(0, I). ``forward`` maps ``(B, *input_shape)`` to the reconstruction ``(B, *output_shape)``.

    Args:
        likelihood: bernoulli, or gaussian with one learned scale (Rybkin 2021); auto: bernoulli for images.
        beta: weight β of the KL divergence (β-VAE, Higgins 2017).
        kl_warmup: share of the run over which the weight of the KL divergence rises from 0 (Sønderby 2016).
        free_bits: KL divergence of each latent unit that is free of loss, in nats (Kingma 2016).
        importance_samples: latent codes per row in the bound; above 1: importance-weighted (IWAE, Burda 2016).
        conditional: condition both networks on the class label.
        test_importance_samples: latent codes per row with which the test estimates −log p(x).

    Raises:
        ZooError: an option is outside its limits, or does not apply to the data.
    """

    default_latent_dim = 8

    def __init__(
        self,
        *,
        likelihood: Annotated[str, one_of(LIKELIHOODS)] = "auto",
        beta: NonNegative = 1.0,
        kl_warmup: Probability = 0.0,
        free_bits: NonNegative = 0.0,
        importance_samples: Count = 1,
        conditional: bool = False,
        test_importance_samples: Count = 1000,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        if importance_samples > 1 and free_bits:
            raise ZooError(
                "model.free_bits: needs a separate KL term, which model.importance_samples above 1 does not have"
            )
        self.beta, self.kl_warmup, self.free_bits = beta, kl_warmup, free_bits
        self.importance_samples, self.test_importance_samples = importance_samples, test_importance_samples
        self.num_classes = conditional_classes(self.spec, conditional=conditional)
        self.task = EvidenceLowerBound(self.spec)
        self.build_networks(outputs=2 * self.latent_dim, inputs=self.latent_dim + self.num_classes)
        self.class_embedding = nn.Embedding(self.num_classes, 2 * self.latent_dim) if conditional else None
        bernoulli = likelihood == "bernoulli" or (likelihood == "auto" and self.spec.bounded)
        self.log_scale = None if bernoulli else nn.Parameter(torch.zeros(()))  # log σ of p(x|z)

    # --- the two distributions ---

    def posterior(self, target: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return mean and log variance (B, latent_dim) of q(z|x), or of q(z|x, y) if the model is conditional."""
        out = self.encoder(self.encoder_input(target)).float()
        if self.class_embedding is not None:
            if y is None:
                raise ZooError("model.conditional=true: needs class labels, as y in the batch")
            out = out + self.class_embedding(y)
        mean, log_var = out.chunk(2, 1)
        return mean, log_var.clamp(-12, 12)

    def decoder_output(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Return the decoder's logits or means (B, *output_shape) for latent codes."""
        if y is not None and self.num_classes:
            z = torch.cat([z, F.one_hot(y, self.num_classes).to(z.dtype)], 1)
        out: Tensor = self.decoder(z)
        return out

    def log_likelihood(self, target: Tensor, logits: Tensor) -> Tensor:
        """Return log p(x|z) (B,), summed over the values of a row."""
        logits = logits.float()
        if self.log_scale is None:
            return -F.binary_cross_entropy_with_logits(logits, target, reduction="none").flatten(1).sum(1)
        mean, log_scale = self.output_activation(logits), self.log_scale.clamp(min=-6)
        return log_normal(target.flatten(1), mean.flatten(1), (2 * log_scale).expand(1, 1))

    def sample_posterior(
        self, target: Tensor, y: Tensor | None, mean: Tensor, log_var: Tensor, noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return codes z = μ + σ ε of q(z|x) for ``noise`` ε (B, k, latent_dim), and their log p(x|z) (B, k)."""
        k = noise.shape[1]
        z = mean[:, None] + (0.5 * log_var).exp()[:, None] * noise
        repeated = None if y is None or not self.num_classes else y.repeat_interleave(k)
        logits = self.decoder_output(z.flatten(0, 1), repeated)
        return z, self.log_likelihood(target.repeat_interleave(k, 0), logits).view(-1, k)

    # --- training ---

    def compute_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the negative bound, and the sums of its two terms over the rows."""
        target, y = self.task.target(batch["x"]), batch.get("y")
        mean, log_var = self.posterior(target, y)
        noise = torch.randn(len(mean), self.importance_samples, mean.shape[1], device=mean.device)
        z, log_likelihood = self.sample_posterior(target, y, mean, log_var, noise)
        kl, weight = kl_to_prior(mean, log_var), self.kl_weight()
        if self.importance_samples == 1:
            kl_loss = kl.mean(0).clamp(min=self.free_bits).sum() if self.free_bits else kl.sum(1).mean()
            loss = weight * kl_loss - log_likelihood.mean()
        else:
            log_weights = log_likelihood + weight * log_ratio(z, mean[:, None], log_var[:, None])
            loss = math.log(self.importance_samples) - log_weights.logsumexp(1).mean()
        return loss, {"kl": kl.detach().sum(), "log_likelihood": log_likelihood.detach().mean(1).sum()}

    def kl_weight(self) -> float:
        """Return the weight of the KL divergence at this step of the run."""
        total = self.kl_warmup * self.loop.total_steps
        return self.beta * min(1.0, (self.loop.steps + 1) / total) if total else self.beta

    # --- evaluation and use ---

    def encode(self, target: Tensor, y: Tensor | None = None) -> Tensor:
        """Return the mean (B, latent_dim) of q(z|x)."""
        return self.posterior(target, y)[0]

    def predictions(self, batch: Batch) -> dict[str, Tensor]:
        """Return the predictions of an autoencoder; ``score`` is KL − log p(x|z) at the mean of q(z|x)."""
        predictions = super().predictions(batch)
        if self.task.detects_anomalies:
            target = self.task.target(batch["x"])
            mean, log_var = self.posterior(target)
            log_likelihood = self.log_likelihood(target, self.decoder_output(mean))
            predictions["score"] = kl_to_prior(mean, log_var).sum(1) - log_likelihood
        return predictions

    def eval_step(self, batch: Batch) -> dict[str, Tensor]:
        """Return each row's reconstruction from its mean code, ``score``, ``elbo`` and ``kl``; in the test also
        ``nll``.
        """
        generator = PerSampleGenerator(batch["row"])
        with torch.autocast(self.device.type, enabled=False):  # nats are sums over many values, so bf16 is too coarse
            target, y = self.task.target(batch["x"].float()), batch.get("y")
            mean, log_var = self.posterior(target, y)
            kl, logits = kl_to_prior(mean, log_var).sum(1), self.decoder_output(mean, y)
            noise = generator.normal(1, mean.shape[1]).to(mean)
            elbo = self.sample_posterior(target, y, mean, log_var, noise)[1][:, 0] - kl
            output = {"output": self.output_activation(logits), "elbo": elbo, "kl": kl}
            output["score"] = kl - self.log_likelihood(target, logits)
            if self.testing:
                output["nll"] = self._nll(target, y, mean, log_var, generator)
            return output

    def _nll(
        self, target: Tensor, y: Tensor | None, mean: Tensor, log_var: Tensor, generator: PerSampleGenerator
    ) -> Tensor:
        """Return −log (1/k) Σ p(x, zᵢ)/q(zᵢ|x) of each row (B,), with k = ``test_importance_samples``."""
        at_once = max(1, min(MAX_SAMPLES, int(MAX_NUMBERS // (EVAL_BATCH * self.spec.outputs))))
        total = torch.full((len(target),), -torch.inf, device=target.device)
        for first in range(0, self.test_importance_samples, at_once):
            noise = generator.normal(min(at_once, self.test_importance_samples - first), mean.shape[1]).to(mean)
            z, log_likelihood = self.sample_posterior(target, y, mean, log_var, noise)
            log_weights = log_likelihood + log_ratio(z, mean[:, None], log_var[:, None])
            total = torch.logaddexp(total, log_weights.logsumexp(1))
        return math.log(self.test_importance_samples) - total

    @torch.inference_mode()
    def sample(
        self, count: int = 64, *, seed: int = 0, label: str | None = None, truncation: float | None = None
    ) -> Tensor:
        """Return new rows (count, …) in original units, decoded from codes of the prior.

        A conditional model generates one class, or all of them in turn. A lower ``truncation`` makes samples more
        alike.

        Raises:
            ZooError: the class does not exist, or the model is not conditional.
        """
        z = sample_latents(count, self.latent_dim, seed=seed, truncation=truncation).to(self.device)
        y = labels_of(self.spec, count, label, conditional=self.num_classes > 0, device=self.device)
        with eval_mode(self):
            return self.task.predictions(self.output_activation(self.decoder_output(z, y)))["reconstruction"]

    def visualizations(self, batch: Batch, dataset: Dataset) -> dict[str, Tensor]:
        """Return the visualizations of an autoencoder, and ``samples``."""
        tensors = {} if self.num_classes else super().visualizations(batch, dataset)
        return {**tensors, "samples": self.sample(64).cpu()}

    def extra_metrics(self, dataset: Dataset) -> dict[str, float]:
        """Return the metrics of the codes, and the number of active latent units (``active_units``)."""
        if self.num_classes:
            return {}
        active = int((self.encode_split(dataset.test).var(0) > ACTIVE).sum())
        if not active:
            advice = "try model.kl_warmup=0.3, model.free_bits=0.1 or a smaller model.beta"
            print(
                f"warning: the posterior has collapsed: codes carry no information about their rows; {advice}",
                file=sys.stderr,
            )
        return {**super().extra_metrics(dataset), "active_units": float(active)}
