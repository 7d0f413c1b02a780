"""The gated recurrent unit (Cho 2014: Learning phrase representations using RNN encoder-decoder).

At each step t of a sequence, with σ the logistic function and ∘ the elementwise product:

    1. r_t = σ(W_ir x_t + b_ir + W_hr h_{t-1} + b_hr)              reset gate
    2. z_t = σ(W_iz x_t + b_iz + W_hz h_{t-1} + b_hz)              update gate
    3. n_t = tanh(W_in x_t + b_in + r_t ∘ (W_hn h_{t-1} + b_hn))   candidate
    4. h_t = (1 - z_t) ∘ n_t + z_t ∘ h_{t-1}                       hidden state

This is torch's variant. In the paper r_t multiplies h_{t-1} before W_hn does, and z_t and 1 - z_t are swapped.
"""

from __future__ import annotations

from typing import Annotated, Any

import torch
from torch import Tensor, nn

from zoo.config.schema import number
from zoo.models.sequence_base import RecurrentModule
from zoo.registry import register


def gru_cell(x: Tensor, h: Tensor, layer: nn.GRU) -> Tensor:
    """Return h_t (B, hidden) from x_t (B, inputs) and h_{t-1}: one step of the equations above.

    Training uses torch's kernel, which computes the same for all steps at once.
    """
    w_ih, w_hh, b_ih, b_hh = layer.all_weights[0]  # the three gates are stacked: w_ih is (3 · hidden, inputs)
    input_r, input_z, input_n = (x @ w_ih.T + b_ih).chunk(3, dim=1)
    hidden_r, hidden_z, hidden_n = (h @ w_hh.T + b_hh).chunk(3, dim=1)
    r = (input_r + hidden_r).sigmoid()
    z = (input_z + hidden_z).sigmoid()
    n = (input_n + r * hidden_n).tanh()
    return (1 - z) * n + z * h


@register("gru")
class GRU(RecurrentModule):
    """The gated recurrent unit (Cho 2014): a recurrent network with two gates and no separate cell state.

    The update gate z interpolates between the previous state and a candidate: ``h_t = (1 - z_t) ∘ n_t + z_t ∘
    h_{t-1}``. The reset gate r scales the previous state in the candidate n. The core maps ``(B, T, inputs)`` to ``(B,
    T, hidden_size)``, with three quarters of the parameters of an LSTM.

    Args:
        forget_bias: value added to the initial bias of the update gate; above 0 keeps the state for longer.
    """

    def __init__(self, *, forget_bias: Annotated[float, number(low=-10, high=10)] = 0.0, **shared: Any) -> None:
        super().__init__(**shared)

    def build_layer(self, inputs: int, *, hidden_size: int) -> nn.RNNBase:
        """Return torch's recurrent layer."""
        forget_bias = self.hparams["forget_bias"]
        layer = nn.GRU(inputs, hidden_size, batch_first=True)
        _, _, b_ih, _ = layer.all_weights[0]
        with torch.no_grad():  # torch orders the gates r, z, n
            b_ih[hidden_size : 2 * hidden_size] += forget_bias
        return layer
