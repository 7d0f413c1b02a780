"""Networks that make few numbers of many, and many of few again: dense, or convolutional for images of any size."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from math import prod

from torch import Tensor, nn

from zoo.config.schema import check_choice, check_number
from zoo.data.spec import DataSpec
from zoo.exceptions import ZooError
from zoo.layers.blocks import activation_of, halved, norm_of
from zoo.layers.mlp import check_layers, check_sizes, mlp

MODALITIES = ("dense", "conv")


def check_coder(
    spec: DataSpec,
    *,
    network: str,
    widths: Sequence[int],
    channels: Sequence[int],
    norm: str,
    dropout: float,
) -> None:
    """Raise ZooError where an option of ``encoder`` and ``decoder`` is outside its limits."""
    check_choice("model.network", network, MODALITIES)
    check_layers(widths=widths, norm=norm, dropout=dropout)
    check_sizes("model.channels", channels)
    if network == "conv" and not channels:
        raise ZooError("model.channels=[]: must be at least one number where model.network=conv")
    if network == "conv" and spec.modality != "image":
        raise ZooError(f"model.network=conv: is for images; {spec.name} is {spec.modality} data, model.network=dense")


def latent_size(spec: DataSpec, asked: int | None, usual: int) -> int:
    """Return how many numbers a code has: as asked, else the usual, or half of the input's where these are few.

    Raises:
        ZooError: less than one.
    """
    check_number("model.latent_dim", asked, low=1, integer=True, optional=True)
    if asked is not None and asked > spec.outputs:
        said = f"note: model.latent_dim={asked} is more than the {spec.outputs} numbers of a row of {spec.name}"
        print(f"{said}, so that nothing need be compressed", file=sys.stderr)
    return asked or max(min(usual, spec.outputs // 2), 1)


def encoder(
    spec: DataSpec,
    *,
    network: str,
    widths: Sequence[int],
    channels: Sequence[int],
    outputs: int,
    activation: str,
    norm: str,
    dropout: float,
) -> nn.Sequential:
    """Return a network from what is read, (B, *output_shape) of the spec, to (B, outputs)."""
    options = {"activation": activation, "norm": norm, "dropout": dropout, "residual": False}
    if network == "dense":
        size = prod(spec.output_shape)
        layers = mlp(size, widths, **options)
        return nn.Sequential(nn.Flatten(), *layers, nn.Linear([size, *widths][-1], outputs))
    parts: list[nn.Module] = []
    for inputs, made in itertools.pairwise([spec.output_shape[0], *channels]):
        parts += [nn.Conv2d(inputs, made, 3, stride=2, padding=1, bias=norm == "none"), *_after(made, activation, norm)]
    *_, last = halved(spec.output_shape[1:], len(channels))
    parts += [nn.Dropout2d(dropout)] if dropout else []
    return nn.Sequential(*parts, nn.Flatten(), nn.Linear(channels[-1] * prod(last), outputs))


def decoder(
    spec: DataSpec,
    *,
    network: str,
    widths: Sequence[int],
    channels: Sequence[int],
    inputs: int,
    activation: str,
    norm: str,
    dropout: float,
) -> nn.Sequential:
    """Return a network from (B, inputs) to (B, *output_shape) of the spec, the encoder's layers in reverse."""
    options = {"activation": activation, "norm": norm, "dropout": dropout, "residual": False}
    shape = spec.output_shape
    if network == "dense":
        back = list(reversed(widths))
        last = nn.Linear([inputs, *back][-1], prod(shape))
        return nn.Sequential(*mlp(inputs, back, **options), last, nn.Unflatten(1, shape))
    sizes = halved(spec.output_shape[1:], len(channels))
    first = (channels[-1], *sizes[-1])
    parts: list[nn.Module] = [nn.Linear(inputs, prod(first), bias=norm == "none"), nn.Unflatten(1, first)]
    parts += _after(channels[-1], activation, norm)
    below = [*reversed(channels[:-1]), shape[0]]
    for number, (before, made) in enumerate(zip(reversed(channels), below, strict=True), start=2):
        size = sizes[-number]
        even = tuple(1 - side % 2 for side in size)  # a side of 2n and one of 2n − 1 both came down to n
        end = number == len(sizes)
        parts.append(
            nn.ConvTranspose2d(before, made, 3, stride=2, padding=1, output_padding=even, bias=end or norm == "none")
        )
        parts += [] if end else _after(made, activation, norm)
    return nn.Sequential(*parts)


def _after(channels: int, activation: str, norm: str) -> list[nn.Module]:
    """Return what follows a convolution."""
    return [*norm_of(norm, channels), activation_of(activation)]


class Bounded(nn.Module):
    """What a decoder says as values: of images between 0 and 1, else as it is."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.image = spec.modality == "image"

    def forward(self, logits: Tensor) -> Tensor:
        """Return values of the same shape."""
        return logits.float().sigmoid() if self.image else logits.float()
