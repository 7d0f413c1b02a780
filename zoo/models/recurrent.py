"""Recurrent networks: one cell applied to each step of a sequence, with a state that is handed on.

    rnn    hₜ = φ(W xₜ + U hₜ₋₁ + b)                                          Elman: Finding structure in time, 1990
    lstm   i, f, o = σ(W xₜ + U hₜ₋₁ + b),  g = tanh(…),                      Hochreiter & Schmidhuber 1997; with the
           cₜ = f ∘ cₜ₋₁ + i ∘ g,  hₜ = o ∘ tanh cₜ                           forget gate f of Gers 2000
    gru    r, z = σ(W xₜ + U hₜ₋₁ + b),  n = tanh(W xₜ + r ∘ (U hₜ₋₁ + b) + b),   Cho 2014
           hₜ = (1 − z) ∘ n + z ∘ hₜ₋₁

What is not the cell is the same for all three: layers, directions, dropout, and what is done with the states.
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
from zoo.layers.sequence import Label, Locked, Output, Segments, Symbols, inside, refuse
from zoo.models.sequence_base import SequenceModule
from zoo.registry import register

State = list[Any]  # of each layer: h (1, B, hidden), or [h, c]


def backwards(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Return each sequence of ``x`` (B, T, C) from its last step to its first; padding stays where it is."""
    if lengths is None:
        return x.flip(1)
    step = torch.arange(x.shape[1], device=x.device)
    at = torch.where(inside(x, lengths), lengths[:, None] - 1 - step, step)
    return x.gather(1, at.unsqueeze(2).expand_as(x))


def _wide() -> bool:
    """Tell whether the processor has AVX-512, without which oneDNN has no LSTM in bf16 and torch fails."""
    return torch.backends.cpu.get_cpu_capability().startswith("AVX512")


