"""The columns of a table as a network reads them: numbers standardised or embedded piece by piece, texts embedded.

Piecewise-linear embedding (Gorishniy, Rubachev, Babenko: On embeddings for numerical features, NeurIPS 2022): with bins
between a column's edges b₀ < b₁ < … < b_T, a number x becomes

    eₜ = clamp((x − bₜ₋₁) / (bₜ − bₜ₋₁), 0, 1),   t = 1 … T   (the first may fall below 0, the last rise above 1)

and then W·e + its standardised value, with a W of the column's own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from zoo.data.spec import DataSpec


class Piecewise(nn.Module):
    """Numbers (B, C) to (B, C, dim), each by bins and weights of its own."""

    matrices = ("weight",)
    low: Tensor
    width: Tensor
    first: Tensor
    last: Tensor
    used: Tensor

    def __init__(self, edges: Sequence[Sequence[float]], *, bins: int, dim: int) -> None:
        super().__init__()
        edges = [_edges(column, bins) for column in edges]
        most = max(len(e) - 1 for e in edges)
        low, width = torch.zeros(len(edges), most), torch.ones(len(edges), most)
        used = torch.zeros(len(edges), most)
        last = torch.zeros(len(edges), most, dtype=torch.bool)
        for row, e in enumerate(edges):
            count = len(e) - 1
            low[row, :count], width[row, :count] = torch.tensor(e[:-1]), torch.tensor(np.diff(e))
            used[row, :count], last[row, count - 1] = 1, True
        first = torch.zeros(1, most, dtype=torch.bool)
        first[0, 0] = True
        for name, value in (("low", low), ("width", width), ("used", used), ("first", first), ("last", last)):
            self.register_buffer(name, value)
        self.weight = nn.Parameter(torch.empty(len(edges), most, dim).uniform_(-1, 1) / most**0.5)
        self.bias = nn.Parameter(torch.zeros(len(edges), dim))

    def forward(self, x: Tensor) -> Tensor:
        """Return the embedded numbers (B, C, dim)."""
        share = (x.unsqueeze(2) - self.low) / self.width  # (B, C, bins)
        above, below = torch.where(self.last, share, share.clamp(max=1)), share.clamp(min=0)
        code = torch.where(self.first, above, torch.where(self.last, below, share.clamp(0, 1))) * self.used
        return torch.einsum("bct,ctd->bcd", code, self.weight) + self.bias


def _edges(known: Sequence[float], bins: int) -> np.ndarray:
    """Return the edges of at most ``bins`` bins, evenly out of those known; of a constant column, one bin around it."""
    places = np.linspace(0, len(known) - 1, min(bins, len(known) - 1) + 1).round().astype(int)
    edges = np.unique(np.asarray(known)[places].astype(np.float32))
    return edges if len(edges) > 1 else np.array([edges[0], edges[0] + 1], dtype=np.float32)


class Columns(nn.Module):
    """Raw columns (B, C) and their standardised values (B, C) to features (B, ``features``).

    ``numbers: piecewise`` embeds each number in ``dim`` further ones by ``bins``; each text becomes at most ``dim``
    numbers. A text that training lacks is 0 throughout.
    """

    number: Tensor
    pieces: Tensor

    def __init__(self, spec: DataSpec, *, numbers: str, bins: int, dim: int) -> None:
        super().__init__()
        count = spec.input_shape[0]
        levels = spec.categories or ((),) * count
        text = [n for n, known in enumerate(levels) if known]
        number = [n for n in range(count) if n not in set(text)]
        pieces = [n for n in number if n < len(spec.bin_edges) and len(spec.bin_edges[n])]
        self.text = text
        pieces = pieces if numbers == "piecewise" else []
        for name, columns in (("number", number), ("pieces", pieces)):
            self.register_buffer(name, torch.tensor(columns, dtype=torch.int64), persistent=False)
        self.tables = nn.ModuleList()
        for n in text:
            size = len(levels[n])
            self.tables.append(nn.Embedding(size + 1, min(dim, size), padding_idx=0))
        self.piecewise = None
        if pieces:
            self.piecewise = Piecewise([spec.bin_edges[n] for n in pieces], bins=bins, dim=dim)
        self.features = len(number) + sum(t.embedding_dim for t in self.tables) + dim * len(pieces)  # type: ignore

    def forward(self, x: Tensor, standard: Tensor) -> Tensor:
        """Return the features (B, F)."""
        parts = [standard.index_select(1, self.number)]
        if self.piecewise is not None:
            parts.append(self.piecewise(x.index_select(1, self.pieces)).flatten(1))
        for n, table in zip(self.text, self.tables, strict=True):
            parts.append(table(x[:, n].long()))
        return torch.cat(parts, dim=1)
