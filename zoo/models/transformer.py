"""The transformer (Vaswani et al. 2017: Attention is all you need), in its pre-norm form (Xiong 2020).

    Attention(Q, K, V) = softmax(Q Kᵀ / √d) V        in ``num_heads`` heads of size d

Each block adds to its input x (B, T, size):

    x ← x + Attention(x̂ W_q, x̂ W_k, x̂ W_v) W_o       with x̂ = LayerNorm(x)
    x ← x + W_2 gelu(W_1 LayerNorm(x))

A language model is causal: a step attends to itself and to earlier steps (Radford 2018: GPT). Other tasks use an
encoder, in which each step attends to all steps (Devlin 2019: BERT).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.config.schema import Count, Flag, Share, one_of
from zoo.data.image.spec import DIGITS
from zoo.data.spec import DataSpec
from zoo.exceptions import ZooError
from zoo.layers.blocks import begin_small
from zoo.layers.sequence import ForecasterHead, SeriesPatches, valid_mask
from zoo.models.sequence_base import LanguageModel, SequenceModule
from zoo.registry import register

POSITIONAL_ENCODINGS = ("rotary", "learned")


def scaled_dot_product_attention(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, *, causal: bool = False
) -> Tensor:
    """Return softmax(Q Kᵀ / √d) V, all of shape (B, heads, T, d), by torch's fused kernel.

    ``mask`` (B, 1, 1, T) is true at steps that may be attended to. ``causal`` masks later steps.
    """
    if q.device.type == "cpu" and torch.is_autocast_enabled("cpu"):  # in bf16 this kernel takes 2.5 times as long
        with torch.autocast("cpu", enabled=False):
            return F.scaled_dot_product_attention(q.float(), k.float(), v.float(), attn_mask=mask, is_causal=causal)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)


def apply_rotary(x: Tensor, start: int = 0) -> Tensor:
    """Return queries or keys (B, heads, T, d) of steps ``start``, ``start`` + 1, … rotated by their positions.

    Rotary position embedding (Su 2021: RoFormer): the angle is proportional to the position. A product of query and key
    thus depends only on the distance between their steps.
    """
    half = x.shape[3] // 2
    frequency = 10000.0 ** (-torch.arange(half, device=x.device) / half)
    angle = torch.arange(start, start + x.shape[2], device=x.device)[:, None] * frequency  # (T, d/2)
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    x1, x2 = x[..., :half], x[..., half:]
    return torch.cat([x1 * cos - x2 * sin, x1 * sin + x2 * cos], 3)


class KeyValueCache:
    """The keys and values (B, heads, T, d) of earlier steps in each block.

    With them, decoding computes only those of new steps.
    """

    def __init__(self, num_layers: int) -> None:
        self.keys: list[Tensor | None] = [None] * num_layers
        self.values: list[Tensor | None] = [None] * num_layers

    @property
    def length(self) -> int:
        """Return the number of cached steps."""
        return 0 if self.keys[-1] is None else self.keys[-1].shape[2]

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Append the keys and values of new steps to those of a block, and return all."""
        keys, values = self.keys[layer], self.values[layer]
        k = k if keys is None else torch.cat([keys, k], 2)
        v = v if values is None else torch.cat([values, v], 2)
        self.keys[layer], self.values[layer] = k, v
        return k, v


class Attention(nn.Module):
    """Multi-head self-attention: (B, T, size) to (B, T, size).

    It has no dropout, which would rule out fused kernels.
    """

    def __init__(self, size: int, *, layer: int, num_heads: int, causal: bool, rotary: bool) -> None:
        super().__init__()
        self.layer, self.num_heads, self.causal, self.rotary = layer, num_heads, causal, rotary
        self.qkv = nn.Linear(size, 3 * size, bias=False)
        self.proj = nn.Linear(size, size, bias=False)

    def forward(self, x: Tensor, mask: Tensor | None, cache: KeyValueCache | None = None) -> Tensor:
        """Return the attended values. With a ``cache`` that is not empty, ``x`` (B, 1, size) is the next step."""
        qkv = self.qkv(x).unflatten(2, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)  # (3, B, heads, T, d)
        q, k, v = qkv.unbind(0)
        if self.rotary:
            start = 0 if cache is None else cache.length
            q, k = apply_rotary(q, start), apply_rotary(k, start)
        causal = self.causal
        if cache is not None:
            causal = cache.keys[self.layer] is None  # a step after the cached ones attends to all of them
            k, v = cache.append(self.layer, k, v)
        out = scaled_dot_product_attention(q, k, v, mask, causal=causal)
        projected: Tensor = self.proj(out.transpose(1, 2).flatten(2))
        return projected


