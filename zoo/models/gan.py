"""Generative adversarial networks: a generator turns noise into images, a discriminator tells them from real ones.

    min_G max_D  E_x[log D(x)] + E_z[log(1 − D(G(z)))]                   Goodfellow et al., NeurIPS 2014

Training is Algorithm 1 of the paper. D steps on each batch. After every ``n_critic``-th step of D, G steps against the
new D, on new noise. With ζ = log(1 + exp), and D's logits r of real and f of generated images, the networks minimize

    - minimax          D: ζ(−r) + ζ(f)                G: −ζ(f)           the equation above
    - non_saturating   the same                       G: ζ(−f)           section 3 of the paper
    - wasserstein      D: f − r                       G: −f              Arjovsky et al. 2017
    - hinge            D: max(0, 1−r) + max(0, 1+f)   G: −f              Lim & Ye 2017, Miyato et al. 2018
    - relativistic     D: ζ(f − r)                    G: ζ(r − f)        Jolicoeur-Martineau 2019
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from zoo.config.schema import Count, Flag, NonNegative, Positive, Share, Sizes, number, one_of
from zoo.data.dataset import Batch
from zoo.data.image.spec import REAL_DIGITS
from zoo.data.spec import DataSpec
from zoo.exceptions import ZooError
from zoo.layers.blocks import NORMS, frozen
from zoo.layers.diffaugment import check_diffaugment, diffaugment
from zoo.layers.encoder_decoder import NETWORKS, check_encoder, decoder, encoder
from zoo.models.generative_base import GenerativeModule
from zoo.optim.weights import update_ema
from zoo.registry import register
from zoo.utils.eval_mode import eval_mode

Criterion = Callable[[Tensor, Tensor], Tensor]  # from r and f (B,) to the loss (B,) of each pair
relu, zeta = F.relu, F.softplus
LOSSES: dict[str, tuple[Criterion, Criterion]] = {  # (loss of D, loss of G)
    "minimax": (lambda r, f: zeta(-r) + zeta(f), lambda r, f: -zeta(f)),
    "non_saturating": (lambda r, f: zeta(-r) + zeta(f), lambda r, f: zeta(-f)),
    "wasserstein": (lambda r, f: f - r, lambda r, f: -f),
    "hinge": (lambda r, f: relu(1 - r) + relu(1 + f), lambda r, f: -f),
    "relativistic": (lambda r, f: zeta(f - r), lambda r, f: zeta(r - f)),
}
MIN_SIDE = 8  # pixels
EMA_WARMUP = 10  # steps; the decay begins at 1 / 11


# --- networks ---


class Generator(nn.Module):
    """The generator: noise ``(B, latent_dim)`` and, if there are ``num_classes``, class labels ``(B,)`` to images
    ``(B, C, H, W)`` in [−1, 1].

    The dense network has layers of ``hidden_sizes``. The convolutional one starts from ``channels[-1]`` small maps, and
    each transposed convolution doubles their sides up to the image (Radford 2016: DCGAN). ``norm`` follows each hidden
    layer.
    """

    def __init__(
        self, shape: tuple[int, ...], *, latent_dim: int, num_classes: int, hidden_sizes: Sequence[int], **options: Any
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        options |= {"activation": "relu", "dropout": 0.0, "hidden_sizes": hidden_sizes[::-1]}
        self.network = decoder(shape, inputs=latent_dim + num_classes, kernel_size=4, **options)
        init_convolutions(self)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Return images (B, C, H, W) in [−1, 1] for noise, and for class labels (B,) if the generator is conditional."""
        if self.num_classes:
            assert y is not None
            z = torch.cat([z, F.one_hot(y, self.num_classes).to(z.dtype)], 1)
        return torch.tanh(self.network(z).float())


