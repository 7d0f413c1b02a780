"""Long short-term memory (Hochreiter & Schmidhuber 1997), with a forget gate (Gers 2000) and projection (Sak 2014).

At each step t of a sequence, with σ the logistic function and ∘ the elementwise product:

    1. i_t = σ(W_ii x_t + b_ii + W_hi h_{t-1} + b_hi)       input gate
    2. f_t = σ(W_if x_t + b_if + W_hf h_{t-1} + b_hf)       forget gate
    3. g_t = tanh(W_ig x_t + b_ig + W_hg h_{t-1} + b_hg)    candidate
    4. o_t = σ(W_io x_t + b_io + W_ho h_{t-1} + b_ho)       output gate
    5. c_t = f_t ∘ c_{t-1} + i_t ∘ g_t                      cell state
    6. h_t = W_hr (o_t ∘ tanh c_t)                          hidden state

Without a projection, W_hr is the identity. The cell state is a sum, so its gradient survives many steps where f_t is
near 1.
"""

from __future__ import annotations

from typing import Annotated, Any

import torch
from torch import Tensor, nn

from zoo.config.schema import check_number, number
from zoo.models.sequence_base import RecurrentModule
from zoo.registry import register


def lstm_cell(x: Tensor, state: tuple[Tensor, Tensor], layer: nn.LSTM) -> tuple[Tensor, Tensor]:
    """Return h_t and c_t from x_t (B, inputs), h_{t-1} and c_{t-1}: one step of the equations above.

    Training uses torch's kernel, which computes the same for all steps at once.
    """
    h, c = state
    w_ih, w_hh, b_ih, b_hh, *w_hr = layer.all_weights[0]  # the four gates are stacked: w_ih is (4 · hidden, inputs)
    i, f, g, o = (x @ w_ih.T + b_ih + h @ w_hh.T + b_hh).chunk(4, dim=1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    c = f * c + i * g
    h = o * c.tanh()
    if w_hr:
        h = h @ w_hr[0].T  # (B, proj_size)
    return h, c


@register("lstm")
class LSTM(RecurrentModule):
    """Long short-term memory (Hochreiter & Schmidhuber 1997): a recurrent network with gates and a cell state.

    The gates i, f and o decide which values of the cell state to write, keep and output:
    ``c_t = f_t ∘ c_{t-1} + i_t ∘ g_t`` and ``h_t = o_t ∘ tanh(c_t)``. The cell state is a sum, so its gradient survives
    many steps. The core maps ``(B, T, inputs)`` to ``(B, T, hidden_size)``, with a projection to ``(B, T, proj_size)``.

    Args:
        forget_bias: initial bias of the forget gate; 1 keeps the cell state early in training (Jozefowicz 2015).
        proj_size: size of the projected hidden state (Sak 2014); 0: no projection.
    """

    def __init__(
        self, *, forget_bias: Annotated[float, number(low=-10, high=10)] = 1.0, proj_size: int = 0, **shared: Any
    ) -> None:
        super().__init__(**shared)

    def build_layer(self, inputs: int, *, hidden_size: int) -> nn.RNNBase:
        """Return torch's recurrent layer."""
        forget_bias, proj_size = self.hparams["forget_bias"], self.hparams["proj_size"]
        check_number("model.proj_size", proj_size, low=0, high=hidden_size - 1, integer=True)
        layer = nn.LSTM(inputs, hidden_size, proj_size=proj_size, batch_first=True)
        _, _, b_ih, b_hh, *_ = layer.all_weights[0]
        forget_gate = slice(hidden_size, 2 * hidden_size)  # torch orders the gates i, f, g, o
        with torch.no_grad():  # only the sum of b_if and b_hf matters
            b_ih[forget_gate] = forget_bias
            b_hh[forget_gate] = 0
        return layer
