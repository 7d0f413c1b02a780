"""Decoupled weight decay and penalties, for the weights of layers alone."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from zoo.config.schema import Regularization

LAYERS_WITH_WEIGHTS = (nn.Linear, nn.Bilinear, nn.modules.conv._ConvNd, nn.RNNBase, nn.MultiheadAttention)


def decay_parameters(network: nn.Module) -> list[nn.Parameter]:
    """Return the parameters that weight decay and penalties shrink: matrices and kernels, in their order.

    These are the weights of linear, convolutional and recurrent layers, and those that another module lists by name
    in ``matrices``. Biases, normalization layers, embeddings (also where an output layer is tied to one), positions
    and other vectors are left alone.
    """
    decaying: set[int] = set()
    embeddings = {id(module.weight) for module in network.modules() if isinstance(module, nn.Embedding)}
    for module in network.modules():
        if isinstance(module, LAYERS_WITH_WEIGHTS):
            decaying |= {id(parameter) for parameter in module.parameters()}
        decaying |= {id(getattr(module, name)) for name in getattr(module, "matrices", ())}
    return [p for p in network.parameters() if id(p) in decaying - embeddings and p.ndim > 1]


@torch.no_grad()
def decay_weights(weights: Iterable[nn.Parameter], factor: float | Tensor) -> None:
    """Multiply weights by ``1 - factor``, with factor = lr · weight_decay (Loshchilov & Hutter 2019: AdamW).

    Weights without a gradient, which take no step, stay.
    """
    if isinstance(factor, float) and not factor:
        return
    stepping: list[Tensor] = [weight for weight in weights if weight.grad is not None]
    if stepping:
        torch._foreach_mul_(stepping, 1 - factor)


@torch.no_grad()
def add_penalties(weights: Iterable[nn.Parameter], options: Regularization) -> None:
    """Add the gradient of ``l1 · Σ|w| + l2/2 · Σw²`` to that of each weight."""
    for weight in weights:
        if weight.grad is None:
            continue
        if options.l1:
            weight.grad.add_(weight.sign(), alpha=options.l1)
        if options.l2:
            weight.grad.add_(weight, alpha=options.l2)
