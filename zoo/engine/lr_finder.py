"""The learning rate that suits a model: the range test of Smith (Cyclical learning rates for training neural networks, 2017).

The rate rises by a constant factor from batch to batch; where the smoothed loss falls fastest, a schedule's peak does
well.
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

HALF = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}  # what layers compute in
LOWEST, HIGHEST, BATCHES = 1e-6, 10.0, 150
SMOOTH = 0.9  # of the loss before, in its moving average
SETTLED = 15  # batches after which the average no longer follows each one
WINDOW = 9  # batches that a slope is taken over
BURST = 3.0  # times the best loss, after which the test ends


@dataclass(frozen=True)
class LRFinder:
    """The result of a range test: rates, the smoothed loss at each, and the rate where it fell fastest."""

    rates: list[float]
    losses: list[float]
    suggestion: float
    current: float


def find_lr(config: DictConfig, picture: Path, *, recipe: str | None = None) -> LRFinder:
    """Return the learning rate that a range test suggests for a composed configuration, and draw it into ``picture``.

    Nothing is trained, and no run's folder is created.

    Raises:
        ZooError: an option or data that does not fit; the model has more than one rate; no rate made its loss fall.
    """
    run_config = RunConfig.from_config(config, recipe=recipe)
    check_files(run_config.data)
    if run_config.trainer.world > 1:
        raise ZooError("lr-find: runs in one process; set trainer.devices=1")
    context = build_context(run_config)
    loader = context.datamodule.plain_loader()
    result = range_test(context.model, loader, device=context.device, precision=context.precision)
    learning_rates(result.rates, result.losses, result.suggestion, picture)
    return result


def range_test(model: ZooModule, loader: Loader, *, device: str, precision: str) -> LRFinder:
    """Return the suggestion for a model; its weights stay unchanged.

    Raises:
        ZooError: the model takes its steps itself, with more than one rate; or no rate made its loss fall.
    """
    if type(model).training_step_on_batch is not ZooModule.training_step_on_batch or len(model.parameter_groups()) > 1:
        raise ZooError(f"lr-find: {model.name} takes its steps itself, with more than one rate")
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
    """Return the rate at which the loss falls fastest over the logarithm of the rate, before it is lowest.

    Raises:
        ZooError: it never falls.
    """
    finite = torch.tensor([loss for loss in losses if math.isfinite(loss)], dtype=torch.float64)
    lowest = int(finite.argmin())
    if lowest <= SETTLED + WINDOW:
        raise ZooError("lr-find: no rate from 1e-6 to 10 made the loss fall; look at the data, or try init=")
    slope = torch.gradient(finite)[0][SETTLED : lowest + 1].unfold(0, WINDOW, 1).mean(1)
    return rates[SETTLED + WINDOW // 2 + int(slope.argmin())]
