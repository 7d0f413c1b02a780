"""Parts that recurrent networks and the transformer share: input layers, pooling over time, patches and heads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.config.schema import check_choice, check_number
from zoo.data.series.spec import SeriesSpec
from zoo.data.spec import PADDING, DataSpec

SEQUENCE_ORDERS = ("rows", "pixels", "permuted")
POOLINGS = ("last", "mean", "max", "attention")


# --- input layers: data to sequences (B, T, features) ---


class ImageSequence(nn.Module):
    """Reads an image (B, C, H, W) as the sequence of its rows (B, H, C·W) or of its pixels (B, H·W, C).

    ``permuted`` reads the pixels in one fixed random order (Le, Jaitly, Hinton 2015: permuted sequential MNIST).
    """

    permutation: Tensor

    def __init__(self, shape: tuple[int, ...], *, sequence_order: str) -> None:
        super().__init__()
        check_choice("model.sequence_order", sequence_order, SEQUENCE_ORDERS)
        channels, height, width = shape
        self.sequence_order = sequence_order
        self.features = channels * width if sequence_order == "rows" else channels
        self.steps = height if sequence_order == "rows" else height * width
        permutation = torch.arange(height * width)
        if sequence_order == "permuted":
            permutation = torch.randperm(height * width, generator=torch.Generator().manual_seed(0))
        self.register_buffer("permutation", permutation)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sequence (B, T, features)."""
        if self.sequence_order == "rows":
            return x.permute(0, 2, 1, 3).flatten(2)
        return x.flatten(2).index_select(2, self.permutation).transpose(1, 2)


class VectorSequence(nn.Module):
    """Passes a sequence of vectors (B, T, C) unchanged."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.steps, self.features = shape

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x``."""
        return x


class TokenEmbedding(nn.Embedding):
    """Embeds tokens (B, T) as vectors (B, T, features), with dropout; the vector of padding is 0."""

    def __init__(self, vocab_size: int, features: int, *, steps: int, dropout: nn.Module) -> None:
        super().__init__(vocab_size, features, padding_idx=PADDING)
        self.steps, self.features = steps, features
        self.initialize(features**-0.5)
        self.dropout = dropout

    def initialize(self, std: float) -> None:
        """Initialize all vectors except that of padding from N(0, std²)."""
        nn.init.normal_(self.weight, std=std)
        with torch.no_grad():
            self.weight[PADDING] = 0

    def forward(self, x: Tensor) -> Tensor:
        """Return the embedded tokens (B, T, features)."""
        out: Tensor = self.dropout(super().forward(x))
        return out


def build_input_layer(spec: DataSpec, *, sequence_order: str, embedding_dim: int, dropout: nn.Module) -> Any:
    """Return the module from the inputs of ``spec`` to (B, T, features), with attributes ``steps`` and ``features``."""
    if spec.vocab_size:
        check_number("model.embedding_dim", embedding_dim, low=1, integer=True)
        return TokenEmbedding(spec.vocab_size, embedding_dim, steps=spec.input_shape[0], dropout=dropout)
    if spec.spatial:
        return ImageSequence(spec.input_shape, sequence_order=sequence_order)
    return VectorSequence(spec.input_shape)


# --- lengths and pooling ---


def valid_mask(h: Tensor, lengths: Tensor) -> Tensor:
    """Return a mask (B, T): true within each sequence of ``h`` (B, T, …), false in its padding."""
    return torch.arange(h.shape[1], device=h.device) < lengths[:, None]


