"""Layers of a multilayer perceptron: linear, normalization, activation, dropout."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from zoo.config.schema import check_number
from zoo.exceptions import ZooError, unknown
from zoo.layers.blocks import NORMS, activation_of, norm_of


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


def check_layers(*, hidden_sizes: Sequence[int], norm: str, dropout: float) -> None:
    """Raise ZooError where one of these options of ``mlp`` is outside its limits."""
    if norm not in NORMS:
        raise unknown("model.norm", norm, NORMS)
    check_sizes("model.hidden_sizes", hidden_sizes)
    check_number("model.dropout", dropout, low=0, below=1)


def check_sizes(where: str, sizes: Sequence[int]) -> None:
    """Raise ZooError unless ``sizes`` is a list of whole numbers from 1."""
    if not isinstance(sizes, Sequence) or isinstance(sizes, str):
        raise ZooError(f"{where}={sizes}: must be a list of whole numbers, such as [256,256]")
    for size in sizes:
        check_number(where, size, low=1, integer=True)
