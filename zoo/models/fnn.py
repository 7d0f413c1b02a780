"""The feed-forward network: layers of weighted sums, each followed by a nonlinearity.

    h₀ = x,   hᵢ = dropout(φ(norm(Wᵢ hᵢ₋₁ + bᵢ))) [+ hᵢ₋₁],   answer = W hₙ + b

Rumelhart, Hinton, Williams: Learning representations by back-propagating errors, Nature 1986; the sum in brackets,
where both have one width, is the residual connection of He et al. 2016.

Several networks in one (Gorishniy, Kotelnikov, Babenko: TabM, ICLR 2025, its form "mini"): member k reads rₖ ∘ x, all
share the hidden layers, each answers by a Wₖ and bₖ of its own and learns from a loss of its own; the answer is the
mean over the members, of probabilities where there are classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from zoo.config.schema import check_choice, check_flag, check_number
from zoo.data.dataset import Batch
from zoo.data.image.spec import DIGITS
from zoo.data.spec import DataSpec
from zoo.exceptions import ZooError
from zoo.layers.mlp import check_layers, mlp
from zoo.layers.tabular import Columns
from zoo.models.base import ZooModule
from zoo.registry import register

NUMBERS = ("plain", "piecewise")


class Members(nn.Module):
    """``count`` networks in one, that share their hidden layers: (B, inputs) to (B, count, outputs)."""

    matrices = ("weight",)

    def __init__(self, hidden: nn.Module, *, count: int, inputs: int, width: int, outputs: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.scale = nn.Parameter(torch.randint(0, 2, (count, inputs)) * 2.0 - 1)  # r, drawn from {−1, 1}
        bound = width**-0.5  # as nn.Linear draws
        self.weight = nn.Parameter(torch.empty(count, width, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(count, outputs).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """Return each member's answer (B, count, outputs)."""
        h = self.hidden(x.unsqueeze(1) * self.scale)  # (B, count, width)
        return torch.einsum("bkw,kwo->bko", h, self.weight) + self.bias


@register("fnn")
class FNN(ZooModule):
    """A feed-forward network over images or tables, for classification and regression.

    ``widths`` are the hidden layers' sizes; ``norm`` is none, batch (Ioffe & Szegedy 2015) or layer (Ba 2016);
    ``dropout`` and ``input_dropout`` are shares of the hidden and of the input numbers (Srivastava 2014). Texts in a
    table are embedded in at most ``embedding_dim`` numbers; ``numbers: piecewise`` embeds its numbers in as many too,
    by at most ``bins`` bins (Gorishniy 2022). ``members`` above 1 are as many networks in one (TabM).

    Raises:
        ZooError: an option outside its limits, or data that is neither image nor table.
    """

    tasks = ("classification", "regression")
    modalities = ("image", "table")

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
        bins: int = 64,
        embedding_dim: int = 16,
        members: int = 1,
    ) -> None:
        super().__init__(spec=spec)
        check_layers(widths=widths, norm=norm, dropout=dropout)
        check_number("model.input_dropout", input_dropout, low=0, below=1)
        check_flag("model.residual", residual)
        check_choice("model.numbers", numbers, NUMBERS)
        check_number("model.bins", bins, low=1, high=64, integer=True)
        check_number("model.embedding_dim", embedding_dim, low=1, integer=True)
        check_number("model.members", members, low=1, integer=True)
        if members > 1 and norm == "batch":
            raise ZooError(
                "model.norm=batch: would mix the members; must be none or layer where model.members is above 1"
            )
        self.columns = None
        if self.spec.modality == "table" and (numbers == "piecewise" or any(self.spec.categories)):
            self.columns = Columns(self.spec, numbers=numbers, bins=bins, dim=embedding_dim)
        inputs = self.columns.features if self.columns else self.spec.inputs
        options = {"activation": activation, "norm": norm, "dropout": dropout, "residual": residual}
        hidden = mlp(inputs, widths, input_dropout=input_dropout, **options)
        width, outputs = [inputs, *widths][-1], self.spec.outputs
        self.members = members
        if members > 1:
            self.network: nn.Module = Members(hidden, count=members, inputs=inputs, width=width, outputs=outputs)
        else:
            self.network = hidden.append(nn.Linear(width, outputs))

    def each(self, x: Tensor) -> Tensor:
        """Return the network's answer (B, outputs), or each member's (B, members, outputs), for raw ``x``."""
        h = self.normalize(x)
        out: Tensor = self.network(self.columns(x, h) if self.columns else h.flatten(1))
        return out

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, classes), or standardised answers (B, 1), for raw ``x`` (B, *input_shape)."""
        out = self.each(x)
        return self.mean_answer(out) if self.members > 1 else out

    def mean_answer(self, out: Tensor) -> Tensor:
        """Return the mean over members (B, members, outputs): of probabilities, as logits again, or of values."""
        if self.spec.target_type == "number":
            return out.mean(1)
        if self.spec.multilabel:
            return torch.logit(out.float().sigmoid().mean(1), eps=1e-6)
        return out.float().log_softmax(2).logsumexp(1) - math.log(self.members)

    def compute_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the mean loss, each member's being counted for itself, and sums of the mean answer."""
        if self.members == 1:
            return super().compute_loss(batch)
        out = self.each(batch["x"])
        every = {key: value.repeat_interleave(self.members, 0) for key, value in batch.items() if key != "x"}
        counts = self.task.batch_statistics(self.mean_answer(out.detach()), batch)
        return self.task.loss(out.flatten(0, 1), every), counts
