"""Generative adversarial networks: one network makes images of noise, the other tells them from real ones.

    min_G max_D  E_x[log D(x)] + E_z[log(1 − D(G(z)))]                   Goodfellow et al., NeurIPS 2014

Both learn in each step, from gradients at the same weights. With r = logit of D for real images and f for made ones,

    minimax          D: ζ(−r) + ζ(f)                G: −ζ(f)             ζ = log(1 + exp), the equation above
    non_saturating   the same                       G: ζ(−f)             its second form there
    wasserstein      D: f − r                       G: −f                Arjovsky et al. 2017
    hinge            D: max(0, 1−r) + max(0, 1+f)   G: −f                Lim & Ye 2017, Miyato et al. 2018
    relativistic     D: ζ(f − r)                    G: ζ(r − f)          Jolicoeur-Martineau 2019
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from zoo.config.schema import check_choice, check_flag, check_number
from zoo.data.dataset import Batch
from zoo.data.image.spec import REAL_DIGITS
from zoo.data.spec import DataSpec
from zoo.exceptions import ZooError
from zoo.layers.adversarial import Discriminator, Generator, check_networks
from zoo.layers.blocks import frozen
from zoo.layers.diffaugment import check_shaking, shaken
from zoo.models.generative_base import GenerativeModule
from zoo.registry import register
from zoo.utils.eval_mode import eval_mode

Pair = tuple[Tensor, Tensor]
relu, zeta = F.relu, F.softplus
LOSSES: dict[str, Callable[[Tensor, Tensor], Pair]] = {  # of r and f (B,): what D and what G minimise
    "minimax": lambda r, f: (zeta(-r) + zeta(f), -zeta(f)),
    "non_saturating": lambda r, f: (zeta(-r) + zeta(f), zeta(-f)),
    "wasserstein": lambda r, f: (f - r, -f),
    "hinge": lambda r, f: (relu(1 - r) + relu(1 + f), -f),
    "relativistic": lambda r, f: (zeta(f - r), zeta(r - f)),
}


def slope(logit: Tensor, x: Tensor) -> Tensor:
    """Return ‖∂D/∂x‖² of each image (B,), itself differentiable."""
    (gradient,) = torch.autograd.grad(logit.sum(), x, create_graph=True)
    return gradient.float().square().flatten(1).sum(1)


@register("gan")
class GAN(GenerativeModule):
    """A GAN over images of any size from 8 pixels a side.

    Its ``network``s are dense (``widths``) or convolutional (``channels`` after each halving; see Generator and
    Discriminator), ``latent_dim`` is z's size. ``adversarial`` names the loss. Penalties on D: ``r1`` γ/2 ‖∇D(x)‖² at
    real images (Mescheder 2018), ``r2`` the same at made ones, ``gradient_penalty`` λ (‖∇D(x̂)‖ − 1)² between the two
    (Gulrajani 2017); ``spectral`` divides D's matrices by their norms (Miyato 2018). G learns in every
    ``discriminator_steps``-th step, at the optimiser's rate; D's is ``discriminator_lr`` times that. Samples are of G's
    moving ``average`` (0: of G itself). ``shake`` shows D all images moved, cut and in other shades (Zhao 2020:
    differentiable augmentation), for data that is little. ``conditional`` tells both networks the class: D by
    projection (Miyato & Koyama 2018); D then counts real images under a wrong class as made, too, with the share
    ``mismatched`` of its loss for these (Reed 2016).

    Raises:
        ZooError: an option outside its limits, or one that does not go with the data.
    """

    tasks = ("generation",)
    modalities = ("image",)
    derived_modules: ClassVar[Mapping[str, str]] = {"average": "generator"}

    def __init__(
        self,
        *,
        spec: DataSpec | dict[str, Any] = REAL_DIGITS,
        network: str = "dense",
        widths: Sequence[int] = (256, 512),
        channels: Sequence[int] = (32, 64),
        latent_dim: int = 64,
        norm: str = "batch",
        discriminator_norm: str = "none",
        adversarial: str = "non_saturating",
        r1: float = 0.5,
        r2: float = 0.0,
        gradient_penalty: float = 0.0,
        spectral: bool = False,
        discriminator_steps: int = 1,
        discriminator_lr: float = 1.0,
        average: float = 0.999,
        shake: Sequence[str] = (),
        conditional: bool = False,
        mismatched: float | None = None,
    ) -> None:
        super().__init__(spec=spec, latent_dim=latent_dim, conditional=conditional)
        check_choice("model.adversarial", adversarial, tuple(LOSSES))
        check_number("model.discriminator_steps", discriminator_steps, low=1, integer=True)
        check_number("model.discriminator_lr", discriminator_lr, above=0)
        check_number("model.average", average, low=0, below=1)
        check_number("model.mismatched", mismatched, low=0, below=1, optional=True)
        if mismatched and not (conditional and self.labels > 1):
            raise ZooError(f"model.mismatched={mismatched}: needs model.conditional=true, and two classes at least")
        for name, value in (("r1", r1), ("r2", r2), ("gradient_penalty", gradient_penalty)):
            check_number(f"model.{name}", value, low=0)
        check_flag("model.spectral", spectral)
        check_networks(self.spec, network=network, widths=widths, channels=channels)
        check_shaking(shake)
        self.r1, self.r2, self.gradient_penalty = r1, r2, gradient_penalty
        self.losses, self.shake, self.mismatched = LOSSES[adversarial], tuple(shake), mismatched or 0.0
        self.even = math.log1p(-self.mismatched)  # D weighs made images by 1 − mismatched, which is taken off its odds
        self.discriminator_steps, self.discriminator_lr, self.decay = discriminator_steps, discriminator_lr, average
        sizes: dict[str, Any] = {"network": network, "widths": widths, "channels": channels, "labels": self.labels}
        shape = self.spec.input_shape
        self.generator = Generator(shape, latent_dim=latent_dim, norm=norm, **sizes)
        self.discriminator = Discriminator(shape, norm=discriminator_norm, **sizes)
        if spectral:
            for layer in self.discriminator.weighted():
                spectral_norm(layer)
        self.average = copy.deepcopy(self.generator).requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Return how real raw images (B, C, H, W) in [0, 1] look (B, 1): the logit of D, of any class."""
        return self.discriminator(2 * x - 1)[:, None] + self.even

    def realness(self, images: Tensor, y: Tensor | None) -> Tensor:
        """Return D's logit (B,) of raw images, and of the classes that they are said to be of."""
        return self.discriminator(2 * images - 1, y if self.labels else None) + self.even

    # --- learning ---

    def parameter_groups(self) -> list[tuple[list[nn.Parameter], float]]:
        """Return the parameters of G and of D, each clipped by themselves, with their shares of the learning rate."""
        groups = ((self.generator, 1.0), (self.discriminator, self.discriminator_lr))
        return [(list(network.parameters()), share) for network, share in groups]

    def compute_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the sum of both losses, of which each network has a gradient from its own alone."""
        real, y = 2 * batch["x"] - 1, batch["y"] if self.labels else None
        with torch.set_grad_enabled(self.turn or self.trainer.world_size > 1):  # processes need a gradient of all
            made = self.generator(torch.randn(len(real), self.latent_dim, device=real.device), y)
        seen, fake = shaken(real, self.shake), shaken(made, self.shake)
        r, f, penalty = self._judged(seen, fake.detach(), y)
        loss_d = self.losses(r, f)[0].mean()
        if self.mismatched:
            assert y is not None
            other = (y + torch.randint(1, self.labels, y.shape, device=y.device)) % self.labels
            wrong = self.losses(r, self.discriminator(seen, other))[0].mean()
            loss_d = torch.lerp(loss_d, wrong, self.mismatched)
        loss = loss_d + penalty
        counts = {
            "d_loss": loss_d.detach() * len(real),
            "d_accuracy": ((r > -self.even).sum() + (f < -self.even).sum()) / 2,
        }
        if self.turn:
            with frozen(self.discriminator):
                loss_g = self.losses(r.detach(), self.discriminator(fake, y))[1].mean()
            loss = loss + loss_g
            counts["g_loss"] = loss_g.detach() * len(real) * self.discriminator_steps
        elif made.requires_grad:
            loss = loss + 0 * made.sum()
        return loss, counts

    def _judged(self, real: Tensor, fake: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor, Tensor | float]:
        """Return D's logits of real and of made images (B,), and the penalty on its slopes there or between."""
        penalty: Tensor | float = 0.0
        real.requires_grad_(self.r1 > 0)
        fake.requires_grad_(self.r2 > 0)
        r, f = self.discriminator(real, y), self.discriminator(fake, y)
        for weight, logit, x in ((self.r1, r, real), (self.r2, f, fake)):
            if weight:
                penalty = penalty + weight / 2 * slope(logit, x).mean()
        if self.gradient_penalty:
            share = torch.rand(len(real), 1, 1, 1, device=real.device)
            between = torch.lerp(real.detach(), fake.detach(), share).requires_grad_()
            norm = (slope(self.discriminator(between, y), between) + 1e-12).sqrt()
            penalty = penalty + self.gradient_penalty * (norm - 1).square().mean()
        return r, f, penalty

    @property
    def turn(self) -> bool:
        """Whether G learns in the step at work."""
        return (self.loop.steps + 1) % self.discriminator_steps == 0

    def optimizer_step(self) -> None:
        """Step, G in its turn alone, and have the average follow."""
        turn = self.turn
        if not turn:
            for parameter in self.generator.parameters():
                parameter.grad = None
        super().optimizer_step()
        if turn:
            self._follow()

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the average towards G, faster in the first steps."""
        weight = 1 - min(self.decay, self.loop.steps / (self.loop.steps + 10)) if self.decay else 1.0
        mine, theirs = self.average.state_dict(), self.generator.state_dict()
        pairs = [(a, theirs[name]) for name, a in mine.items()]
        floats = [pair for pair in pairs if pair[0].is_floating_point()]
        torch._foreach_lerp_([a for a, _ in floats], [b for _, b in floats], weight)
        for a, b in pairs:
            if not a.is_floating_point():
                a.copy_(b)

    def made(self, z: Tensor, y: Tensor | None) -> Tensor:
        """Return the average's images (B, C, H, W) in [0, 1]."""
        with eval_mode(self.average):
            images: Tensor = (self.average(z, y) + 1) / 2
        return images
