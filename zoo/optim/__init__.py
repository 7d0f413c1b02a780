"""Initialisation, optimisers, schedules and penalties: what the options of a run mean."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from zoo.config.schema import Optimizer, Regularization, Scheduler

_INITS: dict[str, Callable[[Tensor], Tensor]] = {
    "kaiming": lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"),
    "xavier": nn.init.xavier_uniform_,
    "orthogonal": nn.init.orthogonal_,
}


MATRICES = (nn.Linear, nn.Bilinear, nn.modules.conv._ConvNd, nn.RNNBase, nn.MultiheadAttention)
POWER_STEPS = 15  # by which spectral normalization finds a new matrix's norm, as at its beginning


def initialise(network: nn.Module, scheme: str, *, but: Iterable[nn.Module] = ()) -> None:
    """Draw the matrices and kernels of ``network`` anew and set the biases beside them to 0.

    ``kaiming`` is He 2015 (normal, fan in), ``xavier`` Glorot 2010 (uniform), ``orthogonal`` Saxe 2014; a layer whose
    ``initial_gain`` is set is drawn that much smaller. ``default`` leaves what each module chose. Embeddings, layers
    that are tied to one, normalizations and what is in the modules ``but`` stay as they are.
    """
    if scheme == "default":
        return
    excluded = {id(module) for other in but for module in other.modules()}
    tied = {id(module.weight) for module in network.modules() if isinstance(module, nn.Embedding)}
    for module in network.modules():
        if not isinstance(module, (nn.Linear, nn.modules.conv._ConvNd)) or id(module) in excluded:
            continue
        weight = _own_weight(module)
        if id(weight) not in tied:
            _INITS[scheme](weight)
            with torch.no_grad():
                weight.mul_(getattr(module, "initial_gain", 1.0))
                _settle(module)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _own_weight(module: nn.Module) -> Tensor:
    """Return the parameter that a layer's weight is, or is computed from."""
    weight: Any = module.parametrizations.weight.original if is_parametrized(module, "weight") else module.weight  # type: ignore[union-attr]
    return cast(Tensor, weight)


def _settle(module: nn.Module) -> None:
    """Have spectral normalization find the norm of a new matrix: each look at a weight in training is one step."""
    if is_parametrized(module, "weight"):
        for _ in range(POWER_STEPS if module.training else 0):
            module.weight  # noqa: B018


def decay_parameters(network: nn.Module) -> list[nn.Parameter]:
    """Return the parameters that weight decay and penalties shrink: matrices and kernels, in their order.

    These are the weights of linear, convolutional and recurrent layers, and what a module of its own kind lists by
    name in ``matrices``. Biases, normalization, embeddings (also where an output layer is tied to one), positions and
    other vectors are left alone.
    """
    chosen: set[int] = set()
    embedded = {id(module.weight) for module in network.modules() if isinstance(module, nn.Embedding)}
    for module in network.modules():
        if isinstance(module, MATRICES):
            chosen |= {id(parameter) for parameter in module.parameters()}
        chosen |= {id(getattr(module, name)) for name in getattr(module, "matrices", ())}
    return [p for p in network.parameters() if id(p) in chosen - embedded and p.ndim > 1]


def build_optimizer(groups: Iterable[tuple[list[nn.Parameter], float]], options: Optimizer) -> torch.optim.Optimizer:
    """Return the optimiser of parameters with their shares of the learning rate, fused where torch has it so.

    Decay is not its affair: see ``decay_weights``.
    """
    wanted = [{"params": [p for p in group if p.requires_grad], "share": share} for group, share in groups]
    lr, momentum = options.lr, options.momentum
    if options.name == "sgd":
        return torch.optim.SGD(wanted, lr=lr, momentum=momentum, nesterov=options.nesterov, fused=True)
    if options.name == "rmsprop":
        return torch.optim.RMSprop(wanted, lr=lr, alpha=options.alpha, eps=options.eps, momentum=momentum)
    # AdamW is Adam with decoupled decay
    adam = torch.optim.Adam(wanted, lr=lr, betas=tuple(options.betas), eps=options.eps, fused=True)
    if not torch.cuda.is_available():  # each step would ask a missing driver whether it records a graph: 70 µs
        for check in ("_accelerator_graph_capture_health_check", "_cuda_graph_capture_health_check"):  # the older name
            setattr(adam, check, _nothing)
    return adam


