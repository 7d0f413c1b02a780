"""Building blocks of several networks: activations, normalization, dense layers."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn

from zoo.exceptions import unknown

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "elu": nn.ELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "leaky_relu": partial(nn.LeakyReLU, 0.2),  # for GANs (Radford 2016)
}
NORMS = ("none", "batch", "layer")


def activation_of(name: str) -> nn.Module:
    """Return the activation ``name``.

    Raises:
        ZooError: the name is unknown; the message suggests the nearest one.
    """
    if name not in ACTIVATIONS:
        raise unknown("model.activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]()


def norm_of(name: str, size: int, *, flat: bool = False) -> list[nn.Module]:
    """Return the normalization of vectors (B, size) if ``flat``, else of maps (B, size, H, W).

    Layer normalization of maps is over all channels and positions.
    """
    if name == "batch":
        return [nn.BatchNorm1d(size) if flat else nn.BatchNorm2d(size)]
    if name == "layer":
        return [nn.LayerNorm(size) if flat else nn.GroupNorm(1, size)]
    return []


def halved(size: tuple[int, ...], times: int) -> list[tuple[int, int]]:
    """Return the sides of an image before and after each of ``times`` halvings, rounded up."""
    height, width = size
    return [(-(-height // 2**n), -(-width // 2**n)) for n in range(times + 1)]


def stem_pool(factor: int) -> list[nn.Module]:
    """Return the pooling layer that reduces an image by ``factor``, or no layer if the factor is 1."""
    return [nn.MaxPool2d(factor)] if factor > 1 else []


def stem_pooling_for(shape: tuple[int, ...]) -> int:
    """Return the factor by which a first layer should reduce an image, so that about 16 pixels a side remain."""
    side, factor = min(shape[1:]), 1
    while side // (2 * factor) >= 14:
        factor *= 2
    return factor


def begin_small(layer: nn.Module, gain: float) -> None:
    """Scale the initial weights of a layer by ``gain``, for any initialization."""
    layer.initial_gain = gain  # type: ignore[assignment]


@contextlib.contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Disable the gradients of the network's parameters within the block."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)


class Residual(nn.Sequential):
    """A layer with a residual connection."""

    def forward(self, h: Tensor) -> Tensor:
        """Return h + layer(h), of the shape of h."""
        out: Tensor = super().forward(h)  # type: ignore[no-untyped-call]
        return h + out


def layer(inputs: int, outputs: int, *, activation: str, norm: str, dropout: float, residual: bool) -> nn.Sequential:
    """Return a hidden layer, (B, inputs) to (B, outputs); residual if ``residual`` and both sizes are equal."""
    parts: list[nn.Module] = [nn.Linear(inputs, outputs, bias=norm != "batch")]  # batch norm has its own bias
    parts += norm_of(norm, outputs, flat=True)
    parts += [activation_of(activation)]
    parts += [nn.Dropout(dropout)] if dropout else []
    return Residual(*parts) if residual and inputs == outputs else nn.Sequential(*parts)


def mlp(inputs: int, hidden_sizes: Sequence[int], *, input_dropout: float = 0.0, **options: Any) -> nn.Sequential:
    """Return the hidden layers of a multilayer perceptron: (…, inputs) to (…, ``hidden_sizes[-1]``)."""
    hidden = [layer(a, b, **options) for a, b in itertools.pairwise([inputs, *hidden_sizes])]
    first = [nn.Dropout(input_dropout)] if input_dropout else []
    return nn.Sequential(*first, *hidden)