class Discriminator(nn.Module):
    """The discriminator: images ``(B, C, H, W)`` in [−1, 1] to logits ``(B,)``; a higher logit means more realistic.

    The dense network has layers of ``hidden_sizes`` in reverse order. The convolutional one has a strided convolution
    for each of ``channels``. With ``num_classes`` the logit is ψ(h) + ⟨e_y, h⟩, where h is the last hidden layer
    (projection discriminator, Miyato & Koyama 2018).
    """

    def __init__(
        self, shape: tuple[int, ...], *, num_classes: int, hidden_sizes: Sequence[int], **options: Any
    ) -> None:
        super().__init__()
        options |= {"activation": "leaky_relu", "dropout": 0.0, "hidden_sizes": hidden_sizes[::-1]}
        *hidden, head = encoder(shape, outputs=1, kernel_size=4, input_norm=False, **options)
        assert isinstance(head, nn.Linear)
        self.network, self.head = nn.Sequential(*hidden), head
        self.class_embedding = nn.Embedding(num_classes, head.in_features) if num_classes else None
        init_convolutions(self)

    def weight_layers(self) -> Iterator[nn.Module]:
        """Yield the layers that have weight matrices."""
        yield from (m for m in self.modules() if isinstance(m, (nn.Linear, nn.Conv2d, nn.Embedding)))

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Return the logits (B,), given class labels ``y`` (B,) or averaged over the classes if there are none."""
        h: Tensor = self.network(x)
        logit: Tensor = self.head(h).squeeze(1).float()
        if self.class_embedding is None:
            return logit
        if y is not None:
            projection: Tensor = (h * self.class_embedding(y)).sum(1)
            return logit + projection.float()
        by_class = (h @ self.class_embedding.weight.T).float()
        return logit + by_class.logsumexp(1) - math.log(by_class.shape[1])  # log of the odds, averaged over the classes


def init_convolutions(network: nn.Module) -> None:
    """Initialize the weights of convolutions from N(0, 0.02²) (Radford 2016); other layers keep torch's defaults."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight, std=0.02)


def max_halvings(shape: tuple[int, ...]) -> int:
    """Return how often an image can be halved before a side is below 2 pixels."""
    return min(shape[1:]).bit_length() - 2


def check_networks(spec: DataSpec, *, network: str, channels: Sequence[int]) -> None:
    """Raise ZooError if the options of the networks do not fit the images."""
    check_encoder(spec, network=network, channels=channels)
    side, most = min(spec.input_shape[1:]), max_halvings(spec.input_shape)
    if side < MIN_SIDE:
        raise ZooError(f"{spec.name}: images of {side} pixels a side are too small for a GAN; at least {MIN_SIDE}")
    if network == "conv" and len(channels) > most:
        raise ZooError(f"model.channels={list(channels)}: must be 1 to {most} numbers, since each halves the image")


# --- training ---


def squared_slope(logit: Tensor, x: Tensor) -> Tensor:
    """Return ‖∂D/∂x‖² (B,) of each image, with a graph for its own gradient."""
    (gradient,) = torch.autograd.grad(logit.sum(), x, create_graph=True)
    return gradient.float().square().flatten(1).sum(1)


