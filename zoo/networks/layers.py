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
