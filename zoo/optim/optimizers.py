"""torch's optimizers for the options of a run."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from zoo.config.schema import Optimizer


def build_optimizer(groups: Iterable[tuple[list[nn.Parameter], float]], options: Optimizer) -> torch.optim.Optimizer:
    """Return the optimizer for parameter groups with their factors of the learning rate, fused if torch supports it.

    It does not decay weights: see ``zoo.optim.weights``.
    """
    lr, momentum, eps = options.lr, options.momentum, options.eps
    params = [{"params": [p for p in group if p.requires_grad], "lr_scale": scale} for group, scale in groups]
    if options.name == "sgd":
        return torch.optim.SGD(params, lr=lr, momentum=momentum, nesterov=options.nesterov, fused=True)
    if options.name == "rmsprop":
        return torch.optim.RMSprop(params, lr=lr, alpha=options.alpha, eps=eps, momentum=momentum)
    # AdamW is Adam with decoupled weight decay, which zoo.optim.weights applies
    beta1, beta2 = options.betas
    adam = torch.optim.Adam(params, lr=lr, betas=(beta1, beta2), eps=eps, fused=True)
    if not torch.cuda.is_available():  # skips a check for CUDA graphs, which takes 70 µs per step
        for check in (
            "_accelerator_graph_capture_health_check",
            "_cuda_graph_capture_health_check",
        ):  # the second is the older name
            setattr(adam, check, _skip_check)
    return adam


def _skip_check() -> None:
    pass
