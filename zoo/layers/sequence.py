"""What recurrent networks and the transformer share: reading data as sequences, pooling over time, forecasting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.config.schema import check_choice, check_number
from zoo.data.spec import PADDING, DataSpec
from zoo.exceptions import ZooError

VIEWS = ("rows", "pixels", "permuted")
POOLINGS = ("last", "mean", "max", "attention")


class View(nn.Module):
    """An image (B, C, H, W) as a sequence: of its rows (B, H, C·W), or of its pixels (B, H·W, C), one after the other
    or in an order that is the same for all images (Le, Jaitly, Hinton 2015: permuted).
    """

    order: Tensor

    def __init__(self, shape: tuple[int, ...], *, sequence_order: str) -> None:
        super().__init__()
        check_choice("model.sequence_order", sequence_order, VIEWS)
        channels, height, width = shape
        self.sequence_order = sequence_order
        self.features = channels * width if sequence_order == "rows" else channels
        self.steps = height if sequence_order == "rows" else height * width
        order = torch.arange(height * width)
        if sequence_order == "permuted":
            order = torch.randperm(height * width, generator=torch.Generator().manual_seed(0))
        self.register_buffer("order", order)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sequence (B, T, features)."""
        if self.sequence_order == "rows":
            return x.permute(0, 2, 1, 3).flatten(2)
        return x.flatten(2).index_select(2, self.order).transpose(1, 2)


class Steps(nn.Module):
    """A sequence (B, T, C) as it is."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.steps, self.features = shape

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x``."""
        return x


class Symbols(nn.Module):
    """Symbols (B, T) as vectors (B, T, features), with dropout; padding is the vector 0."""

    def __init__(self, count: int, features: int, *, steps: int, dropout: nn.Module) -> None:
        super().__init__()
        self.steps, self.features = steps, features
        self.embedding = nn.Embedding(count, features, padding_idx=PADDING)
        self.draw(features**-0.5)
        self.dropout = dropout

    def draw(self, std: float) -> None:
        """Draw all vectors but padding's from N(0, std²)."""
        nn.init.normal_(self.embedding.weight, std=std)
        with torch.no_grad():
            self.embedding.weight[PADDING] = 0

    def forward(self, x: Tensor) -> Tensor:
        """Return the vectors."""
        out: Tensor = self.dropout(self.embedding(x))
        return out


def reader_of(spec: DataSpec, *, sequence_order: str, embedding_dim: int, dropout: nn.Module) -> Any:
    """Return the module that makes ``spec``'s inputs sequences (B, T, features), with ``steps`` and ``features``."""
    if spec.modality == "image":
        return View(spec.input_shape, sequence_order=sequence_order)
    if spec.modality == "text":
        check_number("model.embedding_dim", embedding_dim, low=1, integer=True)
        return Symbols(spec.vocab_size, embedding_dim, steps=spec.input_shape[0], dropout=dropout)
    return Steps(spec.input_shape)


def inside(h: Tensor, lengths: Tensor) -> Tensor:
    """Return (B, T) that is true where a sequence is and false in its padding."""
    return torch.arange(h.shape[1], device=h.device) < lengths[:, None]


def together(h: Tensor, lengths: Tensor | None, size: int) -> tuple[Tensor, Tensor | None]:
    """Return steps (B, T, C) ``size`` at a time, (B, ⌈T / size⌉, size · C), and their lengths; padding is 0."""
    if lengths is not None:
        h = h * inside(h, lengths).unsqueeze(2)
        lengths = (lengths + size - 1) // size
    h = F.pad(h, (0, 0, 0, -h.shape[1] % size))
    return h.unflatten(1, (-1, size)).flatten(2), lengths


class Pool(nn.Module):
    """A sequence (B, T, features) as one vector (B, features).

    ``last`` is where each direction has read all (``halves`` 2: the second half of the features was read backwards);
    ``mean`` and ``max`` are over time; ``attention`` is a mean whose weights are a softmax over time of a learnt score.
    """

    def __init__(self, features: int, *, pooling: str, halves: int = 1) -> None:
        super().__init__()
        check_choice("model.pooling", pooling, POOLINGS)
        self.pooling, self.halves = pooling, halves
        self.score = nn.Linear(features, 1, bias=False) if pooling == "attention" else None

    def forward(self, h: Tensor, lengths: Tensor | None) -> Tensor:
        """Return the vector."""
        if lengths is None:
            lengths = torch.full((h.shape[0],), h.shape[1], device=h.device)
        if self.pooling == "last":
            at = (lengths - 1).view(-1, 1, 1).expand(-1, 1, h.shape[2])
            end = h.gather(1, at).squeeze(1)
            half = h.shape[2] // 2
            return end if self.halves == 1 else torch.cat([end[:, :half], h[:, 0, half:]], 1)
        mask = inside(h, lengths).unsqueeze(2)
        if self.pooling == "mean":
            return (h * mask).sum(1) / lengths.unsqueeze(1).to(h.dtype)
        if self.pooling == "max":
            return h.masked_fill(~mask, torch.finfo(h.dtype).min).amax(1)
        assert self.score is not None
        weights = self.score(h).float().masked_fill(~mask, -torch.inf).softmax(1)  # (B, T, 1)
        return (h * weights.to(h.dtype)).sum(1)