def _nothing() -> None:
    pass


@torch.no_grad()
def decay_weights(weights: Iterable[nn.Parameter], factor: float | Tensor) -> None:
    """Shrink weights by ``1 - factor``, factor being lr · weight_decay: decay that is decoupled from the gradient."""
    if isinstance(factor, float) and not factor:
        return
    stepping = [weight for weight in weights if weight.grad is not None]  # those that take no step stay
    if stepping:
        torch._foreach_mul_(stepping, 1 - factor)


@torch.no_grad()
def penalise(weights: Iterable[nn.Parameter], options: Regularization) -> None:
    """Add the gradient of ``l1 · Σ|w| + l2/2 · Σw²`` to that of each weight."""
    for weight in weights:
        if weight.grad is None:
            continue
        if options.l1:
            weight.grad.add_(weight.sign(), alpha=options.l1)
        if options.l2:
            weight.grad.add_(weight, alpha=options.l2)


def schedule_factor(options: Scheduler, step: int, total: int) -> float:
    """Return the learning rate at ``step`` of ``total``, as a share of ``optimizer.lr``.

    one_cycle rises by half a cosine from ``start_factor`` to 1 over the warm-up and falls by half a cosine to ``end_factor``
    (Smith 2018, as torch's OneCycleLR); the others rise linearly, then keep to their own curve. A plateau's own
    factor depends on what validation says: see Plateau.
    """
    # Ranges over the steps 0 to total-1, so that a run's last step is taken at the schedule's end.
    share = min(step / max(total - 1, 1), 1.0)
    warmup, start = options.warmup_ratio, options.start_factor
    if warmup and share < warmup:
        rise = share / warmup
        if options.name == "one_cycle":
            rise = (1 - math.cos(math.pi * rise)) / 2
        return start + (1 - start) * rise
    after = (share - warmup) / (1 - warmup)
    if options.name == "linear":
        return options.end_factor + (1 - options.end_factor) * (1 - after)
    if options.name in ("cosine", "one_cycle"):
        return options.end_factor + (1 - options.end_factor) * (1 + math.cos(math.pi * after)) / 2
    if options.name == "step":
        return options.gamma ** bisect.bisect_right(list(options.milestones), step / total)
    return 1.0


class Plateau:
    """Scales the rate by ``factor`` once the watched figure has not improved for more than ``patience`` epochs.

    Its state are plain numbers, since every step reads the scale; ``training_state`` of a model holds them.
    """

    def __init__(self, options: Scheduler, *, mode: str) -> None:
        self.factor, self.patience, self.mode = options.factor, options.patience, mode
        self.scale = 1.0  # the factor that applies now
        self.best = -math.inf if mode == "max" else math.inf
        self.waited = 0  # epochs without a better figure

    def forget(self) -> None:
        """Wait anew, for improvements on another figure; the scale stays."""
        self.best, self.waited = -math.inf if self.mode == "max" else math.inf, 0

    def update(self, figure: float) -> None:
        """Take in one epoch's validation figure."""
        better = figure > self.best if self.mode == "max" else figure < self.best
        self.best, self.waited = (figure, 0) if better else (self.best, self.waited + 1)
        if self.waited > self.patience:
            self.scale, self.waited = self.scale * self.factor, 0

    def state_dict(self) -> dict[str, float]:
        """Return scale, best figure and epochs waited."""
        return {"scale": self.scale, "best": self.best, "waited": self.waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what ``state_dict`` returned."""
        self.scale, self.best, self.waited = state["scale"], state["best"], state["waited"]
