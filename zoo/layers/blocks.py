"""Small parts that several networks share: activations, normalization, dense layers."""

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
    "leaky_relu": partial(nn.LeakyReLU, 0.2),  # of GANs (Radford 2016)
}
NORMS = ("none", "batch", "layer")


def activation_of(name: str) -> nn.Module:
    """Return the activation ``name``.

    Raises:
        ZooError: unknown name, with the nearest one.
    """
    if name not in ACTIVATIONS:
        raise unknown("model.activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]()


def norm_of(name: str, size: int, *, flat: bool = False) -> list[nn.Module]:
    """Return what normalizes numbers (B, size), where ``flat``, or maps (B, size, H, W), by layer over all of them."""
    if name == "batch":
        return [nn.BatchNorm1d(size) if flat else nn.BatchNorm2d(size)]
    if name == "layer":
        return [nn.LayerNorm(size) if flat else nn.GroupNorm(1, size)]
    return []


def halved(size: tuple[int, ...], times: int) -> list[tuple[int, int]]:
    """Return the sides of an image, and after each halving, rounded up."""
    height, width = size
    return [(-(-height // 2**n), -(-width // 2**n)) for n in range(times + 1)]


def stem_pool(factor: int) -> list[nn.Module]:
    """Return the pooling that makes an image ``factor`` times smaller: nothing where that is 1."""
    return [nn.MaxPool2d(factor)] if factor > 1 else []


def stem_pooling_for(shape: tuple[int, ...]) -> int:
    """Return how many times smaller a first layer should leave an image, so that about 16 pixels a side remain."""
    side, factor = min(shape[1:]), 1
    while side // (2 * factor) >= 14:
        factor *= 2
    return factor


def begin_small(layer: nn.Module, gain: float) -> None:
    """Have a layer's weights be ``gain`` times what another initialization draws."""
    layer.initial_gain = gain  # type: ignore[assignment]


@contextlib.contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Have what is computed in the block not be the network's parameters' affair."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)


class Residual(nn.Sequential):
    """A layer whose input is added to its output."""

    def forward(self, h: Tensor) -> Tensor:
        """Return h + layer(h), of one shape."""
        out: Tensor = super().forward(h)  # type: ignore[no-untyped-call]
        return h + out


def layer(inputs: int, outputs: int, *, activation: str, norm: str, dropout: float, residual: bool) -> nn.Sequential:
    """Return one hidden layer, (B, inputs) to (B, outputs); residual where asked for and both sizes agree."""
    parts: list[nn.Module] = [nn.Linear(inputs, outputs, bias=norm != "batch")]  # batch norm's shift is the bias
    parts += norm_of(norm, outputs, flat=True)
    parts += [activation_of(activation)]
    parts += [nn.Dropout(dropout)] if dropout else []
    return Residual(*parts) if residual and inputs == outputs else nn.Sequential(*parts)


def mlp(inputs: int, hidden_sizes: Sequence[int], *, input_dropout: float = 0.0, **options: Any) -> nn.Sequential:
    """Return the hidden layers of a multilayer perceptron: (…, inputs) to (…, the last of ``hidden_sizes``)."""
    hidden = [layer(a, b, **options) for a, b in itertools.pairwise([inputs, *hidden_sizes])]
    first = [nn.Dropout(input_dropout)] if input_dropout else []
    return nn.Sequential(*first, *hidden)
