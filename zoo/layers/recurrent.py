"""Stacked recurrent layers in one or two directions, by torch's kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.layers.sequence import valid_mask

KERNELS = {"LSTM": torch.lstm, "GRU": torch.gru, "RNN_TANH": torch.rnn_tanh, "RNN_RELU": torch.rnn_relu}
State = list[Any]  # one entry per layer: h (1, B, hidden), or [h, c]


def reverse_sequences(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Return ``x`` (B, T, C) with each sequence reversed; padding stays at the end."""
    if lengths is None:
        return x.flip(1)
    step = torch.arange(x.shape[1], device=x.device)
    index = torch.where(valid_mask(x, lengths), lengths[:, None] - 1 - step, step)
    return x.gather(1, index.unsqueeze(2).expand_as(x))


class RecurrentLayers(nn.Module):
    """``num_layers`` recurrent layers: (B, T, inputs) to (B, T, features).

    Each layer and direction is a separate kernel, since the kernels' own dropout is not deterministic on CUDA. Padding
    is at the end, so it does not affect valid steps. The second direction reads each sequence backwards from its own
    last step. ``weight_dropout`` drops entries of W_hh, with one mask for all steps (Merity 2018: AWD-LSTM).
    """

    def __init__(
        self,
        inputs: int,
        steps: int,
        *,
        build_layer: Callable[[int], nn.RNNBase],
        num_layers: int,
        bidirectional: bool,
        build_dropout: Callable[[], nn.Module],
        weight_dropout: float,
    ) -> None:
        super().__init__()
        self.directions = 1 + bidirectional
        self.layers = nn.ModuleList()
        for _ in range(num_layers):
            directions = [build_layer(inputs) for _ in range(self.directions)]
            self.layers.append(nn.ModuleList(directions))
            inputs = self.directions * (directions[0].proj_size or directions[0].hidden_size)
        self.features = inputs
        self.dropouts = nn.ModuleList(build_dropout() for _ in range(num_layers - 1))
        self.weight_dropout = weight_dropout

    def forward(self, x: Tensor, lengths: Tensor | None = None, state: State | None = None) -> tuple[Tensor, State]:
        """Return the last layer's outputs, and each layer's final state in the forward direction."""
        new_state = []
        for index, directions in enumerate(self.layers):
            forward_layer, *backward_layer = cast(nn.ModuleList, directions)
            x = self.dropouts[index - 1](x) if index else x
            out, layer_state = self._run(forward_layer, x, None if state is None else state[index])
            new_state.append(layer_state)
            for layer in backward_layer:
                backward_out, _ = self._run(layer, reverse_sequences(x, lengths), None)
                out = torch.cat([out, reverse_sequences(backward_out, lengths)], 2)
            x = out
        return x, new_state

    def _run(self, layer: nn.Module, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Run one layer, in float32 if the processor has no bf16 kernel for it."""
        on_cpu = x.device.type == "cpu" and torch.is_autocast_enabled("cpu")
        if isinstance(layer, nn.LSTM) and on_cpu and not _has_avx512():
            with torch.autocast("cpu", enabled=False):
                return self._run_kernel(layer, x.float(), state)
        return self._run_kernel(layer, x, state)

    def _run_kernel(self, layer: nn.Module, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        state = tuple(state) if isinstance(state, list) else state
        if self.training and self.weight_dropout:
            out, *new_state = self._run_with_weight_dropout(layer, x, state)
            return out, new_state if len(new_state) > 1 else new_state[0]
        out, last = layer(x, state)
        return out, list(last) if isinstance(last, tuple) else last

    def _run_with_weight_dropout(self, layer: Any, x: Tensor, state: Any) -> Any:
        weight_ih, weight_hh, *rest = (getattr(layer, name) for name in layer._flat_weights_names)
        if state is None:
            state = x.new_zeros(1, len(x), layer.hidden_size)
            if isinstance(layer, nn.LSTM):
                state = (x.new_zeros(1, len(x), layer.proj_size or layer.hidden_size), state)
        kernel: Any = KERNELS[layer.mode]
        weights = [weight_ih, F.dropout(weight_hh, self.weight_dropout), *rest]
        return kernel(x, state, weights, True, 1, 0.0, True, False, True)


def _has_avx512() -> bool:
    """Return whether the processor has AVX-512. Without it oneDNN has no LSTM in bf16, and torch fails."""
    return torch.backends.cpu.get_cpu_capability().startswith("AVX512")