class Pooling(nn.Module):
    """Pools a sequence (B, T, features) to a vector (B, features).

    ``last`` takes the final output of each direction; with two ``directions`` the second half of the features was read
    backwards. ``mean`` and ``max`` are over time. ``attention`` weights steps by a softmax of a learned score.
    """

    def __init__(self, features: int, *, pooling: str, directions: int = 1) -> None:
        super().__init__()
        check_choice("model.pooling", pooling, POOLINGS)
        self.pooling, self.directions = pooling, directions
        self.score = nn.Linear(features, 1, bias=False) if pooling == "attention" else None

    def forward(self, h: Tensor, lengths: Tensor | None) -> Tensor:
        """Return the pooled vector (B, features)."""
        if lengths is None:
            lengths = torch.full((h.shape[0],), h.shape[1], device=h.device)
        if self.pooling == "last":
            last_index = (lengths - 1).view(-1, 1, 1).expand(-1, 1, h.shape[2])
            last = h.gather(1, last_index).squeeze(1)
            half = h.shape[2] // 2
            return last if self.directions == 1 else torch.cat([last[:, :half], h[:, 0, half:]], 1)
        mask = valid_mask(h, lengths).unsqueeze(2)
        if self.pooling == "mean":
            return (h * mask).sum(1) / lengths.unsqueeze(1).to(h.dtype)
        if self.pooling == "max":
            return h.masked_fill(~mask, torch.finfo(h.dtype).min).amax(1)
        assert self.score is not None
        weights: Tensor = self.score(h).float().masked_fill(~mask, -torch.inf).softmax(1)  # (B, T, 1)
        return (h * weights.to(h.dtype)).sum(1)


# --- patches ---


def patchify(h: Tensor, lengths: Tensor | None, patch_len: int) -> tuple[Tensor, Tensor | None]:
    """Return patches (B, ⌈T / patch_len⌉, patch_len · C) of a sequence (B, T, C), padded with 0, and their lengths.

    Fewer, wider steps make a recurrent network faster and shorten the path of its gradients. Chan 2016 halves the time
    between layers; here it is reduced before the first layer.
    """
    if lengths is not None:
        h = h * valid_mask(h, lengths).unsqueeze(2)
        lengths = (lengths + patch_len - 1) // patch_len
    h = F.pad(h, (0, 0, 0, -h.shape[1] % patch_len))
    return h.reshape(h.shape[0], -1, patch_len * h.shape[2]), lengths


