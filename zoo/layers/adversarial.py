"""The two networks of a GAN: noise to an image, an image to how real it looks. Dense, or convolutional at any size."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.config.schema import check_choice
from zoo.data.spec import DataSpec
from zoo.exceptions import ZooError
from zoo.layers.blocks import NORMS, activation_of, halved, norm_of
from zoo.layers.mlp import check_sizes, mlp

MODALITIES, SMALLEST = ("dense", "conv"), 8  # pixels a side
PLAIN: dict[str, Any] = {"dropout": 0.0, "residual": False}  # of dense layers


def check_networks(spec: DataSpec, *, network: str, widths: Sequence[int], channels: Sequence[int]) -> None:
    """Raise ZooError where an option of the networks is outside its limits."""
    check_choice("model.network", network, MODALITIES)
    check_sizes("model.widths", widths)
    check_sizes("model.channels", channels)
    side = min(spec.input_shape[1:])
    if side < SMALLEST:
        raise ZooError(f"{spec.name}: images of {side} pixels a side are too small for a GAN; at least {SMALLEST}")
    if network == "conv" and not 1 <= len(channels) <= most_halvings(spec.input_shape):
        most = most_halvings(spec.input_shape)
        raise ZooError(f"model.channels={list(channels)}: must be 1 to {most} numbers, since each halves the image")


def most_halvings(shape: tuple[int, ...]) -> int:
    """Return how often an image can be halved before a side is below 2 pixels."""
    return min(shape[1:]).bit_length() - 2


class Doubled(nn.ConvTranspose2d):
    """A transposed 4×4 convolution to twice the size, or one pixel less: each pixel is made of equally many."""

    def __init__(self, inputs: int, outputs: int, *, size: tuple[int, int], bias: bool) -> None:
        super().__init__(inputs, outputs, 4, stride=2, padding=1, bias=bias)
        self.size = size

    def forward(self, h: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Return (B, outputs, *size) of (B, inputs, ⌈height / 2⌉, ⌈width / 2⌉)."""
        return super().forward(h)[:, :, : self.size[0], : self.size[1]]


class Generator(nn.Module):
    """Noise (B, latent_dim), with the class where there are ``labels``, to images (B, C, H, W) in [−1, 1].

    Dense: layers of ``widths``. Convolutional: a layer to ``channels[-1]`` small maps, each transposed convolution
    doubling them, in the end to the image (Radford 2016: DCGAN). ``norm`` follows each hidden layer.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        latent_dim: int,
        network: str,
        widths: Sequence[int],
        channels: Sequence[int],
        norm: str,
        labels: int,
    ) -> None:
        super().__init__()
        check_choice("model.norm", norm, NORMS)
        self.shape, self.labels, plain = shape, labels, norm == "none"
        parts: list[nn.Module] = []
        if network == "dense":
            sizes = [latent_dim + labels, *widths]
            parts += mlp(sizes[0], widths, activation="relu", norm=norm, **PLAIN)
            parts += [nn.Linear(sizes[-1], math.prod(shape)), nn.Unflatten(1, shape)]
        else:
            *larger, least = halved(shape[1:], len(channels))
            first = (channels[-1], *least)
            parts += [nn.Linear(latent_dim + labels, math.prod(first), bias=plain), nn.Unflatten(1, first)]
            parts += [*norm_of(norm, channels[-1]), nn.ReLU()]
            for number in reversed(range(len(channels))):
                made = channels[number - 1] if number else shape[0]
                parts.append(Doubled(channels[number], made, size=larger[number], bias=plain or not number))
                parts += [*norm_of(norm, made), nn.ReLU()] if number else []
        self.network = nn.Sequential(*parts)
        draw(self)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Return images of noise, and of classes (B,)."""
        if self.labels:
            assert y is not None
            z = torch.cat([z, F.one_hot(y, self.labels).to(z.dtype)], 1)
        return self.network(z).float().tanh()


class Discriminator(nn.Module):
    """Images (B, C, H, W) in [−1, 1] to logits (B,), the higher the more real they look.

    Dense: layers of ``widths``, the last one first. Convolutional: a strided convolution to each of ``channels``. With
    ``labels`` the logit is ψ(h) + ⟨e_y, h⟩, h being the last hidden layer (Miyato & Koyama 2018).
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        network: str,
        widths: Sequence[int],
        channels: Sequence[int],
        norm: str,
        labels: int,
    ) -> None:
        super().__init__()
        check_choice("model.discriminator_norm", norm, NORMS)
        parts: list[nn.Module] = []
        if network == "dense":
            sizes = [math.prod(shape), *reversed(widths)]
            parts += [nn.Flatten(), *mlp(sizes[0], sizes[1:], activation="leaky_relu", norm=norm, **PLAIN)]
            features = sizes[-1]
        else:
            for number, (before, after) in enumerate(itertools.pairwise([shape[0], *channels])):
                # the first layer has no norm (Radford 2016)
                norms = norm_of(norm, after) if number else []
                parts += [nn.Conv2d(before, after, 4, stride=2, padding=1), *norms, activation_of("leaky_relu")]
            parts.append(nn.Flatten())
            features = channels[-1] * (shape[1] >> len(channels)) * (shape[2] >> len(channels))
        self.network = nn.Sequential(*parts)
        self.head = nn.Linear(features, 1)
        self.told = nn.Embedding(labels, features) if labels else None
        draw(self)

    def weighted(self) -> Iterator[nn.Module]:
        """Yield the layers with matrices."""
        yield from (m for m in self.modules() if isinstance(m, (nn.Linear, nn.Conv2d, nn.Embedding)))

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Return the logits, of a class (B,) where there are labels; without y the logit that any class has."""
        h = self.network(x)
        logit: Tensor = self.head(h).squeeze(1).float()
        if self.told is None:
            return logit
        if y is None:  # log of the mean odds over classes
            each = (h @ self.told.weight.T).float()
            return logit + each.logsumexp(1) - math.log(each.shape[1])
        return logit + (h * self.told(y)).sum(1).float()


def draw(network: nn.Module) -> None:
    """Draw a GAN's first weights from N(0, 0.02²) (Radford 2016) where layers are convolutions; others keep torch's."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight, std=0.02)
