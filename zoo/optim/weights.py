"""Updates of weights outside the optimizer: initialization, weight decay, penalties, moving averages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from zoo.config.schema import Regularization

_SCHEMES: dict[str, Callable[[Tensor], Tensor]] = {
    "kaiming": lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"),
    "xavier": nn.init.xavier_uniform_,
    "orthogonal": nn.init.orthogonal_,
}
POWER_ITERATIONS = 15  # of spectral normalization for a new matrix, as when torch registers it


def initialize(network: nn.Module, scheme: str, *, exclude: Iterable[nn.Module] = ()) -> None:
    """Initialize the matrices and kernels of ``network``, and set the biases of their layers to 0.

    ``kaiming`` is He 2015 (normal, fan in), ``xavier`` Glorot 2010 (uniform), and ``orthogonal`` Saxe 2014. The
    ``initial_gain`` of a layer scales its weights. ``default`` changes no module. Embeddings, layers tied to them,
    normalization layers and the modules in ``exclude`` are unchanged.
    """
    if scheme == "default":
        return
    excluded = {id(module) for root in exclude for module in root.modules()}
    embeddings = {id(module.weight) for module in network.modules() if isinstance(module, nn.Embedding)}
    for module in network.modules():
        if not isinstance(module, (nn.Linear, nn.modules.conv._ConvNd)) or id(module) in excluded:
            continue
        weight = _stored_weight(module)
        if id(weight) not in embeddings:
            _SCHEMES[scheme](weight)
            with torch.no_grad():
                weight.mul_(getattr(module, "initial_gain", 1.0))
                _update_spectral_norm(module)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _stored_weight(module: Any) -> Tensor:
    """Return the parameter that is a layer's weight, or from which a parametrization computes it."""
    weight: Tensor = module.parametrizations.weight.original if is_parametrized(module, "weight") else module.weight
    return weight


def _update_spectral_norm(module: nn.Module) -> None:
    """Update spectral normalization for a new matrix: each access in training is one power iteration."""
    if is_parametrized(module, "weight"):
        for _ in range(POWER_ITERATIONS if module.training else 0):
            module.weight  # noqa: B018


LAYERS_WITH_WEIGHTS = (nn.Linear, nn.Bilinear, nn.modules.conv._ConvNd, nn.RNNBase, nn.MultiheadAttention)


def decay_parameters(network: nn.Module) -> list[nn.Parameter]:
    """Return the parameters to which weight decay and penalties apply: matrices and kernels, in module order.

    These are the weights of linear, convolutional and recurrent layers, and those that another module names in its
    ``matrices``. Biases, normalization layers, embeddings (also tied ones), position embeddings and other vectors are
    excluded.
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

    Weights without a gradient, which take no step, do not decay.
    """
    if isinstance(factor, float) and not factor:
        return
    stepping: list[Tensor] = [weight for weight in weights if weight.grad is not None]
    if stepping:
        torch._foreach_mul_(stepping, 1 - factor)


@torch.no_grad()
def add_penalties(weights: Iterable[nn.Parameter], options: Regularization) -> None:
    """Add the gradient of ``l1 · Σ|w| + l2/2 · Σw²`` to the gradient of each weight."""
    for weight in weights:
        if weight.grad is None:
            continue
        if options.l1:
            weight.grad.add_(weight.sign(), alpha=options.l1)
        if options.l2:
            weight.grad.add_(weight, alpha=options.l2)


@torch.no_grad()
def update_ema(ema: nn.Module, module: nn.Module, *, decay: float) -> None:
    """Update ``ema`` towards ``module``: θ' ← decay · θ' + (1 − decay) · θ, for parameters and floating-point buffers.

    Integer buffers, such as a count of batches, are copied.
    """
    averages = [*ema.parameters(), *ema.buffers()]
    values = [*module.parameters(), *module.buffers()]
    floats = [(a, v) for a, v in zip(averages, values, strict=True) if a.is_floating_point()]
    torch._foreach_lerp_([a for a, _ in floats], [v for _, v in floats], 1 - decay)
    for average, value in zip(averages, values, strict=True):
        if not average.is_floating_point():
            average.copy_(value)
