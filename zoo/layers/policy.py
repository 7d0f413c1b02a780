"""Networks of policies: what is seen to some numbers, dense or, of images, convolutional."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import nn

from zoo.config.schema import check_choice
from zoo.data.spec import DataSpec
from zoo.exceptions import ZooError
from zoo.layers.blocks import activation_of, begin_small, halved
from zoo.layers.mlp import check_sizes

MODALITIES = ("auto", "dense", "conv")


def check_body(spec: DataSpec, *, network: str, widths: Sequence[int], channels: Sequence[int]) -> None:
    """Raise ZooError where an option of ``body`` is outside its limits."""
    check_choice("model.network", network, MODALITIES)
    check_sizes("model.widths", widths)
    check_sizes("model.channels", channels)
    if network == "conv" and len(spec.input_shape) != 3:
        raise ZooError(f"model.network=conv: is for images; {spec.name} shows {spec.input_shape}")


def body(
    spec: DataSpec,
    *,
    network: str,
    widths: Sequence[int],
    channels: Sequence[int],
    activation: str,
    inputs: int = 0,
    outputs: int,
    gain: float,
) -> nn.Sequential:
    """Return a network from observations (B, *input_shape), or (B, ``inputs``), to (B, ``outputs``).

    Its matrices are orthogonal, the last one times ``gain`` (Huang 2022: the 37 implementation details of PPO).
    """
    shape, parts = spec.input_shape, []
    size = inputs or math.prod(shape)
    if network == "conv" or (network == "auto" and len(shape) == 3):
        *_, last = halved(shape[1:], len(channels))
        for before, after in zip([shape[0], *channels[:-1]], channels, strict=True):
            parts += [nn.Conv2d(before, after, 3, stride=2, padding=1), activation_of(activation)]
        size = channels[-1] * math.prod(last)
    parts.append(nn.Flatten())
    for width in widths:
        parts += [nn.Linear(size, width), activation_of(activation)]
        size = width
    parts.append(nn.Linear(size, outputs))
    matrices = [part for part in parts if isinstance(part, (nn.Linear, nn.Conv2d))]
    for matrix in matrices:
        nn.init.orthogonal_(matrix.weight, gain if matrix is matrices[-1] else math.sqrt(2))
        if matrix is matrices[-1]:
            begin_small(matrix, gain)
        assert matrix.bias is not None
        nn.init.zeros_(matrix.bias)
    return nn.Sequential(*parts)
