"""Layers of a multilayer perceptron: linear, normalization, activation, dropout."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from zoo.layers.blocks import activation_of, norm_of


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