class SeriesPatches(nn.Module):
    """Splits a standardized time series (B, L, C) into patches (B', N, features) of ``patch_len`` steps.

    With ``channel_independence`` each column is a separate series, B' = B·C (Nie 2023: PatchTST). Otherwise a patch
    holds all columns. ``instance_norm`` subtracts each column's last value and adds it to the forecast (Kim 2022: RevIN
    with ``subtract_last``; Zeng 2023: NLinear). If L is not a multiple of ``patch_len``, the first steps are omitted.
    """

    target_columns: Tensor

    def __init__(self, spec: SeriesSpec, *, patch_len: int, instance_norm: bool, channel_independence: bool) -> None:
        super().__init__()
        check_number("model.patch_len", patch_len, low=1, high=spec.input_shape[0], integer=True)
        context_length, self.columns = spec.input_shape
        self.prediction_length, self.outputs = spec.target_shape
        self.targets = list(spec.targets)
        self.register_buffer("target_columns", torch.tensor(self.targets), persistent=False)
        self.patch_len, self.instance_norm, self.channel_independence = patch_len, instance_norm, channel_independence
        self.steps, self.predicted_steps = context_length // patch_len, -(-self.prediction_length // patch_len)
        self.features = patch_len * (1 if channel_independence else self.columns)
        self.predicted_features = patch_len * (1 if channel_independence else self.outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return the patches (B', N, features); with ``channel_independence`` only those of the target columns."""
        x = x[:, -self.steps * self.patch_len :]
        x = x.index_select(2, self.target_columns) if self.channel_independence else x
        if self.instance_norm:
            x = x - x[:, -1:]
        if self.channel_independence:
            return x.transpose(1, 2).reshape(-1, self.steps, self.patch_len)  # (B·C, N, patch_len)
        return x.reshape(-1, self.steps, self.features)

    def unpatchify(self, patches: Tensor, x: Tensor) -> Tensor:
        """Return the forecast (B, H, outputs) after ``x`` from predicted patches (B', M, predicted_features)."""
        flat = patches.flatten(1)
        if self.channel_independence:
            out = flat.view(-1, self.outputs, flat.shape[1]).transpose(1, 2)
        else:
            out = flat.view(flat.shape[0], -1, self.outputs)
        out = out[:, : self.prediction_length]
        return out + x[:, -1:].index_select(2, self.target_columns) if self.instance_norm else out


# --- heads ---


class SequenceClassifierHead(nn.Module):
    """Pooling over time, dropout and a linear layer: (B, T, features) to logits (B, classes) or values (B, 1)."""

    def __init__(self, features: int, outputs: int, *, pooling: str, directions: int, dropout: float) -> None:
        super().__init__()
        self.pool = Pooling(features, pooling=pooling, directions=directions)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(features, outputs)

    def forward(self, h: Tensor, lengths: Tensor | None) -> Tensor:
        """Return logits (B, classes), or standardized values (B, 1)."""
        out: Tensor = self.linear(self.dropout(self.pool(h, lengths)))
        return out


class LanguageModelHead(nn.Module):
    """Dropout and a linear layer: (B, T, features) to logits (B, T, V) of the next token.

    ``tie_embeddings`` shares the weights of ``embedding`` (Press & Wolf 2017), after a projection if the sizes differ.
    """

    def __init__(self, features: int, embedding: nn.Embedding, *, tie_embeddings: bool, dropout: nn.Module) -> None:
        super().__init__()
        vocab_size, embedding_dim = embedding.weight.shape
        self.dropout = dropout
        needs_proj = tie_embeddings and features != embedding_dim
        self.proj = nn.Linear(features, embedding_dim, bias=False) if needs_proj else None
        self.linear = nn.Linear(embedding_dim if tie_embeddings else features, vocab_size)
        if tie_embeddings:
            self.linear.weight = embedding.weight

    def forward(self, h: Tensor) -> Tensor:
        """Return logits (B, T, V) of the next token."""
        h = self.dropout(h)
        out: Tensor = self.linear(self.proj(h) if self.proj is not None else h)
        return out


class ForecasterHead(nn.Module):
    """Dropout and a linear layer: features to the values of predicted patches."""

    def __init__(self, features: int, outputs: int, *, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(features, outputs)

    def forward(self, h: Tensor) -> Tensor:
        """Return the values (…, outputs)."""
        out: Tensor = self.linear(self.dropout(h))
        return out


class SequenceClassifier(nn.Module):
    """The network for classification and regression: input layer, core, head.

    The core reads patches of ``patch_len`` steps.
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
        self.embed = build_input_layer(
            spec, sequence_order=sequence_order, embedding_dim=embedding_dim, dropout=input_dropout
        )
        check_number("model.patch_len", patch_len, low=1, high=self.embed.steps, integer=True)
        self.patch_len = patch_len
        self.core = core(self.embed.features * patch_len, -(-self.embed.steps // patch_len))
        directions = getattr(self.core, "directions", 1)
        self.head = SequenceClassifierHead(
            self.core.features, spec.outputs, pooling=pooling, directions=directions, dropout=dropout
        )

    def core_input(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the input of the core (B, T, C), and its lengths."""
        h = self.embed(x)
        return patchify(h, lengths, self.patch_len) if self.patch_len > 1 else (h, lengths)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return logits (B, classes), or standardized values (B, 1)."""
        h, lengths = self.core_input(x, lengths)
        h, _ = self.core(h, lengths)  # (B, T, features)
        out: Tensor = self.head(h, lengths)
        return out


class VariationalDropout(nn.Module):
    """Dropout with one mask for all steps of a sequence (B, T, features) (Gal & Ghahramani 2016)."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` with the same features dropped at all steps."""
        if not self.training or not self.p:
            return x
        return x * F.dropout(torch.ones_like(x[:, :1]), self.p)