class Segments(nn.Module):
    """The past of a time series (B, L, C), standardised, as segments (B', N, features) of ``size`` steps each.

    ``apart`` makes each column of a series one of its own (B' = B·C; Nie 2023), else a segment holds all columns.
    ``instance_norm`` takes each column's last value off, and ``restore`` puts it back on the answer (Zeng 2023, Kim 2022).
    The first steps are left out where L is no multiple of ``size``.
    """

    target_columns: Tensor

    def __init__(self, spec: DataSpec, *, size: int, instance_norm: bool, apart: bool) -> None:
        super().__init__()
        check_number("model.patch_len", size, low=1, high=spec.input_shape[0], integer=True)
        self.past, self.columns = spec.input_shape
        self.horizon, self.outputs = spec.target_shape
        self.targets = list(spec.targets)
        self.register_buffer("target_columns", torch.tensor(self.targets), persistent=False)
        self.size, self.instance_norm, self.apart = size, instance_norm, apart
        self.steps, self.later = self.past // size, -(-self.horizon // size)
        self.features = size * (1 if apart else self.columns)
        self.answered = size * (1 if apart else self.outputs)  # numbers in a segment of the answer

    def forward(self, x: Tensor) -> Tensor:
        """Return the segments; with ``apart`` those of the columns that are forecast alone."""
        x = x[:, -self.steps * self.size :]
        x = x.index_select(2, self.target_columns) if self.apart else x
        if self.instance_norm:
            x = x - x[:, -1:]
        if self.apart:
            return x.transpose(1, 2).reshape(-1, self.steps, self.size)  # (B·C, N, size)
        return x.reshape(-1, self.steps, self.features)

    def restore(self, segments: Tensor, x: Tensor) -> Tensor:
        """Return answered segments (B', M, answered) as the future (B, H, outputs) of the past ``x``."""
        flat = segments.flatten(1)
        if self.apart:
            out = flat.view(-1, self.outputs, flat.shape[1]).transpose(1, 2)
        else:
            out = flat.view(flat.shape[0], -1, self.outputs)
        out = out[:, : self.horizon]
        return out + x[:, -1:].index_select(2, self.target_columns) if self.instance_norm else out


class Label(nn.Module):
    """Classification and regression: reader, core, pooling over time, one layer.

    The core reads ``patch_len`` steps as one (Chan 2016 halves the time between layers; here it is before the first).
    """

    def __init__(
        self,
        spec: DataSpec,
        core: Callable[[int, int], Any],
        *,
        sequence_order: str,
        embedding_dim: int,
        input_dropout: nn.Module,
        dropout: float,
        pooling: str,
        patch_len: int,
    ) -> None:
        super().__init__()
        self.reader = reader_of(spec, sequence_order=sequence_order, embedding_dim=embedding_dim, dropout=input_dropout)
        check_number("model.patch_len", patch_len, low=1, high=self.reader.steps, integer=True)
        self.patch_len = patch_len
        self.core = core(self.reader.features * patch_len, -(-self.reader.steps // patch_len))
        self.pool = Pool(self.core.features, pooling=pooling, halves=getattr(self.core, "directions", 1))
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(self.core.features, spec.outputs))

    def read(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return what the core reads (B, T, C), and the lengths of that."""
        h = self.reader(x)
        return together(h, lengths, self.patch_len) if self.patch_len > 1 else (h, lengths)

    def forward(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Return logits (B, classes), or standardised answers (B, 1)."""
        h, lengths = self.read(x, lengths)
        h, _ = self.core(h, lengths)  # (B, T, features)
        out: Tensor = self.head(self.pool(h, lengths))
        return out


class Output(nn.Module):
    """Vectors (B, T, features) to logits over symbols, with ``embedding``'s weights where tied (Press & Wolf 2017)."""

    def __init__(self, features: int, embedding: nn.Embedding, *, tie_embeddings: bool, dropout: nn.Module) -> None:
        super().__init__()
        count, size = embedding.weight.shape
        self.dropout = dropout
        self.between = nn.Linear(features, size, bias=False) if tie_embeddings and features != size else None
        self.logits = nn.Linear(size if tie_embeddings else features, count)
        if tie_embeddings:
            self.logits.weight = embedding.weight

    def forward(self, h: Tensor) -> Tensor:
        """Return logits (B, T, V)."""
        h = self.dropout(h)
        out: Tensor = self.logits(self.between(h) if self.between is not None else h)
        return out


class Locked(nn.Module):
    """Dropout whose mask is the same at each step of a sequence (B, T, features) (Gal & Ghahramani 2016)."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` with the same features of all steps dropped."""
        if not self.training or not self.p:
            return x
        return x * F.dropout(torch.ones_like(x[:, :1]), self.p)


def refuse(condition: bool, said: str) -> None:
    """Raise ZooError with ``said`` where ``condition`` holds."""
    if condition:
        raise ZooError(said)
