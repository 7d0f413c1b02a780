"""The simple recurrent network (Elman 1990: Finding structure in time).

At each step t of a sequence the hidden state is

    h_t = φ(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh),    φ = tanh or relu

Its gradient over many steps is a product of many Jacobians of W_hh, which vanishes or explodes (Bengio 1994).
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

    Training runs torch's kernel, which computes the same for all steps at once.
    """
    w_ih, w_hh, b_ih, b_hh = layer.all_weights[0]
    activation = ACTIVATIONS[layer.nonlinearity]
    return activation(x @ w_ih.T + b_ih + h @ w_hh.T + b_hh)


@register("rnn")
class RNN(RecurrentModule):
    """The simple recurrent network.

    Args:
        ``activation``: tanh, or relu, whose state has no bound
        ``identity_init``: W_hh begins as the identity and the biases as 0 (Le, Jaitly, Hinton 2015: IRNN)
        ``pooling``: over time, in classification and regression: last, mean, max or attention
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
        """Return torch's kernel of a layer."""
        activation, identity_init = self.hparams["activation"], self.hparams["identity_init"]
        layer = nn.RNN(inputs, hidden_size, nonlinearity=activation, batch_first=True)
        if identity_init:
            _, w_hh, b_ih, b_hh = layer.all_weights[0]
            nn.init.eye_(w_hh)
            nn.init.zeros_(b_hh)
            nn.init.zeros_(b_ih)
        return layer
