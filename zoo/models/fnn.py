"""The feed-forward network: linear layers, each followed by a nonlinearity.

    h₀ = x,   hᵢ = dropout(φ(norm(Wᵢ hᵢ₋₁ + bᵢ))) [+ hᵢ₋₁],   output = W hₙ + b

Rumelhart, Hinton, Williams: Learning representations by back-propagating errors, Nature 1986; the sum in brackets,
where both have one size, is the residual connection of He et al. 2016.

An ensemble in one network (Gorishniy, Kotelnikov, Babenko: TabM, ICLR 2025, its form "mini"): member k reads rₖ ∘ x,
all share the hidden layers, each has an output layer Wₖ, bₖ and a loss of its own. The prediction is the mean over the
members, of probabilities where there are classes.
"""

from __future__ import annotations

from typing import Annotated, Any

import torch
from torch import Tensor, nn

from zoo.config.schema import Count, Flag, Share, Sizes, number, one_of
from zoo.data.dataset import Batch
from zoo.data.image.spec import DIGITS
from zoo.data.spec import DataSpec
from zoo.exceptions import ZooError
from zoo.layers.blocks import NORMS, mlp
from zoo.layers.tabular import NUMERICAL_EMBEDDINGS, TabularEmbedding
from zoo.models.base import ZooModule
from zoo.registry import register


class TabM(nn.Module):
    """An ensemble that shares its hidden layers: (B, inputs) to (B, ensemble_size, outputs)."""

    matrices = ("weight",)

    def __init__(self, hidden: nn.Module, *, ensemble_size: int, inputs: int, features: int, outputs: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.scale = nn.Parameter(torch.randint(0, 2, (ensemble_size, inputs)) * 2.0 - 1)  # r, drawn from {−1, 1}
        bound = features**-0.5  # as nn.Linear draws
        self.weight = nn.Parameter(torch.empty(ensemble_size, features, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(ensemble_size, outputs).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """Return each member's output (B, ensemble_size, outputs)."""
        h = self.hidden(x.unsqueeze(1) * self.scale)  # (B, ensemble_size, features)
        return torch.einsum("bkf,kfo->bko", h, self.weight) + self.bias


@register("fnn")
class FNN(ZooModule):
    """A feed-forward network over images or tables, for classification and regression.

    Args:
        hidden_sizes: sizes of the hidden layers.
        activation: relu, gelu, silu, elu, tanh or sigmoid.
        norm: none, batch (Ioffe & Szegedy 2015) or layer (Ba 2016).
        dropout: share of the hidden numbers that training drops (Srivastava 2014).
        input_dropout: the same of the input numbers.
        residual: add a layer's input to its output where both have one size.
        numerical_embedding: of a table's numbers, none or piecewise_linear (Gorishniy 2022).
        n_bins: of piecewise_linear, the most bins of a column.
        embedding_dim: size of an embedding of piecewise_linear, and the largest of a category's.
        ensemble_size: networks in one, each with a loss of its own (TabM); above 1 norm is none or layer.

    Raises:
        ZooError: an option outside its limits, or data that is neither image nor table.
    """

    tasks = ("classification", "regression")
    modalities = ("image", "table")

    def __init__(
        self,
        *,
        spec: DataSpec | dict[str, Any] = DIGITS,
        hidden_sizes: Sizes = (256, 256),
        activation: str = "relu",
        norm: Annotated[str, one_of(NORMS)] = "batch",
        dropout: Share = 0.1,
        input_dropout: Share = 0.0,
        residual: Flag = False,
        numerical_embedding: Annotated[str, one_of(NUMERICAL_EMBEDDINGS)] = "none",
        n_bins: Annotated[int, number(low=1, high=64, integer=True)] = 64,
        embedding_dim: Count = 16,
        ensemble_size: Count = 1,
    ) -> None:
        super().__init__(spec=spec)
        if ensemble_size > 1 and norm == "batch":
            raise ZooError("model.norm=batch: would mix the members of model.ensemble_size; must be none or layer")
        self.embedding = None
        binned = numerical_embedding != "none" and len(getattr(self.spec, "bin_edges", ())) > 0
        if binned or any(self.spec.categories):
            options: dict[str, Any] = {"numerical": numerical_embedding, "n_bins": n_bins, "dim": embedding_dim}
            self.embedding = TabularEmbedding(self.spec, **options)
        inputs = self.embedding.num_features if self.embedding else self.spec.inputs
        features, outputs = [inputs, *hidden_sizes][-1], self.spec.outputs
        layers: dict[str, Any] = {"activation": activation, "norm": norm, "dropout": dropout, "residual": residual}
        hidden = mlp(inputs, hidden_sizes, input_dropout=input_dropout, **layers)
        self.ensemble_size = ensemble_size
        self.network: nn.Module = (
            hidden.append(nn.Linear(features, outputs))
            if ensemble_size == 1
            else TabM(hidden, ensemble_size=ensemble_size, inputs=inputs, features=features, outputs=outputs)
        )

    def network_output(self, x: Tensor) -> Tensor:
        """Return the network's output (B, outputs), or each member's (B, ensemble_size, outputs), for raw ``x``."""
        h = self.normalize(x)
        out: Tensor = self.network(self.embedding(x, h) if self.embedding else h.flatten(1))
        return out

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, classes), or standardized values (B, 1), for raw ``x`` (B, *input_shape)."""
        out = self.network_output(x)
        return self.task.ensemble_mean(out) if self.ensemble_size > 1 else out

    def compute_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the mean loss, each member's being counted for itself, and sums of the mean prediction."""
        if self.ensemble_size == 1:
            return super().compute_loss(batch)
        out = self.network_output(batch["x"])
        repeated = {key: value.repeat_interleave(self.ensemble_size, 0) for key, value in batch.items() if key != "x"}
        statistics = self.task.batch_statistics(self.task.ensemble_mean(out.detach()), batch)
        return self.task.loss(out.flatten(0, 1), repeated), statistics