class Layers(nn.Module):
    """``num_layers`` of cells, in one direction or two: (B, T, inputs) to (B, T, features).

    Each is a kernel of torch's for one layer and one direction. Padding is at the end, where no valid step sees it: the
    second direction reads each sequence from its own last step. ``weight_dropout`` drops entries of U, the same for all
    steps (Merity 2018).
    """

    def __init__(
        self,
        inputs: int,
        steps: int,
        *,
        cell: Callable[[int], nn.RNNBase],
        num_layers: int,
        bidirectional: bool,
        between: Callable[[], nn.Module],
        weight_dropout: float,
    ) -> None:
        super().__init__()
        self.directions = 1 + bidirectional
        self.cells = nn.ModuleList()
        for _ in range(num_layers):
            self.cells.append(nn.ModuleList(cell(inputs) for _ in range(self.directions)))
            made: Any = self.cells[-1][0]  # type: ignore[index]
            inputs = self.directions * (getattr(made, "proj_size", 0) or made.hidden_size)
        self.features = inputs
        self.between = nn.ModuleList(between() for _ in range(num_layers - 1))
        self.weight_dropout = weight_dropout

    def forward(self, x: Tensor, lengths: Tensor | None = None, state: State | None = None) -> tuple[Tensor, State]:
        """Return what the last layer says at each step, and each layer's state after the last one (forwards)."""
        left = []
        for number, cells in enumerate(self.cells):
            x = self.between[number - 1](x) if number else x
            out, after = self._run(cells[0], x, None if state is None else state[number])
            left.append(after)
            if self.directions == 2:
                back, _ = self._run(cells[1], backwards(x, lengths), None)
                out = torch.cat([out, backwards(back, lengths)], 2)
            x = out
        return x, left

    def _run(self, cell: Any, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        if isinstance(cell, nn.LSTM) and x.device.type == "cpu" and torch.is_autocast_enabled("cpu") and not _wide():
            with torch.autocast("cpu", enabled=False):
                return self._stepped(cell, x.float(), state)
        return self._stepped(cell, x, state)

    def _stepped(self, cell: Any, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        state = tuple(state) if isinstance(state, list) else state
        if self.training and self.weight_dropout:
            out, *after = self._dropped(cell, x, state)
            return out, after if len(after) > 1 else after[0]
        out, after = cell(x, state)
        return out, list(after) if isinstance(after, tuple) else after

    def _dropped(self, cell: Any, x: Tensor, state: Any) -> Any:
        """Return what torch's kernel answers with some of U left out."""
        w, u, *rest = (getattr(cell, name) for name in cell._flat_weights_names)
        if state is None:
            state = x.new_zeros(1, len(x), cell.hidden_size)
            if isinstance(cell, nn.LSTM):
                state = (x.new_zeros(1, len(x), cell.proj_size or cell.hidden_size), state)
        kernel = {"LSTM": torch.lstm, "GRU": torch.gru, "RNN_TANH": torch.rnn_tanh, "RNN_RELU": torch.rnn_relu}[
            cell.mode
        ]
        weights = [w, F.dropout(u, self.weight_dropout), *rest]
        return kernel(x, state, weights, True, 1, 0.0, True, False, True)


class NextSymbol(nn.Module):
    """Language modelling: symbols, core, logits for the symbol that follows each."""

    def __init__(
        self,
        spec: DataSpec,
        core: Callable[[int, int], Layers],
        *,
        embedding_dim: int,
        input_dropout: nn.Module,
        output_dropout: nn.Module,
        tie_embeddings: bool,
    ) -> None:
        super().__init__()
        count = spec.vocab_size
        self.reader = Symbols(count, embedding_dim, steps=spec.input_shape[0], dropout=input_dropout)
        self.core = core(self.reader.features, self.reader.steps)
        self.head = Output(
            self.core.features, self.reader.embedding, tie_embeddings=tie_embeddings, dropout=output_dropout
        )

    def read(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, None]:
        """Return the symbols' vectors (B, T, C), all of one length."""
        return self.reader(x), None

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return logits (B, T, V), from no state."""
        return self.continued(x, None)[0]

    def continued(self, x: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Return logits (B, T, V) and the state to go on from."""
        h, state = self.core(self.reader(x), None, state)
        return self.head(h), state


class Future(nn.Module):
    """Forecasting: segments of the past through the core, whose state then answers segments of the future.

    ``direct`` answers all at once: each is one step of the last cell from the state after the past, on a vector that
    says which segment of which column it is (Lin 2023: SegRNN, parallel decoding). Else each answer is read as the next
    step's input.
    """

    def __init__(
        self,
        spec: DataSpec,
        core: Callable[[int, int], Layers],
        *,
        segments: Segments,
        width: int,
        direct: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        self.segments, self.direct = segments, direct
        same = segments.apart or segments.targets == list(range(segments.columns))
        refuse(
            not direct and not same,
            "model.forecast_strategy=recursive: reads its answers again, so that it must forecast all columns; set data.columns, or "
            "model.channel_independence=true",
        )
        self.embed = nn.Sequential(nn.Linear(segments.features, width), nn.ReLU())
        self.core = core(width, segments.steps)
        columns = segments.outputs if segments.apart else 1
        if direct:
            self.place = nn.Parameter(torch.randn(segments.later, width) * 0.1)
            self.column = nn.Parameter(torch.randn(columns, width) * 0.1) if columns > 1 else None
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(self.core.features, segments.answered))

    def read(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, None]:
        """Return the past as vectors (B', N, width), all of one length."""
        return self.embed(self.segments(x)), None

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the standardised future (B, H, columns)."""
        h, state = self.core(self.embed(self.segments(x)))
        answers = self._at_once(state, x.shape[0]) if self.direct else self._in_turn(h, state)
        return self.segments.restore(answers, x)

    def _at_once(self, state: State, rows: int) -> Tensor:
        later, width = self.place.shape
        place = self.place if self.column is None else self.place + self.column[:, None]  # (C, M, width)
        place = place.expand(rows, *place.shape).reshape(-1, 1, width)  # (B'·M, 1, width)
        spread = [_spread(one, later) for one in state]
        h, _ = self.core(place, None, spread)
        return self.head(h).view(-1, later, self.segments.answered)

    def _in_turn(self, h: Tensor, state: State) -> Tensor:
        answers = [self.head(h[:, -1:])]
        while len(answers) < self.segments.later:
            h, state = self.core(self.embed(answers[-1]), None, state)
            answers.append(self.head(h))
        return torch.cat(answers, 1)


def _spread(state: Any, times: int) -> Any:
    """Return a state (1, B, hidden) with each row ``times`` times in a row."""
    if isinstance(state, list):
        return [_spread(one, times) for one in state]
    return state.repeat_interleave(times, 1)


class Recurrent(SequenceModule):
    """What rnn, lstm and gru share.

    ``hidden_size`` and ``num_layers`` of the core, ``bidirectional`` for labels. ``dropout`` is between layers and before
    the answer, ``input_dropout`` on symbols' vectors (``embedding_dim``), ``variational_dropout`` makes both the same at each step,
    and ``weight_dropout`` drops recurrent weights. Images are read by ``sequence_order`` (rows, pixels, permuted); ``pooling``
    over time makes one answer (last, mean, max, attention); ``tie_embeddings`` uses the symbols' vectors for the output too.
    What is labelled is read ``patch_len`` steps at a time, and so are time series, ``channel_independence`` column by column,
    ``instance_norm`` without their last value, and answered by ``forecast_strategy``, direct or recursive (see Segments and Future).

    Raises:
        ZooError: an option outside its limits, or one that does not go with the task.
    """

    stateful = True

    def __init__(
        self,
        *,
        spec: DataSpec | dict[str, Any] = DIGITS,
        hidden_size: int = 128,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.1,
        input_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        variational_dropout: bool = False,
        sequence_order: str = "rows",
        pooling: str = "last",
        embedding_dim: int = 64,
        tie_embeddings: bool = False,
        patch_len: int = 1,
        instance_norm: bool = True,
        channel_independence: bool = True,
        forecast_strategy: str = "direct",
    ) -> None:
        super().__init__(spec=spec)
        check_number("model.hidden_size", hidden_size, low=1, integer=True)
        check_number("model.num_layers", num_layers, low=1, integer=True)
        for name, value in (("dropout", dropout), ("input_dropout", input_dropout), ("weight_dropout", weight_dropout)):
            check_number(f"model.{name}", value, low=0, below=1)
        flags = {
            "bidirectional": bidirectional,
            "variational_dropout": variational_dropout,
            "tie_embeddings": tie_embeddings,
            "instance_norm": instance_norm,
        }
        for name, flag in {**flags, "channel_independence": channel_independence}.items():
            check_flag(f"model.{name}", flag)
        check_choice("model.forecast_strategy", forecast_strategy, ("direct", "recursive"))
        drop = Locked if variational_dropout else nn.Dropout
        core = partial(
            Layers,
            cell=partial(self.cell, hidden_size=hidden_size),
            num_layers=num_layers,
            bidirectional=bidirectional,
            between=lambda: drop(dropout),
            weight_dropout=weight_dropout,
        )
        target = self.spec.target_type
        refuse(
            bidirectional and target in ("next_symbol", "future"),
            f"model.bidirectional=true: does not go with {self.spec.task}, where nothing is known of what comes",
        )
        if target == "next_symbol":
            drops = {"input_dropout": drop(input_dropout), "output_dropout": drop(dropout)}
            self.network = NextSymbol(
                self.spec, core, embedding_dim=embedding_dim, tie_embeddings=tie_embeddings, **drops
            )
        elif target == "future":
            segments = Segments(self.spec, size=patch_len, instance_norm=instance_norm, apart=channel_independence)
            self.network = Future(
                self.spec,
                core,
                segments=segments,
                width=hidden_size,
                direct=forecast_strategy == "direct",
                dropout=dropout,
            )
        else:
            options: dict[str, Any] = {
                "sequence_order": sequence_order,
                "embedding_dim": embedding_dim,
                "patch_len": patch_len,
            }
            options["input_dropout"] = drop(input_dropout)
            self.network = Label(self.spec, core, dropout=dropout, pooling=pooling, **options)

    def cell(self, inputs: int, *, hidden_size: int) -> nn.RNNBase:
        """Return one layer in one direction, (B, T, inputs) to (B, T, hidden); its own options are in ``hparams``."""
        raise NotImplementedError


@register("rnn")
class RNN(Recurrent):
    """The simple recurrent network, tanh or relu; ``identity_init`` begins with U = 1, b = 0 (Le, Jaitly, Hinton 2015)."""

    def __init__(
        self, *, activation: str = "tanh", identity_init: bool = False, pooling: str = "max", **shared: Any
    ) -> None:
        super().__init__(pooling=pooling, **shared)

    def cell(self, inputs: int, *, hidden_size: int) -> nn.RNNBase:
        """Return an Elman layer."""
        activation, identity_init = self.hparams["activation"], self.hparams["identity_init"]
        check_choice("model.activation", activation, ("tanh", "relu"))
        check_flag("model.identity_init", identity_init)
        made = nn.RNN(inputs, hidden_size, nonlinearity=activation, batch_first=True)
        if identity_init:
            nn.init.eye_(made.weight_hh_l0)
            nn.init.zeros_(made.bias_hh_l0)
            nn.init.zeros_(made.bias_ih_l0)
        return made


@register("lstm")
class LSTM(Recurrent):
    """Long short-term memory. ``forget_bias`` begins f's b (Jozefowicz 2015: 1); ``proj_size`` is h's size (Sak 2014).

    0 leaves it as large as c.
    """

    def __init__(self, *, forget_bias: float = 1.0, proj_size: int = 0, **shared: Any) -> None:
        super().__init__(**shared)

    def cell(self, inputs: int, *, hidden_size: int) -> nn.RNNBase:
        """Return an LSTM layer."""
        forget_bias, proj_size = self.hparams["forget_bias"], self.hparams["proj_size"]
        check_number("model.forget_bias", forget_bias, low=-10, high=10)
        check_number("model.proj_size", proj_size, low=0, high=hidden_size - 1, integer=True)
        made = nn.LSTM(inputs, hidden_size, proj_size=proj_size, batch_first=True)
        with torch.no_grad():  # torch has two biases per gate, in the order i f g o: their sum counts
            made.bias_ih_l0[hidden_size : 2 * hidden_size] = forget_bias
            made.bias_hh_l0[hidden_size : 2 * hidden_size] = 0
        return made


@register("gru")
class GRU(Recurrent):
    """The gated recurrent unit. ``forget_bias`` is added to z's first b: above 0 the state is kept for longer."""

    def __init__(self, *, forget_bias: float = 0.0, **shared: Any) -> None:
        super().__init__(**shared)

    def cell(self, inputs: int, *, hidden_size: int) -> nn.RNNBase:
        """Return a GRU layer."""
        forget_bias = self.hparams["forget_bias"]
        check_number("model.forget_bias", forget_bias, low=-10, high=10)
        made = nn.GRU(inputs, hidden_size, batch_first=True)
        with torch.no_grad():  # in the order r z n
            made.bias_ih_l0[hidden_size : 2 * hidden_size] += forget_bias
        return made
