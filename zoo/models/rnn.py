"""The simple recurrent network (Elman 1990: Finding structure in time).

At each step t of a sequence the hidden state is

    h_t = φ(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh),    φ = tanh or relu

Its gradient over many steps is a product of many Jacobians, each with the factor W_hh. The product vanishes or explodes
(Bengio 1994).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from zoo.config.schema import Flag, one_of
from zoo.models.sequence_base import RecurrentModule
from zoo.registry import register

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"tanh": torch.tanh, "relu": torch.relu}


def rnn_cell(x: Tensor, h: Tensor, layer: nn.RNN) -> Tensor:
    """Return h_t (B, hidden) from x_t (B, inputs) and h_{t-1}: one step of the equation above.

    Training uses torch's kernel, which computes the same for all steps at once.
    """
    w_ih, w_hh, b_ih, b_hh = layer.all_weights[0]
    activation = ACTIVATIONS[layer.nonlinearity]
    return activation(x @ w_ih.T + b_ih + h @ w_hh.T + b_hh)


@register("rnn")
class RNN(RecurrentModule):
    """The simple recurrent network (Elman 1990): a hidden state that a dense layer updates at each step.

    ``h_t = φ(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)`` with φ = tanh or relu. The core maps ``(B, T, inputs)`` to
    ``(B, T, hidden_size)``, and the head maps it to the output of the task. The gradient shrinks or grows exponentially
    with the number of steps, so long dependencies need an LSTM or GRU (Bengio 1994).

    Args:
        activation: tanh, or relu, whose hidden state is unbounded.
        identity_init: initialize W_hh to the identity and the biases to 0 (IRNN; Le, Jaitly, Hinton 2015).
        pooling: pooling over time for classification and regression: last, mean, max or attention.
    """

    def __init__(
        self,
        *,
        activation: Annotated[str, one_of(ACTIVATIONS)] = "tanh",
        identity_init: Flag = False,
        pooling: str = "max",
        **shared: Any,
    ) -> None:
        super().__init__(pooling=pooling, **shared)

    def build_layer(self, inputs: int, *, hidden_size: int) -> nn.RNNBase:
        """Return torch's recurrent layer."""
        activation, identity_init = self.hparams["activation"], self.hparams["identity_init"]
        layer = nn.RNN(inputs, hidden_size, nonlinearity=activation, batch_first=True)
        if identity_init:
            _, w_hh, b_ih, b_hh = layer.all_weights[0]
            nn.init.eye_(w_hh)
            nn.init.zeros_(b_hh)
            nn.init.zeros_(b_ih)
        return layer
