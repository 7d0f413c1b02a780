"""The transformer: each step of a sequence reads from all others, by how well its query fits their keys.

    attention(Q, K, V) = softmax(Q Kᵀ / √d) V                       Vaswani et al.: Attention is all you need, 2017
    x ← x + attention(norm(x) W_q, norm(x) W_k, norm(x) W_v) W_o    in ``num_heads`` parts side by side,
    x ← x + W₂ gelu(W₁ norm(x))                                     normalised first (Xiong 2020)

Causal for language modelling, where a step sees no later one (Radford 2018: GPT); an encoder else (Devlin 2019: BERT).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.config.schema import check_choice, check_flag, check_number
from zoo.data.image.spec import DIGITS
from zoo.data.spec import DataSpec
from zoo.layers.blocks import begin_small
from zoo.layers.sequence import Label, Output, Segments, Symbols, inside, refuse
from zoo.models.sequence_base import SequenceModule
from zoo.registry import register

POSITIONS = ("rotary", "learned")


def rotate(x: Tensor) -> Tensor:
    """Return queries or keys (B, heads, T, d) turned by an angle that grows with their step (Su 2021: RoFormer).

    A product of two then depends on how far apart their steps are.
    """
    half = x.shape[3] // 2
    rate = 10000.0 ** (-torch.arange(half, device=x.device) / half)
    angle = torch.arange(x.shape[2], device=x.device)[:, None] * rate  # (T, d/2)
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    one, other = x[..., :half], x[..., half:]
    return torch.cat([one * cos - other * sin, one * sin + other * cos], 3)


class Attention(nn.Module):
    """Self-attention (B, T, size) to (B, T, size); without dropout, which would rule the fused kernels out."""

    def __init__(self, size: int, *, num_heads: int, causal: bool, rotary: bool) -> None:
        super().__init__()
        self.num_heads, self.causal, self.rotary = num_heads, causal, rotary
        self.read = nn.Linear(size, 3 * size, bias=False)
        self.write = nn.Linear(size, size, bias=False)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return what each step reads; ``mask`` (B, 1, 1, T) is true where there is something to read."""
        parts = self.read(x).unflatten(2, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)  # (3, B, heads, T, d)
        q, k, v = parts.unbind(0)
        if self.rotary:
            q, k = rotate(q), rotate(k)
        if x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):  # in bf16 this kernel takes 2.5 times as long
            with torch.autocast("cpu", enabled=False):
                out = attend(q.float(), k.float(), v.float(), mask, self.causal)
        else:
            out = attend(q, k, v, mask, self.causal)
        written: Tensor = self.write(out.transpose(1, 2).flatten(2))
        return written


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
    """Return softmax(Q Kᵀ / √d) V, all (B, heads, T, d)."""
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)


