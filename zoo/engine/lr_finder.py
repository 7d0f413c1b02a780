"""A learning rate that suits: the range test of Smith (Cyclical learning rates for training neural networks, 2017).

The rate rises by a constant factor from batch to batch; where the smoothed loss falls fastest, a schedule's peak does
well.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch

from zoo.data.loader import Loader
from zoo.exceptions import ZooError
from zoo.models.base import ZooModule
from zoo.optim import build_optimizer, decay_parameters, decay_weights, penalise

HALF = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}  # what layers compute in
LOWEST, HIGHEST, BATCHES = 1e-6, 10.0, 150
SMOOTH = 0.9  # of the loss before, in its moving average
SETTLED = 15  # batches after which the average no longer follows each one
WINDOW = 9  # batches that a slope is taken over
BURST = 3.0  # times the best loss, after which the test ends


@dataclass(frozen=True)
class Found:
    """What a range test saw: rates, the smoothed loss at each, and the rate where it fell fastest."""

    rates: list[float]
    losses: list[float]
    suggested: float


def find_lr(model: ZooModule, loader: Loader, *, device: str, precision: str) -> Found:
    """Return the suggestion for a model as it is; its weights stay as they are.

    Raises:
        ZooError: the model's steps are of an order of its own, or no rate made its loss fall.
    """
    if type(model).training_step_on_batch is not ZooModule.training_step_on_batch or len(model.parameter_groups()) > 1:
        raise ZooError(f"trainer.find_lr: {model.name} takes steps in an order of its own, with more than one rate")
    learner = copy.deepcopy(model).to(device).train()
    options, penalties = learner.learning.optimizer, learner.learning.regularization
    optimizer = build_optimizer(learner.parameter_groups(), options)
    parameters = [p for p in learner.parameters() if p.requires_grad]
    weights = decay_parameters(learner)
    factor = (HIGHEST / LOWEST) ** (1 / (BATCHES - 1))
    scaler = torch.amp.GradScaler(device, enabled=precision == "16-mixed")
    rates: list[float] = []
    losses: list[float] = []
    mean = 0.0
    while len(rates) < BATCHES:
        for batch in (batch for chunk in loader for batch in chunk):
            rate = LOWEST * factor ** len(rates)
            with torch.autocast(device, HALF.get(precision), enabled=precision in HALF):
                loss, _ = learner.compute_loss({key: value.to(device) for key, value in batch.items()})
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            penalise(weights, penalties)
            if penalties.clip is not None:
                torch.nn.utils.clip_grad_norm_(parameters, penalties.clip)
            for group in optimizer.param_groups:
                group["lr"] = rate
            decay_weights(weights, rate * options.weight_decay)
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
            mean = SMOOTH * mean + (1 - SMOOTH) * float(loss.detach())
            smoothed = mean / (1 - SMOOTH ** (len(losses) + 1))
            rates.append(rate)
            losses.append(smoothed)
            if len(rates) == BATCHES or not math.isfinite(smoothed) or smoothed > BURST * min(losses):
                return Found(rates, losses, suggest(rates, losses))
    return Found(rates, losses, suggest(rates, losses))


def suggest(rates: list[float], losses: list[float]) -> float:
    """Return the rate at which the loss falls fastest over the logarithm of the rate, before it is lowest.

    Raises:
        ZooError: it never falls.
    """
    seen = torch.tensor([loss for loss in losses if math.isfinite(loss)], dtype=torch.float64)
    lowest = int(seen.argmin())
    if lowest <= SETTLED + WINDOW:
        raise ZooError("trainer.find_lr: no rate from 1e-6 to 10 made the loss fall; look at the data, or try init=")
    slope = torch.gradient(seen)[0][SETTLED : lowest + 1].unfold(0, WINDOW, 1).mean(1)
    return rates[SETTLED + WINDOW // 2 + int(slope.argmin())]