class Block(nn.Module):
    """A pre-norm transformer block: attention and a feed-forward network, both with residual connections."""

    def __init__(self, size: int, *, layer: int, num_heads: int, causal: bool, rotary: bool, dropout: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(size) for _ in range(2))
        self.attention = Attention(size, layer=layer, num_heads=num_heads, causal=causal, rotary=rotary)
        dim_feedforward = 4 * size
        self.feed_forward = nn.Sequential(nn.Linear(size, dim_feedforward), nn.GELU(), nn.Linear(dim_feedforward, size))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None, cache: KeyValueCache | None = None) -> Tensor:
        """Return the output (B, T, size)."""
        x = x + self.dropout(self.attention(self.norms[0](x), mask, cache))
        out: Tensor = x + self.dropout(self.feed_forward(self.norms[1](x)))
        return out


class TransformerBlocks(nn.Module):
    """Input projection, position embedding and ``num_layers`` blocks: (B, T, inputs) to (B, T, features)."""

    def __init__(
        self,
        inputs: int,
        steps: int,
        *,
        size: int,
        num_layers: int,
        num_heads: int,
        positional_encoding: str,
        causal: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        self.features, self.steps = size, steps
        self.input_proj = nn.Linear(inputs, size) if inputs != size else nn.Identity()
        rotary = positional_encoding == "rotary"
        self.pos_embed = None if rotary else nn.Parameter(torch.randn(steps, size) * 0.02)
        self.dropout = nn.Dropout(dropout)
        options: dict[str, Any] = {"num_heads": num_heads, "causal": causal, "rotary": rotary, "dropout": dropout}
        blocks = [Block(size, layer=layer, **options) for layer in range(num_layers)]
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(size)
        self.apply(_initialize_linear)
        gain = (2 * num_layers) ** -0.5
        for block in blocks:  # smaller initial weights at the end of each branch, by depth (Radford 2019: GPT-2)
            for last in (block.attention.proj, block.feed_forward[2]):
                nn.init.normal_(last.weight, std=0.02 * gain)  # type: ignore[arg-type]
                begin_small(last, gain)

    def forward(
        self, x: Tensor, lengths: Tensor | None = None, cache: KeyValueCache | None = None
    ) -> tuple[Tensor, KeyValueCache | None]:
        """Return the outputs (B, T, features), and the cache extended by the steps of ``x``."""
        h = self.input_proj(x)
        if self.pos_embed is not None:
            start = 0 if cache is None else cache.length
            h = h + self.pos_embed[start : start + h.shape[1]]
        h = self.dropout(h)
        mask = None if lengths is None else valid_mask(h, lengths)[:, None, None, :]
        for block in self.blocks:
            h = block(h, mask, cache)
        return self.norm(h), cache


def _initialize_linear(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class TransformerLanguageModel(LanguageModel):
    """The transformer language model: token embedding, causal blocks, logits of the next token at each step."""

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return logits (B, T, V); each step attends to itself and to earlier steps.

        Learned positions end with the block, so a longer text is processed in parts.
        """
        if self.core.pos_embed is not None and not torch.compiler.is_exporting() and x.shape[1] > self.embed.steps:
            return self.forward_with_state(x, None)[0]
        h, _ = self.core(self.embed(x))
        out: Tensor = self.head(h)
        return out

    def forward_with_state(
        self, x: Tensor, state: tuple[Tensor, KeyValueCache | None] | None
    ) -> tuple[Tensor, tuple[Tensor, KeyValueCache | None]]:
        """Return logits (B, T, V) and the state: the last tokens and, while decoding, their keys and values.

        No step has a position that did not occur in training. A single token is decoded with the cache. Several tokens
        are processed in parts of half a block, each preceded by enough context to fill a block.
        """
        context, cache = (x[:, :0], None) if state is None else state
        if x.shape[1] == 1:
            return self._decode(x, context, cache)
        logits = []
        for part in torch.split(x, max(self.embed.steps // 2, 1), 1):
            context = torch.cat([context, part], 1)[:, -self.embed.steps :]
            logits.append(self.forward(context)[:, -part.shape[1] :])
        return torch.cat(logits, 1), (context, None)

    def _decode(
        self, x: Tensor, context: Tensor, cache: KeyValueCache | None
    ) -> tuple[Tensor, tuple[Tensor, KeyValueCache]]:
        """Return logits (B, 1, V) for one token after ``context``. A context of a full block is cut to its second half."""
        full = context.shape[1] >= self.embed.steps
        if full:
            context = context[:, context.shape[1] - self.embed.steps // 2 :]
        new_tokens = x
        if cache is None or full:
            cache, new_tokens = KeyValueCache(len(self.core.blocks)), torch.cat([context, x], 1)
        h, _ = self.core(self.embed(new_tokens), cache=cache)
        return self.head(h[:, -1:]), (torch.cat([context, x], 1), cache)


class TransformerForecaster(nn.Module):
    """The transformer forecaster: an encoder over patches, one linear layer to the forecast (Nie 2023: PatchTST)."""

    def __init__(
        self, core: Callable[[int, int], TransformerBlocks], *, patches: SeriesPatches, size: int, dropout: float
    ) -> None:
        super().__init__()
        self.patches = patches
        self.embed = nn.Linear(patches.features, size)
        self.core = core(size, patches.steps)
        outputs = patches.predicted_steps * patches.predicted_features
        self.head = ForecasterHead(patches.steps * size, outputs, dropout=dropout)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the standardized forecast (B, H, columns)."""
        h, _ = self.core(self.embed(self.patches(x)))
        return self.patches.unpatchify(self.head(h.flatten(1)), x)


@register("transformer")
class Transformer(SequenceModule):
    """The transformer (Vaswani et al. 2017): a causal language model, or an encoder for other tasks.

    Each step of a sequence attends to other steps: ``Attention(Q, K, V) = softmax(Q Kᵀ / √d) V`` in several heads.
    Blocks of attention and feed-forward layers with residual connections map ``(B, T, hidden_size)`` to the same shape.
    The output has logits ``(B, T, V)`` or ``(B, classes)``, standardized values ``(B, 1)`` or a forecast ``(B, H,
    columns)``.

    Args:
        hidden_size: size of the vector of each step; a multiple of twice ``num_heads``.
        num_layers: number of blocks.
        num_heads: number of attention heads in a block.
        positional_encoding: rotary (rotates queries and keys) or learned (added to the input).
        dropout: dropout rate on the input, on each branch of a block, and before the output.
        sequence_order: order in which an image is read: rows, pixels, or permuted (pixels in a fixed random order).
        pooling: pooling over time for classification and regression: last, mean, max or attention.
        tie_embeddings: share the weights of a language model's embedding with its output layer.
        patch_len: number of steps per patch, which the network reads as one step; not for language modeling.
        instance_norm: for time series, subtract each column's last value and add it to the forecast.
        channel_independence: for time series, read each column as a separate series.

    Raises:
        ZooError: an option is outside its limits.
    """

    def __init__(
        self,
        *,
        spec: DataSpec | dict[str, Any] = DIGITS,
        hidden_size: Count = 128,
        num_layers: Count = 2,
        num_heads: Count = 4,
        positional_encoding: Annotated[str, one_of(POSITIONAL_ENCODINGS)] = "rotary",
        dropout: Share = 0.1,
        sequence_order: str = "rows",
        pooling: str = "mean",
        tie_embeddings: Flag = True,
        patch_len: int = 1,
        instance_norm: Flag = True,
        channel_independence: Flag = True,
    ) -> None:
        super().__init__(spec=spec)
        if hidden_size % (2 * num_heads):
            raise ZooError(f"model.hidden_size={hidden_size}: must be a multiple of twice model.num_heads={num_heads}")
        target = self.spec.target_type
        options = {name: self.hparams[name] for name in ("num_layers", "num_heads", "positional_encoding", "dropout")}
        core = partial(TransformerBlocks, size=hidden_size, causal=target == "next_symbol", **options)
        self.network: nn.Module
        if target == "next_symbol":
            self.network = TransformerLanguageModel(
                self.spec,
                core,
                embedding_dim=hidden_size,
                embedding_std=0.02,
                input_dropout=nn.Identity(),
                output_dropout=nn.Dropout(dropout),
                tie_embeddings=tie_embeddings,
            )
        elif target == "future":
            self.network = TransformerForecaster(core, patches=self.build_patches(), size=hidden_size, dropout=dropout)
        else:
            self.network = self.build_classifier(core, hidden_size, nn.Dropout(dropout))
