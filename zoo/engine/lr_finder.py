"""The learning rate range test of Smith (Cyclical learning rates for training neural networks, 2017).

The learning rate grows by a constant factor per batch. The rate at which the smoothed loss falls fastest is a good peak
for a schedule.
"""

from __future__ import annotations

import copy
import itertools
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from omegaconf import DictConfig

from zoo.config.run_config import RunConfig, check_files
from zoo.data.loader import Loader
from zoo.engine.build import build_context
from zoo.exceptions import ZooError
from zoo.models.base import ZooModule
from zoo.optim.optimizers import build_optimizer
from zoo.optim.weights import add_penalties, decay_parameters, decay_weights
from zoo.reporting.plots.training import learning_rates

HALF = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}  # autocast dtype per precision
LOWEST, HIGHEST, BATCHES = 1e-6, 10.0, 150
SMOOTH = 0.9  # weight of the previous value in the moving average of the loss
SETTLED = 15  # batches until the moving average is stable
WINDOW = 9  # batches per slope
BURST = 3.0  # the test ends when the loss exceeds this multiple of its minimum


@dataclass(frozen=True)
class LRFinder:
    """The result of a range test.

    Attributes:
        rates: the learning rates tried.
        losses: the smoothed loss at each rate.
        suggestion: the rate at which the loss fell fastest.
        current: the configured learning rate.
    """

    rates: list[float]
    losses: list[float]
    suggestion: float
    current: float


def find_lr(config: DictConfig, path: Path, *, recipe: str | None = None) -> LRFinder:
    """Run a learning rate range test for a composed configuration, and plot it.

    The test trains a copy of the model and creates no run folder.

    Args:
        config: the composed configuration.
        path: the file of the plot.
        recipe: name that the user chose as the model.

    Raises:
        ZooError: an invalid option or data, a model with several learning rates, or a loss that never falls.
    """
    run_config = RunConfig.from_config(config, recipe=recipe)
    check_files(run_config.data)
    if run_config.trainer.world > 1:
        raise ZooError("lr-find: supports one process only. Set trainer.devices=1.")
    context = build_context(run_config)
    loader = context.datamodule.plain_loader()
    result = range_test(context.model, loader, device=context.device, precision=context.precision)
    learning_rates(result.rates, result.losses, result.suggestion, path)
    return result


def range_test(model: ZooModule, loader: Loader, *, device: str, precision: str) -> LRFinder:
    """Return the result of a range test on ``loader``; the weights of ``model`` do not change.

    Raises:
        ZooError: the model has its own training step or several learning rates, or the loss never falls.
    """
    if type(model).training_step_on_batch is not ZooModule.training_step_on_batch or len(model.parameter_groups()) > 1:
        raise ZooError(f"lr-find: not available for model={model.name}, which has several optimizers or learning rates")
    learner = copy.deepcopy(model).to(device).train()
    options, penalties = learner.learning.optimizer, learner.learning.regularization
    optimizer = build_optimizer(learner.parameter_groups(), options)
    parameters = [p for p in learner.parameters() if p.requires_grad]
    weights = decay_parameters(learner)
    factor = (HIGHEST / LOWEST) ** (1 / (BATCHES - 1))
    scaler = torch.amp.GradScaler(device, enabled=precision == "16-mixed")
    losses: list[float] = []
    mean = 0.0
    batches = (batch for _ in itertools.count() for macro_batch in loader for batch in macro_batch)
    rates = [LOWEST * factor**number for number in range(BATCHES)]
    for rate, batch in zip(rates, batches, strict=False):
        with torch.autocast(device, HALF.get(precision), enabled=precision in HALF):
            loss, _ = learner.compute_loss({key: value.to(device) for key, value in batch.items()})
        scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        scaler.unscale_(optimizer)
        add_penalties(weights, penalties)
        if model.learning.gradient_clip_val is not None:
            torch.nn.utils.clip_grad_norm_(parameters, model.learning.gradient_clip_val)
        for group in optimizer.param_groups:
            group["lr"] = rate
        decay_weights(weights, rate * options.weight_decay)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        mean = SMOOTH * mean + (1 - SMOOTH) * float(loss.detach())
        losses.append(mean / (1 - SMOOTH ** (len(losses) + 1)))
        if not math.isfinite(losses[-1]) or losses[-1] > BURST * min(losses):
            break
    rates = rates[: len(losses)]
    return LRFinder(rates, losses, suggest(rates, losses), options.lr)


def suggest(rates: list[float], losses: list[float]) -> float:
    """Return the rate at which the loss falls fastest, over the logarithm of the rate and before its minimum.

    Raises:
        ZooError: the loss never falls.
    """
    finite = torch.tensor([loss for loss in losses if math.isfinite(loss)], dtype=torch.float64)
    lowest = int(finite.argmin())
    if lowest <= SETTLED + WINDOW:
        raise ZooError("lr-find: the loss fell at no rate from 1e-6 to 10. Check the data, or try another init=.")
    slope = torch.gradient(finite)[0][SETTLED : lowest + 1].unfold(0, WINDOW, 1).mean(1)
    return rates[SETTLED + WINDOW // 2 + int(slope.argmin())]