@register("gan")
class GAN(GenerativeModule):
    """A generative adversarial network (Goodfellow et al. 2014) over images of at least 8 pixels a side.

    The generator G maps noise z to images. The discriminator D learns to tell them from real images, and G learns to
    fool it: ``min_G max_D E[log D(x)] + E[log(1 − D(G(z)))]``. ``sample`` returns images ``(count, C, H, W)`` in [0,
    1], and ``forward`` maps images ``(B, C, H, W)`` to D's logits ``(B, 1)``.

    Args:
        network: dense (layers of ``hidden_sizes``) or conv (``channels`` after each halving of the image).
        hidden_sizes: for dense, sizes of the generator's hidden layers; the discriminator has them in reverse order.
        channels: for conv, output channels after each halving of the image.
        latent_dim: size of the noise z.
        norm: normalization in the generator: none, batch or layer.
        discriminator_norm: normalization in the discriminator: none, batch or layer.
        gan_loss: minimax, non_saturating, wasserstein, hinge or relativistic.
        r1_gamma: γ of the R1 penalty γ/2 ‖∇D(x)‖² at real images (Mescheder 2018).
        r2_gamma: γ of the R2 penalty, the same at generated images.
        gradient_penalty: λ of λ (‖∇D(x̂)‖ − 1)² at x̂ between real and generated images (WGAN-GP, Gulrajani 2017).
        spectral_norm: apply spectral normalization to the discriminator's weights (Miyato 2018).
        n_critic: discriminator steps per generator step.
        discriminator_lr_ratio: learning rate of the discriminator as a multiple of optimizer.lr.
        ema_decay: decay of the generator's moving average (EMA), which generates samples; 0: no averaging.
        diffaugment: augmentations of all images that D sees, from [color, translation, cutout] (Zhao 2020).
        conditional: condition both networks on the class; D by projection (Miyato & Koyama 2018).
        mismatched_label_weight: weight in D's loss of real images with a wrong class, counted as fake (Reed 2016).

    Raises:
        ZooError: an option is outside its limits, or does not apply to the data.
    """

    tasks = ("generation",)
    modalities = ("image",)
    derived_modules: ClassVar[Mapping[str, str]] = {"generator_ema": "generator"}
    learns_in_parts = True  # the networks learn in turn

    def __init__(
        self,
        *,
        spec: DataSpec | dict[str, Any] = REAL_DIGITS,
        network: Annotated[str, one_of(NETWORKS)] = "dense",
        hidden_sizes: Sizes = (256, 512),
        channels: Sizes = (32, 64),
        latent_dim: Count = 64,
        norm: Annotated[str, one_of(NORMS)] = "batch",
        discriminator_norm: Annotated[str, one_of(NORMS)] = "none",
        gan_loss: Annotated[str, one_of(LOSSES)] = "non_saturating",
        r1_gamma: NonNegative = 0.5,
        r2_gamma: NonNegative = 0.0,
        gradient_penalty: NonNegative = 0.0,
        spectral_norm: Flag = False,
        n_critic: Count = 1,
        discriminator_lr_ratio: Positive = 1.0,
        ema_decay: Share = 0.999,
        diffaugment: Sequence[str] = (),
        conditional: bool = False,
        mismatched_label_weight: Annotated[float | None, number(low=0, below=1, optional=True)] = None,
    ) -> None:
        super().__init__(spec=spec, latent_dim=latent_dim, conditional=conditional)
        if mismatched_label_weight and not (conditional and self.num_classes > 1):
            weight = f"model.mismatched_label_weight={mismatched_label_weight}"
            raise ZooError(f"{weight}: needs model.conditional=true and at least two classes")
        check_networks(self.spec, network=network, channels=channels)
        check_diffaugment(diffaugment)
        self.gan_loss, self.n_critic, self.discriminator_lr_ratio = gan_loss, n_critic, discriminator_lr_ratio
        self.r1_gamma, self.r2_gamma, self.gradient_penalty = r1_gamma, r2_gamma, gradient_penalty
        self.ema_decay, self.policy = ema_decay, tuple(diffaugment)
        self.mismatched_label_weight = mismatched_label_weight or 0.0
        self.logit_shift = math.log1p(-self.mismatched_label_weight)  # corrects D's odds for the lower weight of fakes
        self.group: list[Batch] = []  # batches of one accumulated step of D
        shape = self.spec.input_shape
        sizes: dict[str, Any] = {"network": network, "hidden_sizes": hidden_sizes, "channels": channels}
        sizes["num_classes"] = self.num_classes
        self.generator = Generator(shape, latent_dim=latent_dim, norm=norm, **sizes)
        self.discriminator = Discriminator(shape, norm=discriminator_norm, **sizes)
        if spectral_norm:
            for layer in self.discriminator.weight_layers():
                parametrizations.spectral_norm(layer)
        self.generator_ema = copy.deepcopy(self.generator).requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Return D's logit (B, 1) for raw images (B, C, H, W) in [0, 1], averaged over the classes if D is conditional."""
        return self.discriminator_logit(x)[:, None]

    def discriminator_logit(self, images: Tensor, y: Tensor | None = None) -> Tensor:
        """Return D's logit (B,) for images in [0, 1], given class labels (B,) or averaged over the classes."""
        logit: Tensor = self.discriminator(2 * images - 1, y)
        return logit + self.logit_shift

    def generate_images(self, z: Tensor, y: Tensor | None) -> Tensor:
        """Return images (B, C, H, W) in [0, 1] from the moving average of the generator."""
        with eval_mode(self.generator_ema):
            images: Tensor = (self.generator_ema(z, y) + 1) / 2
        return images

    # --- Algorithm 1 ---

    def training_step_on_batch(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Step D and, after each ``n_critic``-th of its steps, G; return the sum of their losses."""
        loss, counts = self.discriminator_step(batch)
        if self.group_complete:
            if (self.loop.steps + 1) % self.n_critic == 0:
                g_loss, rows = self.generator_step()
                loss = loss + g_loss / rows
                counts["g_loss"] = g_loss * self.n_critic
            self.count_step()
        return loss, counts

    def discriminator_step(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Add the gradient of D's loss for a batch, and step D once its group of batches is complete."""
        if not self.loop.waiting:
            self.group.clear()
        self.group.append(batch)
        loss, counts = self.discriminator_loss(batch)
        self.accumulate_gradients(loss)
        if self.group_complete:
            self.apply_gradients()
        return loss.detach(), counts

    def generator_step(self) -> tuple[Tensor, int]:
        """Step G against the new D, on as many images as D's step had; return G's summed loss and the number of images."""
        total, rows = torch.zeros((), device=self.device), 0
        with frozen(self.discriminator):
            for batch in self.group:
                loss, size = self.generator_loss(batch), len(batch["x"])
                self.add_gradients(loss, rows=size)
                total, rows = total + loss.detach() * size, rows + size
        self.apply_gradients()
        steps = self.loop.steps + 1
        update_ema(self.generator_ema, self.generator, decay=min(self.ema_decay, steps / (steps + EMA_WARMUP)))
        return total, rows

    def discriminator_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return D's mean loss for a batch with its penalties, and the sums to report."""
        real, y = self.real_images(batch)
        with torch.no_grad():
            fake = self.fake_images(len(real), y)
        r, f, penalty = self.logits_and_penalty(real, fake, y)
        criterion = LOSSES[self.gan_loss][0]
        loss = criterion(r, f).mean()
        if self.mismatched_label_weight:
            assert y is not None
            wrong = (y + torch.randint(1, self.num_classes, y.shape, device=y.device)) % self.num_classes
            mismatched_loss = criterion(r, self.discriminator(real, wrong)).mean()
            loss = torch.lerp(loss, mismatched_loss, self.mismatched_label_weight)
        correct = (r > -self.logit_shift).sum() + (f < -self.logit_shift).sum()
        return loss + penalty, {"d_loss": loss.detach() * len(real), "d_accuracy": correct / 2}

    def generator_loss(self, batch: Batch) -> Tensor:
        """Return G's mean loss on new noise, for as many images as the batch has."""
        real, y = self.real_images(batch)
        f = self.discriminator(self.fake_images(len(real), y), y)
        r = self.discriminator(real, y) if self.gan_loss == "relativistic" else f  # only this loss of G depends on r
        return LOSSES[self.gan_loss][1](r.detach(), f).mean()

    def real_images(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Return a batch's augmented images in [−1, 1], and its class labels if the networks are conditional."""
        return diffaugment(2 * batch["x"] - 1, self.policy), batch["y"] if self.num_classes else None

    def fake_images(self, count: int, y: Tensor | None) -> Tensor:
        """Return augmented images in [−1, 1], generated from new noise."""
        return diffaugment(self.generator(torch.randn(count, self.latent_dim, device=self.device), y), self.policy)

    def logits_and_penalty(self, real: Tensor, fake: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor, Tensor | float]:
        """Return D's logits (B,) for real and for generated images, and its gradient penalties."""
        penalty: Tensor | float = 0.0
        real.requires_grad_(self.r1_gamma > 0)
        fake.requires_grad_(self.r2_gamma > 0)
        r, f = self.discriminator(real, y), self.discriminator(fake, y)
        for gamma, logit, x in ((self.r1_gamma, r, real), (self.r2_gamma, f, fake)):
            if gamma:
                penalty = penalty + gamma / 2 * squared_slope(logit, x).mean()
        if self.gradient_penalty:
            mix = torch.rand(len(real), 1, 1, 1, device=real.device)
            between = torch.lerp(real.detach(), fake.detach(), mix).requires_grad_()
            norm = (squared_slope(self.discriminator(between, y), between) + 1e-12).sqrt()
            penalty = penalty + self.gradient_penalty * (norm - 1).square().mean()
        return r, f, penalty

    # --- training loop ---

    def parameter_groups(self) -> list[tuple[list[nn.Parameter], float]]:
        """Return the parameters of D and of G, clipped separately, with their factors of the learning rate."""
        discriminator = list(self.discriminator.parameters()), self.discriminator_lr_ratio
        return [discriminator, (list(self.generator.parameters()), 1.0)]

    def training_state(self) -> dict[str, Any]:
        """Return the training state with the batches of an incomplete group, which G's next step needs."""
        return {**super().training_state(), "group": list(self.group) if self.loop.waiting else None}

    def load_training_state(self, state: dict[str, Any]) -> None:
        """Restore the state returned by ``training_state``."""
        super().load_training_state(state)
        self.group = [{key: value.to(self.device) for key, value in batch.items()} for batch in state["group"] or ()]
