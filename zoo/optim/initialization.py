"""Initialization of a network's matrices and kernels by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

_SCHEMES: dict[str, Callable[[Tensor], Tensor]] = {
    "kaiming": lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"),
    "xavier": nn.init.xavier_uniform_,
    "orthogonal": nn.init.orthogonal_,
}
POWER_ITERATIONS = 15  # of spectral normalization on a new matrix, as torch does when it is registered


def initialize(network: nn.Module, scheme: str, *, exclude: Iterable[nn.Module] = ()) -> None:
    """Initialize the matrices and kernels of ``network`` and set their layers' biases to 0.

    ``kaiming`` is He 2015 (normal, fan in), ``xavier`` Glorot 2010 (uniform), ``orthogonal`` Saxe 2014. A layer with an
    ``initial_gain`` is scaled by it. ``default`` leaves each module as it is. Embeddings, layers tied to one,
    normalization layers and the modules ``exclude`` are left alone.
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
    """Return the parameter that a layer's weight is, or is computed from."""
    weight: Tensor = module.parametrizations.weight.original if is_parametrized(module, "weight") else module.weight
    return weight


def _update_spectral_norm(module: nn.Module) -> None:
    """Have spectral normalization find the norm of a new matrix: each access in training is one power iteration."""
    if is_parametrized(module, "weight"):
        for _ in range(POWER_ITERATIONS if module.training else 0):
            module.weight  # noqa: B018