class Block(nn.Module):
    """Attention and two layers on each step by itself, both beside a shortcut."""

    def __init__(self, size: int, *, num_heads: int, causal: bool, rotary: bool, dropout: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(size) for _ in range(2))
        self.attention = Attention(size, num_heads=num_heads, causal=causal, rotary=rotary)
        self.layers = nn.Sequential(nn.Linear(size, 4 * size), nn.GELU(), nn.Linear(4 * size, size))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return (B, T, size)."""
        x = x + self.dropout(self.attention(self.norms[0](x), mask))
        out: Tensor = x + self.dropout(self.layers(self.norms[1](x)))
        return out


class Blocks(nn.Module):
    """``num_layers`` of attention over what is read: (B, T, inputs) to (B, T, features)."""

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
        self.enter = nn.Linear(inputs, size) if inputs != size else nn.Identity()
        self.place = nn.Parameter(torch.randn(steps, size) * 0.02) if positional_encoding == "learned" else None
        self.dropout = nn.Dropout(dropout)
        options: dict[str, Any] = {
            "num_heads": num_heads,
            "causal": causal,
            "rotary": positional_encoding == "rotary",
            "dropout": dropout,
        }
        self.blocks = nn.ModuleList(Block(size, **options) for _ in range(num_layers))
        self.norm = nn.LayerNorm(size)
        self.apply(self._draw)
        for block in self.blocks:  # what is added to the shortcut begins small (Radford 2019)
            for last in (block.attention.write, block.layers[2]):  # type: ignore[union-attr,index]
                gain = (2 * num_layers) ** -0.5
                nn.init.normal_(last.weight, std=0.02 * gain)  # type: ignore[union-attr,arg-type]
                begin_small(last, gain)  # type: ignore[arg-type]

    @staticmethod
    def _draw(module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, None]:
        """Return what each step has become, and no state."""
        h = self.enter(x)
        if self.place is not None:
            h = h + self.place[: h.shape[1]]
        h = self.dropout(h)
        mask = None if lengths is None else inside(h, lengths)[:, None, None, :]
        for block in self.blocks:
            h = block(h, mask)
        return self.norm(h), None


class NextSymbol(nn.Module):
    """Language modelling: symbols, causal blocks, logits for the symbol that follows each."""

    def __init__(
        self, spec: DataSpec, core: Callable[[int, int], Blocks], *, size: int, tie_embeddings: bool, dropout: float
    ) -> None:
        super().__init__()
        self.steps = spec.input_shape[0]
        self.reader = Symbols(spec.vocab_size, size, steps=self.steps, dropout=nn.Identity())
        self.reader.draw(0.02)
        self.core = core(size, self.steps)
        self.head = Output(size, self.reader.embedding, tie_embeddings=tie_embeddings, dropout=nn.Dropout(dropout))

    def read(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, None]:
        """Return the symbols' vectors (B, T, C), all of one length."""
        return self.reader(x), None

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return logits (B, T, V); a step sees those before it in ``x``.

        A text longer than a training window is read in parts where positions are learned, of which there are no more.
        """
        if self.core.place is not None and not torch.compiler.is_exporting() and x.shape[1] > self.steps:
            return self.continued(x, None)[0]
        h, _ = self.core(self.reader(x))
        out: Tensor = self.head(h)
        return out

    def continued(self, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return logits (B, T, V) and the last symbols, which are the state.

        ``x`` is read in parts of half a training window, each behind as many symbols as make it a whole one, so that no
        step stands where none stood in training.
        """
        seen = x[:, :0] if state is None else state
        answers = []
        for part in x.split(max(self.steps // 2, 1), 1):
            whole = torch.cat([seen, part], 1)[:, -self.steps :]
            answers.append(self.forward(whole)[:, -part.shape[1] :])
            seen = torch.cat([seen, part], 1)[:, -self.steps :]
        return torch.cat(answers, 1), seen


class Future(nn.Module):
    """Forecasting: segments of the past as steps, one layer from them all to the whole future (Nie 2023: PatchTST)."""

    def __init__(
        self, spec: DataSpec, core: Callable[[int, int], Blocks], *, segments: Segments, size: int, dropout: float
    ) -> None:
        super().__init__()
        self.segments = segments
        self.embed = nn.Linear(segments.features, size)
        self.core = core(size, segments.steps)
        answered = segments.later * segments.answered
        self.head = nn.Sequential(nn.Flatten(1), nn.Dropout(dropout), nn.Linear(segments.steps * size, answered))

    def read(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, None]:
        """Return the past as vectors (B', N, size), all of one length."""
        return self.embed(self.segments(x)), None

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the standardised future (B, H, columns)."""
        h, _ = self.core(self.embed(self.segments(x)))
        return self.segments.restore(self.head(h), x)


@register("transformer")
class Transformer(SequenceModule):
    """A transformer of ``num_layers`` blocks of ``hidden_size`` numbers a step, in ``num_heads`` parts.

    ``positional_encoding`` are rotary or learned; ``dropout`` is on what each block adds and before the answer. Images are read
    by ``sequence_order`` (rows, pixels, permuted); ``pooling`` over time makes one answer (last, mean, max, attention); ``tie_embeddings``
    uses the symbols' vectors for the output too. What is labelled is read ``patch_len`` steps at a time, and so are time
    series, ``channel_independence`` column by column, ``instance_norm`` without their last value (see Segments).

    Raises:
        ZooError: an option outside its limits.
    """

    def __init__(
        self,
        *,
        spec: DataSpec | dict[str, Any] = DIGITS,
        hidden_size: int = 128,
        num_layers: int = 2,
        num_heads: int = 4,
        positional_encoding: str = "rotary",
        dropout: float = 0.1,
        sequence_order: str = "rows",
        pooling: str = "mean",
        tie_embeddings: bool = True,
        patch_len: int = 1,
        instance_norm: bool = True,
        channel_independence: bool = True,
    ) -> None:
        super().__init__(spec=spec)
        for name, value in (("hidden_size", hidden_size), ("num_layers", num_layers), ("num_heads", num_heads)):
            check_number(f"model.{name}", value, low=1, integer=True)
        check_choice("model.positional_encoding", positional_encoding, POSITIONS)
        check_number("model.dropout", dropout, low=0, below=1)
        for name, flag in (
            ("tie_embeddings", tie_embeddings),
            ("instance_norm", instance_norm),
            ("channel_independence", channel_independence),
        ):
            check_flag(f"model.{name}", flag)
        refuse(
            hidden_size % (2 * num_heads) > 0,
            f"model.hidden_size={hidden_size}: must be a multiple of twice model.num_heads={num_heads}",
        )
        target = self.spec.target_type
        core = partial(
            Blocks,
            size=hidden_size,
            num_layers=num_layers,
            num_heads=num_heads,
            positional_encoding=positional_encoding,
            causal=target == "next_symbol",
            dropout=dropout,
        )
        if target == "next_symbol":
            self.network: nn.Module = NextSymbol(
                self.spec, core, size=hidden_size, tie_embeddings=tie_embeddings, dropout=dropout
            )
        elif target == "future":
            segments = Segments(self.spec, size=patch_len, instance_norm=instance_norm, apart=channel_independence)
            self.network = Future(self.spec, core, segments=segments, size=hidden_size, dropout=dropout)
        else:
            drop = nn.Dropout(dropout)
            options: dict[str, Any] = {
                "sequence_order": sequence_order,
                "embedding_dim": hidden_size,
                "patch_len": patch_len,
            }
            options["input_dropout"] = drop
            self.network = Label(self.spec, core, dropout=dropout, pooling=pooling, **options)
