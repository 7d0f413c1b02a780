"""Small parts that several networks share."""

from __future__ import annotations

from torch import nn

from zoo.errors import unknown

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "elu": nn.ELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}


def activation_of(name: str) -> nn.Module:
    """Return the activation ``name``.

    Raises:
        ZooError: unknown name, with the nearest one.
    """
    if name not in ACTIVATIONS:
        raise unknown("model.activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]()


def stem_pool(factor: int) -> list[nn.Module]:
    """Return the pooling that makes an image ``factor`` times smaller: nothing where that is 1."""
    return [nn.MaxPool2d(factor)] if factor > 1 else []


def pool_for(shape: tuple[int, ...]) -> int:
    """Return how many times smaller a first layer should leave an image, so that about 16 pixels a side remain."""
    side, factor = min(shape[1:]), 1
    while side // (2 * factor) >= 14:
        factor *= 2
    return factor
