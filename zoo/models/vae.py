"""The variational autoencoder: a distribution of codes for each input, and inputs drawn from codes.

    p(z) = N(0, I),   q(z|x) = N(μ(x), σ(x)²),   log p(x) ≥ E_q[log p(x|z)] − KL(q(z|x) ‖ p(z))

Kingma, Welling: Auto-encoding variational Bayes, ICLR 2014. With k samples the bound log (1/k) Σ p(x, zᵢ)/q(zᵢ|x) is
closer (Burda, Grosse, Salakhutdinov: Importance weighted autoencoders, ICLR 2016).
"""

from __future__ import annotations

import math
import sys
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MetricCollection

from zoo.config.schema import check_flag, check_number
from zoo.data.classes import labelled, labels_of
from zoo.data.dataset import Batch, Dataset
from zoo.exceptions import ZooError
from zoo.layers.encoder_decoder import decoder, encoder
from zoo.layers.latents import sample_latents
from zoo.models.autoencoder_base import CodingModule
from zoo.registry import register
from zoo.tasks.base import Metrics
from zoo.tasks.reconstruction import Reconstruction
from zoo.utils.eval_mode import eval_mode
from zoo.utils.random import EVAL_BATCH, PerSampleGenerator

LIKELIHOODS = ("auto", "bernoulli", "gaussian")
AT_ONCE, NUMBERS = 20, 2e7  # codes of a row, and numbers in all, that are decoded together in an evaluation
ACTIVE = 0.01  # variance of a number's mean over the data, below which it tells nothing (Burda 2016)


class Bound(Reconstruction):
    """The bound on log p(x) beside the error: ``elbo`` with one sample, ``kl``, ``nll`` by many, in nats a row."""

    monitor, mode = "elbo", "max"

    def names(self, stage: str) -> list[str]:
        """Return the figures of a stage."""
        return [*super().names(stage), "elbo", *(["kl", "nll"] if stage == "test" else [])]

    def update(self, metrics: MetricCollection, output: Any, batch: Batch) -> None:
        """Add a batch; ``output`` has the figures of each row (B,)."""
        super().update(metrics, output, batch)
        weight = self.normal(batch).float()
        assert isinstance(metrics, Metrics)
        metrics.feed(**{name: (output[name], weight) for name in ("elbo", "kl", "nll") if name in output})


def kl_to_prior(mean: Tensor, log_var: Tensor) -> Tensor:
    """Return KL(N(μ, σ²) ‖ N(0, 1)) = ½ (μ² + σ² − log σ² − 1) of each number (B, latent_dim)."""
    return 0.5 * (mean.square() + log_var.exp() - log_var - 1)


