"""The feed-forward network: layers of weighted sums, each followed by a nonlinearity.

    h₀ = x,   hᵢ = dropout(φ(norm(Wᵢ hᵢ₋₁ + bᵢ))) [+ hᵢ₋₁],   answer = W hₙ + b

Rumelhart, Hinton, Williams: Learning representations by back-propagating errors, Nature 1986; the sum in brackets,
where both have one width, is the residual connection of He et al. 2016.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from zoo.errors import ZooError, unknown
from zoo.module import ZooModule
from zoo.networks.columns import Columns
from zoo.networks.layers import activation_of
from zoo.options import check_choice, check_flag, check_number
from zoo.registry import register
from zoo.spec import DIGITS, DataSpec

NUMBERS = ("plain", "piecewise")
NORMS: dict[str, Any] = {"none": None, "batch": nn.BatchNorm1d, "layer": nn.LayerNorm}


class Residual(nn.Sequential):
    """A layer whose input is added to its output."""

    def forward(self, h: Tensor) -> Tensor:
        """Return h + layer(h), (B, width)."""
        out: Tensor = super().forward(h)
        return h + out


def layer(inputs: int, outputs: int, *, activation: str, norm: str, dropout: float, residual: bool) -> nn.Sequential:
    """Return one hidden layer, (B, inputs) to (B, outputs); residual where asked for and the widths agree."""
    parts: list[nn.Module] = [nn.Linear(inputs, outputs, bias=norm != "batch")]  # batch norm's shift is the bias
    parts += [NORMS[norm](outputs)] if norm != "none" else []
    parts += [activation_of(activation)]
    parts += [nn.Dropout(dropout)] if dropout else []
    return Residual(*parts) if residual and inputs == outputs else nn.Sequential(*parts)


def mlp(inputs: int, widths: Sequence[int], outputs: int, *, input_dropout: float, **options: Any) -> nn.Sequential:
    """Return a multilayer perceptron: (B, …) to (B, outputs), whatever the shape of a sample."""
    sizes = [inputs, *widths]
    hidden = [layer(a, b, **options) for a, b in itertools.pairwise(sizes)]
    first = [nn.Dropout(input_dropout)] if input_dropout else []
    return nn.Sequential(nn.Flatten(), *first, *hidden, nn.Linear(sizes[-1], outputs))


@register("fnn")
class FNN(ZooModule):
    """A feed-forward network over images or tables, for classification and regression.

    ``widths`` are the hidden layers' sizes; ``norm`` is none, batch (Ioffe & Szegedy 2015) or layer (Ba 2016);
    ``dropout`` and ``input_dropout`` are shares of the hidden and of the input numbers (Srivastava 2014). Texts in a
    table are embedded in at most ``embedding_dim`` numbers; ``numbers: piecewise`` embeds its numbers in as many too,
    by ``bins`` between their quantiles (Gorishniy 2022).

    Raises:
        ZooError: an option outside its limits, or data that is neither image nor table.
    """

    tasks = ("classification", "regression")
    kinds = ("image", "table")

    def __init__(
        self,
        *,
        spec: DataSpec | dict[str, Any] = DIGITS,
        widths: Sequence[int] = (256, 256),
        activation: str = "relu",
        norm: str = "batch",
        dropout: float = 0.1,
        input_dropout: float = 0.0,
        residual: bool = False,
        numbers: str = "plain",
        bins: int = 48,
        embedding_dim: int = 16,
    ) -> None:
        super().__init__(spec=spec)
        if norm not in NORMS:
            raise unknown("model.norm", norm, NORMS)
        if not isinstance(widths, Sequence) or isinstance(widths, str):
            raise ZooError(f"model.widths={widths}: must be a list of whole numbers, such as [256,256]")
        for width in widths:
            check_number("model.widths", width, low=1, whole=True)
        check_number("model.dropout", dropout, low=0, below=1)
        check_number("model.input_dropout", input_dropout, low=0, below=1)
        check_flag("model.residual", residual)
        check_choice("model.numbers", numbers, NUMBERS)
        check_number("model.bins", bins, low=1, high=64, whole=True)
        check_number("model.embedding_dim", embedding_dim, low=1, whole=True)
        self.columns = None
        if self.spec.kind == "table" and (numbers == "piecewise" or any(self.spec.levels)):
            self.columns = Columns(self.spec, numbers=numbers, bins=bins, dim=embedding_dim)
        self.network = mlp(
            self.columns.features if self.columns else self.spec.inputs,
            widths,
            self.spec.outputs,
            input_dropout=input_dropout,
            activation=activation,
            norm=norm,
            dropout=dropout,
            residual=residual,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, classes), or standardised answers (B, 1), for raw ``x`` (B, *input_shape)."""
        h = self.normalise(x)
        out: Tensor = self.network(self.columns(x, h) if self.columns else h)
        return out
