"""Encoders to a vector and decoders from a vector: dense, or convolutional for images of any size."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn

from zoo.config.schema import check_number
from zoo.data.spec import DataSpec
from zoo.exceptions import ZooError
from zoo.layers.blocks import activation_of, halved, mlp, norm_of

NETWORKS = ("dense", "conv")


def check_encoder(spec: DataSpec, *, network: str, channels: Sequence[int]) -> None:
    """Raise ZooError if the options of ``encoder`` and ``decoder`` do not apply to the data."""
    if network == "conv" and not channels:
        raise ZooError("model.channels=[]: must be at least one number where model.network=conv")
    if network == "conv" and not spec.spatial:
        raise ZooError(
            f"model.network=conv: requires images, but {spec.name} is {spec.modality} data; set model.network=dense"
        )


def default_latent_size(spec: DataSpec, size: int | None, default: int) -> int:
    """Return ``size``, or if it is None the ``default``, at most half the size of the input."""
    if size is not None and size > spec.outputs:
        note = f"note: model.latent_dim={size} is more than the {spec.outputs} values of a row of {spec.name}"
        print(f"{note}, so the code compresses nothing", file=sys.stderr)
    return size or max(min(default, spec.outputs // 2), 1)


def encoder(
    shape: tuple[int, ...],
    *,
    network: str,
    hidden_sizes: Sequence[int],
    channels: Sequence[int],
    outputs: int,
    activation: str,
    norm: str,
    dropout: float,
    kernel_size: int = 3,
    input_norm: bool = True,
) -> nn.Sequential:
    """Return a network from (B, *shape) to (B, outputs).

    Without ``input_norm`` the first convolution has no normalization.
    """
    if network == "dense":
        hidden = mlp(prod(shape), hidden_sizes, activation=activation, norm=norm, dropout=dropout, residual=False)
        return nn.Sequential(nn.Flatten(), *hidden, nn.Linear([prod(shape), *hidden_sizes][-1], outputs))
    layers: list[nn.Module] = []
    *sides, last = halved(shape[1:], len(channels))
    for level, (before, after) in enumerate(itertools.pairwise([shape[0], *channels])):
        level_norm = norm if level or input_norm else "none"
        padding = _paddings(sides[level], kernel_size)
        layers.append(nn.Conv2d(before, after, kernel_size, stride=2, padding=padding, bias=level_norm == "none"))
        layers += [*norm_of(level_norm, after), activation_of(activation)]
    layers += [nn.Dropout2d(dropout)] if dropout else []
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels[-1] * prod(last), outputs))


def _paddings(sides: tuple[int, ...], kernel_size: int) -> tuple[int, int]:
    """Return the paddings with which convolutions of stride 2 reduce sides of 2n and of 2n − 1 to n."""
    height, width = ((kernel_size - 1 + side % 2) // 2 for side in sides)
    return height, width


def decoder(
    shape: tuple[int, ...],
    *,
    network: str,
    hidden_sizes: Sequence[int],
    channels: Sequence[int],
    inputs: int,
    activation: str,
    norm: str,
    dropout: float,
    kernel_size: int = 3,
) -> nn.Sequential:
    """Return a network from (B, inputs) to (B, *shape), with the encoder's layers in reverse order."""
    if network == "dense":
        sizes = list(reversed(hidden_sizes))
        hidden = mlp(inputs, sizes, activation=activation, norm=norm, dropout=dropout, residual=False)
        return nn.Sequential(*hidden, nn.Linear([inputs, *sizes][-1], prod(shape)), nn.Unflatten(1, shape))
    sides = halved(shape[1:], len(channels))
    first = (channels[-1], *sides[-1])
    layers: list[nn.Module] = [nn.Linear(inputs, prod(first), bias=norm == "none"), nn.Unflatten(1, first)]
    layers += [*norm_of(norm, channels[-1]), activation_of(activation)]
    for level in reversed(range(len(channels))):
        after = channels[level - 1] if level else shape[0]
        padding = _paddings(sides[level], kernel_size)
        height, width = (2 - side % 2 + 2 * p - kernel_size for side, p in zip(sides[level], padding, strict=True))
        bias = not level or norm == "none"
        layers.append(nn.ConvTranspose2d(channels[level], after, kernel_size, 2, padding, (height, width), bias=bias))
        layers += [*norm_of(norm, after), activation_of(activation)] if level else []
    return nn.Sequential(*layers)


def sample_latents(count: int, size: int, *, seed: int, truncation: float | None = None) -> Tensor:
    """Return latent vectors (count, size) sampled from N(0, 1).

    With ``truncation``, values whose magnitude exceeds it are drawn again (truncation trick, Brock et al. 2019).

    Raises:
        ZooError: fewer than one row, or a truncation below 0.01.
    """
    check_number("count", count, low=1, integer=True)
    check_number("truncation", truncation, low=0.01, optional=True)
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(count, size, generator=generator)
    while truncation is not None and bool((outside := z.abs() > truncation).any()):
        z[outside] = torch.randn(int(outside.sum()), generator=generator)
    return z