def log_normal(z: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    """Return log N(z; μ, σ²), summed over the last dimension."""
    return -0.5 * (math.log(2 * math.pi) + log_var + (z - mean).square() * (-log_var).exp()).sum(-1)


def log_ratio(z: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    """Return log p(z) − log q(z|x) of codes (…, latent_dim): N(0, 1) over N(μ, σ²)."""
    return log_normal(z, torch.zeros_like(mean), torch.zeros_like(mean)) - log_normal(z, mean, log_var)


@register("vae")
class VAE(CodingModule):
    """A variational autoencoder over images, tables or windows of time series.

    Its networks are those of ``CodingModule``. The loss is the bound with ``samples`` codes, in it KL weighted by
    ``beta`` (Higgins 2017), which rises from 0 over the share ``kl_warmup`` of the run (Sønderby 2016); each number of
    the code may take ``free_bits`` nats at no cost (Kingma 2016). ``likelihood`` is bernoulli, which images have unless
    said otherwise, or gaussian with one deviation that is learnt (Rybkin 2021). ``conditional`` tells both networks the
    label. The test's nll draws ``test_samples`` codes a row.

    Raises:
        ZooError: an option outside its limits, or one that does not go with the data.
    """

    usual = 8

    def __init__(
        self,
        *,
        likelihood: str = "auto",
        beta: float = 1.0,
        kl_warmup: float = 0.0,
        free_bits: float = 0.0,
        samples: int = 1,
        conditional: bool = False,
        test_samples: int = 1000,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        self.check_likelihood(likelihood, LIKELIHOODS)
        for name, value in (("beta", beta), ("kl_warmup", kl_warmup), ("free_bits", free_bits)):
            check_number(f"model.{name}", value, low=0, **({"high": 1} if name == "kl_warmup" else {}))
        for name, count in (("samples", samples), ("test_samples", test_samples)):
            check_number(f"model.{name}", count, low=1, integer=True)
        check_flag("model.conditional", conditional)
        if samples > 1 and free_bits:
            raise ZooError("model.free_bits: are of the KL, which the bound of several model.samples has not by itself")
        if conditional and not labelled(self.spec):
            raise ZooError(f"model.conditional=true: needs rows with classes, which {self.spec.name} has not")
        self.beta, self.kl_warmup, self.free_bits = beta, kl_warmup, free_bits
        self.samples, self.test_samples = samples, test_samples
        self.num_classes = len(self.spec.classes) if conditional else 0
        self.testing = False
        self.task = Bound(self.spec)
        self.encoder = encoder(self.spec, outputs=2 * self.latent_dim, **self.layers)
        self.decoder = decoder(self.spec, inputs=self.latent_dim + self.num_classes, **self.layers)
        self.told = nn.Embedding(self.num_classes, 2 * self.latent_dim) if conditional else None
        bernoulli = likelihood == "bernoulli" or (likelihood == "auto" and self.spec.modality == "image")
        self.log_scale = None if bernoulli else nn.Parameter(torch.zeros(()))  # log σ of p(x|z)

    # --- the two distributions ---

    def posterior(self, target: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return mean and log variance (B, latent_dim) of q(z|x), or of q(z|x, y)."""
        out = self.encoder(self.read(target)).float()
        if self.told is not None:
            out = out + self.told(self._label(y))
        mean, log_var = out.chunk(2, 1)
        return mean, log_var.clamp(-12, 12)

    def _label(self, y: Tensor | None) -> Tensor:
        if y is None:
            raise ZooError("model.conditional=true: needs the rows' labels, in the batch as y")
        return y

    def decoded(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Return the decoder's logits, or means, (B, *output_shape) of codes."""
        if self.num_classes:
            z = torch.cat([z, F.one_hot(self._label(y), self.num_classes).to(z.dtype)], 1)
        out: Tensor = self.decoder(z)
        return out

    def log_likelihood(self, target: Tensor, logits: Tensor) -> Tensor:
        """Return log p(x|z) (B,), summed over the row's numbers."""
        logits = logits.float()
        if self.log_scale is None:
            return -F.binary_cross_entropy_with_logits(logits, target, reduction="none").flatten(1).sum(1)
        mean = self.values(logits) if self.spec.modality == "image" else logits
        scale = self.log_scale.clamp(min=-6)
        return log_normal(target.flatten(1), mean.flatten(1), (2 * scale).expand(1, 1))

    # --- learning ---

    def compute_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return minus the bound, and sums over the rows of both its parts."""
        target, y = self.task.target(batch["x"]), batch.get("y")
        mean, log_var = self.posterior(target, y)
        noise = torch.randn(len(mean), self.samples, mean.shape[1], device=mean.device)
        z, seen = self._seen(target, y, mean, log_var, noise)
        kl, weight = kl_to_prior(mean, log_var), self.kl_weight()
        if self.samples == 1:
            cost = kl.mean(0).clamp(min=self.free_bits).sum() if self.free_bits else kl.sum(1).mean()
            loss = weight * cost - seen.mean()
        else:
            ratio = seen + weight * log_ratio(z, mean[:, None], log_var[:, None])
            loss = math.log(self.samples) - ratio.logsumexp(1).mean()
        return loss, {"kl": kl.detach().sum(), "log_likelihood": seen.detach().mean(1).sum()}

    def kl_weight(self) -> float:
        """Return β at this step of the run."""
        total = self.kl_warmup * self.loop.total_steps
        return self.beta * min(1.0, (self.loop.steps + 1) / total) if total else self.beta

    # --- use ---

    def code(self, target: Tensor, y: Tensor | None = None) -> Tensor:
        """Return the mean of q(z|x) (B, latent_dim)."""
        return self.posterior(target, y)[0]

    def predictions(self, batch: Batch) -> dict[str, Tensor]:
        """Return the answer of an autoencoder; ``score`` is KL − log p(x|z) at the mean of q(z|x)."""
        found = super().predictions(batch)
        if self.task.detects_anomalies:
            target = self.task.target(batch["x"])
            mean, log_var = self.posterior(target)
            seen = self.log_likelihood(target, self.decoded(mean))
            found["score"] = kl_to_prior(mean, log_var).sum(1) - seen
        return found

    def begin_evaluation(self, stage: str) -> None:
        """Note whether it is the test, where many codes are drawn."""
        self.testing = stage == "test"

    def eval_step(self, batch: Batch) -> dict[str, Tensor]:
        """Return what each row's mean code gives, its ``score``, ``elbo`` and ``kl``, in test ``nll``."""
        draws = PerSampleGenerator(batch["row"])
        with torch.autocast(self.device.type, enabled=False):  # nats are sums over all of a row's numbers
            target, y = self.task.target(batch["x"].float()), batch.get("y")
            mean, log_var = self.posterior(target, y)
            kl, logits = kl_to_prior(mean, log_var).sum(1), self.decoded(mean, y)
            elbo = self._seen(target, y, mean, log_var, draws.normal(1, mean.shape[1]).to(mean))[1][:, 0] - kl
            found = {"output": self.values(logits), "elbo": elbo, "kl": kl}
            found["score"] = kl - self.log_likelihood(target, logits)
            return {**found, "nll": self._nll(target, y, mean, log_var, draws)} if self.testing else found

    def _seen(
        self, target: Tensor, y: Tensor | None, mean: Tensor, log_var: Tensor, noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return codes of q(z|x) by ``noise`` (B, k, latent_dim), and log p(x|z) of each (B, k)."""
        k = noise.shape[1]
        z = mean[:, None] + (0.5 * log_var).exp()[:, None] * noise
        many = None if y is None or not self.num_classes else y.repeat_interleave(k)
        logits = self.decoded(z.flatten(0, 1), many)
        return z, self.log_likelihood(target.repeat_interleave(k, 0), logits).view(-1, k)

    def _nll(
        self, target: Tensor, y: Tensor | None, mean: Tensor, log_var: Tensor, draws: PerSampleGenerator
    ) -> Tensor:
        """Return −log (1/k) Σ p(x, zᵢ)/q(zᵢ|x) of each row (B,), k being ``test_samples``."""
        at_once = max(1, min(AT_ONCE, int(NUMBERS // (EVAL_BATCH * self.spec.outputs))))
        done, total = 0, torch.full((len(target),), -torch.inf, device=target.device)
        while done < self.test_samples:
            k = min(at_once, self.test_samples - done)
            z, seen = self._seen(target, y, mean, log_var, draws.normal(k, mean.shape[1]).to(mean))
            ratio = seen + log_ratio(z, mean[:, None], log_var[:, None])
            total = torch.logaddexp(total, ratio.logsumexp(1))
            done += k
        return math.log(self.test_samples) - total

    @torch.inference_mode()
    def sample(
        self, count: int = 64, *, seed: int = 0, label: str | None = None, truncation: float | None = None
    ) -> Tensor:
        """Return so many new rows in original units, from codes of the prior; of a conditional model by classes.

        With a ``truncation`` of their codes they are more alike.

        Raises:
            ZooError: no such class, or a model that was told none.
        """
        z = sample_latents(count, self.latent_dim, seed=seed, truncation=truncation).to(self.device)
        y = labels_of(self.spec, count, label, conditional=self.num_classes > 0, device=self.device)
        with eval_mode(self):
            out: Tensor = self.values(self.decoded(z, y))
        return self.task.predictions(out)["reconstruction"]

    def visualizations(self, batch: Batch, dataset: Dataset) -> dict[str, Tensor]:
        """Return what pictures show of an autoencoder, and ``samples``."""
        found = {} if self.num_classes else super().visualizations(batch, dataset)
        return {**found, "samples": self.sample(64).cpu()}

    def extra_metrics(self, dataset: Dataset) -> dict[str, float]:
        """Return the figures of codes, and how many of their numbers say anything (``active_units``)."""
        if self.num_classes:
            return {}
        active = int((self.codes(dataset.test).var(0) > ACTIVE).sum())
        if not active:
            print(
                "warning: the posterior has collapsed, codes say nothing of their rows; try model.kl_warmup=0.3, "
                "model.free_bits=0.1 or a smaller model.beta",
                file=sys.stderr,
            )
        return {**super().extra_metrics(dataset), "active_units": float(active)}
