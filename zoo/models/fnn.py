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
from zoo.networks.layers import activation_of
from zoo.options import check_flag, check_number
from zoo.registry import register
from zoo.spec import DIGITS, DataSpec

NORMS = {"none": nn.Identity, "batch": nn.BatchNorm1d, "layer": nn.LayerNorm}


class Layer(nn.Module):
    """One hidden layer; with ``residual``, its input is added to its output where the widths agree."""

    def __init__(
        self, inputs: int, outputs: int, *, activation: str, norm: str, dropout: float, residual: bool
    ) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias=norm != "batch")  # batch norm's shift is the bias
        self.norm = nn.Identity() if norm == "none" else NORMS[norm](outputs)
        self.activation = activation_of(activation)
        self.dropout = nn.Dropout(dropout)
        self.residual = residual and inputs == outputs

    def forward(self, h: Tensor) -> Tensor:
        """Return (B, outputs) for (B, inputs)."""
        out: Tensor = self.dropout(self.activation(self.norm(self.linear(h))))
        return h + out if self.residual else out


class MLP(nn.Sequential):
    """A multilayer perceptron: (B, …) to (B, outputs), whatever the shape of a sample."""

    def __init__(self, inputs: int, widths: Sequence[int], outputs: int, *, input_dropout: float, **layer: Any) -> None:
        sizes = [inputs, *widths]
        hidden = [Layer(a, b, **layer) for a, b in itertools.pairwise(sizes)]
        super().__init__(nn.Flatten(), nn.Dropout(input_dropout), *hidden, nn.Linear(sizes[-1], outputs))


@register("fnn")
class FNN(ZooModule):
    """A feed-forward network over images or tables, for classification and regression.

    ``widths`` are the hidden layers' sizes; ``norm`` is none, batch (Ioffe & Szegedy 2015) or layer (Ba 2016);
    ``dropout`` and ``input_dropout`` are shares of the hidden and of the input numbers (Srivastava 2014).

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
        self.network = MLP(
            self.spec.inputs,
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
        out: Tensor = self.network(self.normalise(x))
        return out
