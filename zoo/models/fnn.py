"""The feed-forward network, or multilayer perceptron: linear layers, each followed by a nonlinearity.

    h₀ = x,   hᵢ = dropout(φ(norm(Wᵢ hᵢ₋₁ + bᵢ))) [+ hᵢ₋₁],   output = W hₙ + b

Rumelhart, Hinton, Williams: Learning representations by back-propagating errors, Nature 1986. The term in brackets is
the residual connection of He et al. 2016; it applies where input and output have the same size.

TabM is an ensemble in one network (Gorishniy, Kotelnikov, Babenko: TabM, ICLR 2025, variant "mini"). Member k scales
the input to rₖ ∘ x, and all members share the hidden layers. Each member has its own output layer Wₖ, bₖ and its own
loss. The prediction is the mean over the members, for classification the mean of their probabilities.
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
    """An ensemble whose members share the hidden layers: ``(B, inputs)`` to ``(B, ensemble_size, outputs)``."""

    matrices = ("weight",)

    def __init__(self, hidden: nn.Module, *, ensemble_size: int, inputs: int, features: int, outputs: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.scale = nn.Parameter(torch.randint(0, 2, (ensemble_size, inputs)) * 2.0 - 1)  # r, initialized to −1 or 1
        bound = features**-0.5  # the default initialization of nn.Linear
        self.weight = nn.Parameter(torch.empty(ensemble_size, features, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(ensemble_size, outputs).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """Return the output (B, ensemble_size, outputs) of each member."""
        h = self.hidden(x.unsqueeze(1) * self.scale)  # (B, ensemble_size, features)
        return torch.einsum("bkf,kfo->bko", h, self.weight) + self.bias


@register("fnn")
class FNN(ZooModule):
    """A feed-forward network (multilayer perceptron) over images or tables, for classification and regression.

    Each hidden layer computes ``h = dropout(φ(norm(W x + b)))``. A linear layer maps the last one to the output.
    ``forward`` maps ``(B, *input_shape)`` to logits ``(B, classes)`` or to standardized values ``(B, 1)``. Images are
    flattened. Paper: Rumelhart, Hinton, Williams 1986.

    Args:
        hidden_sizes: sizes of the hidden layers.
        activation: relu, gelu, silu, elu, tanh or sigmoid.
        norm: normalization in the hidden layers: none, batch (Ioffe & Szegedy 2015) or layer (Ba 2016).
        dropout: dropout rate in the hidden layers (Srivastava 2014).
        input_dropout: dropout rate on the input.
        residual: add the input of a layer to its output where both have the same size.
        numerical_embedding: embedding of a table's numerical columns: none or piecewise_linear (Gorishniy 2022).
        n_bins: for piecewise_linear, maximum number of bins per column.
        embedding_dim: size of a piecewise_linear embedding, and maximum size of a category's embedding.
        ensemble_size: number of ensemble members (TabM), each with its own loss; above 1, norm is none or layer.

    Raises:
        ZooError: an option is outside its limits, or the data is neither an image nor a table.
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
        """Return the output (B, outputs) for raw ``x``, or each member's output (B, ensemble_size, outputs)."""
        h = self.normalize(x)
        out: Tensor = self.network(self.embedding(x, h) if self.embedding else h.flatten(1))
        return out

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, classes), or standardized values (B, 1), for raw ``x`` (B, *input_shape)."""
        out = self.network_output(x)
        return self.task.ensemble_mean(out) if self.ensemble_size > 1 else out

    def compute_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the mean loss, for an ensemble the mean over its members, and statistics of the mean prediction."""
        if self.ensemble_size == 1:
            return super().compute_loss(batch)
        out = self.network_output(batch["x"])
        repeated = {key: value.repeat_interleave(self.ensemble_size, 0) for key, value in batch.items() if key != "x"}
        statistics = self.task.batch_statistics(self.task.ensemble_mean(out.detach()), batch)
        return self.task.loss(out.flatten(0, 1), repeated), statistics
