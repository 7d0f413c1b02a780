"""The columns of a table as network input: numbers standardized or embedded by bins, categories embedded.

Piecewise-linear encoding (Gorishniy, Rubachev, Babenko: On embeddings for numerical features, NeurIPS 2022): with bins
between a column's edges b₀ < b₁ < … < b_T, the encoding of a number x is

    eₜ = clamp((x − bₜ₋₁) / (bₜ − bₜ₋₁), 0, 1),   t = 1 … T   (the first may be below 0, the last above 1)

The embedding is W·e, where each column has its own W. The network reads it together with the standardized x.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from zoo.data.spec import DataSpec

NUMERICAL_EMBEDDINGS = ("none", "piecewise_linear")


class PiecewiseLinearEmbedding(nn.Module):
    """Embeds numbers (B, C) as (B, C, dim), with separate bins and weights for each column.

    Args:
        bin_edges: sorted candidate edges of each column.
        n_bins: maximum number of bins per column.
        dim: size of an embedding.
    """

    matrices = ("weight",)
    low: Tensor
    width: Tensor
    first: Tensor
    last: Tensor
    used: Tensor

    def __init__(self, bin_edges: Sequence[Sequence[float]], *, n_bins: int, dim: int) -> None:
        super().__init__()
        edges = [_pick_edges(column, n_bins) for column in bin_edges]
        count = max(len(e) - 1 for e in edges)
        low, width = torch.zeros(len(edges), count), torch.ones(len(edges), count)
        used, last = torch.zeros(len(edges), count), torch.zeros(len(edges), count, dtype=torch.bool)
        for column, e in enumerate(edges):
            bins = len(e) - 1
            low[column, :bins], width[column, :bins] = torch.tensor(e[:-1]), torch.tensor(np.diff(e))
            used[column, :bins], last[column, bins - 1] = 1, True
        first = torch.zeros(1, count, dtype=torch.bool)
        first[0, 0] = True
        for name, value in (("low", low), ("width", width), ("used", used), ("first", first), ("last", last)):
            self.register_buffer(name, value)
        self.weight = nn.Parameter(torch.empty(len(edges), count, dim).uniform_(-1, 1) / count**0.5)
        self.bias = nn.Parameter(torch.zeros(len(edges), dim))

    def forward(self, x: Tensor) -> Tensor:
        """Return the embedded numbers (B, C, dim)."""
        position = (x.unsqueeze(2) - self.low) / self.width  # (B, C, bins)
        open_above, open_below = torch.where(self.last, position, position.clamp(max=1)), position.clamp(min=0)
        inner = torch.where(self.last, open_below, position.clamp(0, 1))
        encoding = torch.where(self.first, open_above, inner) * self.used
        return torch.einsum("bct,ctd->bcd", encoding, self.weight) + self.bias


def _pick_edges(edges: Sequence[float], n_bins: int) -> np.ndarray:
    """Return edges of at most ``n_bins`` bins, evenly chosen from ``edges``; a constant column has one bin."""
    index = np.linspace(0, len(edges) - 1, min(n_bins, len(edges) - 1) + 1).round().astype(int)
    picked = np.unique(np.asarray(edges)[index].astype(np.float32))
    return picked if len(picked) > 1 else np.array([picked[0], picked[0] + 1], dtype=np.float32)


class TabularEmbedding(nn.Module):
    """Maps raw columns (B, C) and their standardized values (B, C) to features (B, ``num_features``).

    Args:
        spec: the table's spec.
        numerical: none, or piecewise_linear: embed each number in addition to its standardized value.
        n_bins: maximum number of bins per column.
        dim: size of a number's embedding, and maximum size of a category's. The embedding of an unknown category is 0.
    """

    numbers: Tensor
    binned: Tensor

    def __init__(self, spec: DataSpec, *, numerical: str, n_bins: int, dim: int) -> None:
        super().__init__()
        categories, bin_edges = spec.categories, getattr(spec, "bin_edges", ())
        self.categorical = [column for column, texts in enumerate(categories) if texts]
        numbers = [column for column in range(spec.input_shape[0]) if column not in self.categorical]
        binned = [column for column in numbers if column < len(bin_edges) and len(bin_edges[column])]
        binned = binned if numerical == "piecewise_linear" else []
        for name, columns in (("numbers", numbers), ("binned", binned)):
            self.register_buffer(name, torch.tensor(columns, dtype=torch.int64), persistent=False)
        sizes = [len(categories[column]) for column in self.categorical]
        self.embeddings = nn.ModuleList(nn.Embedding(size + 1, min(dim, size), padding_idx=0) for size in sizes)
        self.piecewise_linear = None
        if binned:
            edges = [bin_edges[column] for column in binned]
            self.piecewise_linear = PiecewiseLinearEmbedding(edges, n_bins=n_bins, dim=dim)
        self.num_features = len(numbers) + sum(min(dim, size) for size in sizes) + dim * len(binned)

    def forward(self, x: Tensor, standardized: Tensor) -> Tensor:
        """Return the features (B, num_features)."""
        features = [standardized.index_select(1, self.numbers)]
        if self.piecewise_linear is not None:
            features.append(self.piecewise_linear(x.index_select(1, self.binned)).flatten(1))
        for column, embedding in zip(self.categorical, self.embeddings, strict=True):
            features.append(embedding(x[:, column].long()))
        return torch.cat(features, dim=1)
