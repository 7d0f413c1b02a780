"""What models that act in environments share: acting, what observations and rewards are scaled by, episodes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from zoo.config.schema import check_flag, check_number
from zoo.data.dataset import Batch
from zoo.data.environment.spec import CARTPOLE
from zoo.data.input_readers import to_float
from zoo.data.spec import DataSpec
from zoo.models.base import ZooModule
from zoo.tasks.control import Control
from zoo.utils.precision import to_widest_dtype
from zoo.utils.random import PerSampleGenerator

MAP = 60  # points a side of a map
SMALL, FAR = 1e-8, 10.0  # of variances, and deviations beyond which an observation or a reward is cut


class ControlModule(ZooModule):
    """A model that acts. A subclass defines ``act``, and ``update`` from what was played.

    With ``normalize_observations`` what is seen is brought to mean 0 and deviation 1, as found in training so far;
    these statistics are buffers, so that a checkpoint acts as its run did. ``gamma`` discounts.
    """

    tasks = ("control",)
    task: Control
    low: Tensor
    high: Tensor
    seen: Tensor
    squares: Tensor

    def __init__(
        self,
        *,
        spec: DataSpec | dict[str, Any] = CARTPOLE,
        gamma: float = 0.99,
        normalize_observations: bool = False,
    ) -> None:
        super().__init__(spec=spec)
        check_number("model.gamma", gamma, low=0, high=1)
        check_flag("model.normalize_observations", normalize_observations)
        self.gamma, self.of_observations = gamma, normalize_observations
        self.register_buffer("low", torch.tensor(self.spec.low))
        self.register_buffer("high", torch.tensor(self.spec.high))
        # observations that were counted in, and their sums of squares about the mean
        self.register_buffer("seen", torch.zeros((), dtype=torch.float64))
        self.register_buffer("squares", torch.zeros(self.spec.input_shape, dtype=torch.float64))
        if normalize_observations:
            self.register_buffer("mean", torch.zeros(self.spec.input_shape))
            self.register_buffer("scale", torch.ones(self.spec.input_shape))
        self.testing = False

    def act(self, x: Tensor, *, greedy: bool = False, draws: PerSampleGenerator | None = None) -> dict[str, Tensor]:
        """Return for observations (N, *input_shape) the ``action`` (N, …) in the environment's units, and what learning
        wants kept of it. Without ``draws`` torch's own generator draws.
        """
        raise NotImplementedError

    def normalize(self, x: Tensor) -> Tensor:
        """Return observations as the networks read them."""
        return super().normalize(x).clamp(-FAR, FAR) if self.of_observations else x

    @torch.no_grad()
    def acted(self, x: Tensor, **how: Any) -> dict[str, Tensor]:
        """Return what ``act`` does, in float32: other precisions would learn from other episodes."""
        if not torch.is_autocast_enabled(x.device.type):
            return self.act(x, **how)
        with torch.autocast(x.device.type, enabled=False):
            return self.act(x, **how)

    @property
    def updates(self) -> int:
        """Optimiser steps that each training batch leads to, where no gradients wait."""
        return 1

    # --- training ---

    def on_train_start(self) -> None:
        """Have the environments ask this model for actions."""
        super().on_train_start()
        updates = -(-self.loader.batches * self.updates // self.learning.accumulate_grad_batches)
        self.loop.total_steps = updates * self.loop.max_epochs
        loader: Any = self.loader
        loader.actor = self.acted

    def train_figures(self) -> dict[str, float]:
        """Return the epoch's means, that of the return over the episodes that ended in it."""
        found = super().train_figures()
        episodes, total = found.pop("train/episodes", 0.0), found.pop("train/return", 0.0)
        return found | ({"train/return": total / episodes} if episodes else {})

    @torch.no_grad()
    def count_in(self, x: Tensor) -> None:
        """Count observations (B, *input_shape) of all processes in, once they were learnt from."""
        if not self.of_observations:
            return
        rows, mean, squares = moments(to_widest_dtype(to_float(x)), world=self.trainer.world_size)
        seen, mean, squares = merged(self.seen, to_widest_dtype(self.mean), self.squares, rows, mean, squares)
        self.seen.copy_(seen)
        self.mean.copy_(mean)
        self.squares.copy_(squares)
        self.scale.copy_((squares / seen + SMALL).rsqrt())

    # --- episodes ---

    def worth(self, x: Tensor) -> Tensor | None:
        """Return what is expected (N,) where observations (N, *input_shape) are seen; None: not known."""
        return None

    @torch.no_grad()
    def visualizations(self, batch: Batch, dataset: Any) -> dict[str, Tensor]:
        """Return a ``map`` over its ``range`` where observations are two numbers."""
        return self._mapped(batch["x"]) if self.spec.input_shape == (2,) else {}

    def record_video(self, dataset: Any) -> Tensor | None:
        """Return the frames of an episode that this model plays."""
        frames: Tensor | None = dataset.filmed(lambda x: self.acted(x.to(self.device), greedy=True))
        return frames

    def _mapped(self, x: Tensor) -> dict[str, Tensor]:
        sides = torch.stack([x.amin(0), x.amax(0)], 1)  # (2, 2): of each number the least and the most
        across, up = (torch.linspace(*side, MAP).tolist() for side in sides.tolist())
        grid = torch.tensor([[a, b] for b in up for a in across], device=self.device)
        action = self.acted(grid, greedy=True)["action"].reshape(MAP * MAP, -1)[:, 0].float()
        found = {"range": sides, "map": action.view(MAP, MAP)}
        worth = self.worth(grid)
        return found if worth is None else {**found, "worth": worth.view(MAP, MAP)}

    def eval_step(self, batch: Any) -> dict[str, Tensor]:
        """Return the figures of the batch's episodes, played by this model; they are cut where the run is to stop."""
        how: dict[str, Any] = {"stop": lambda: self.loop.stopping}
        found: dict[str, Tensor] = batch["play"](lambda x: self.acted(x, greedy=True), **how)
        if self.testing:
            draws = PerSampleGenerator(batch["row"], count=batch["count"])
            found["return_sampled"] = batch["play"](lambda x: self.acted(x, draws=draws), **how)["return"]
        return found

    def begin_evaluation(self, stage: str) -> None:
        """Note whether it is the test, where actions are drawn too."""
        self.testing = stage == "test"


class OffPolicyModule(ControlModule):
    """A model that learns from all that was played, steps drawn evenly from what is remembered.

    For each step of the environments it takes ``replay_ratio`` steps of the optimiser, each on ``data.batch_size``
    remembered ones with what came of them within ``n_step``. A subclass defines ``loss_of`` such steps.
    """

    off_policy = True

    def __init__(self, *, replay_ratio: float = 0.5, n_step: int = 1, **shared: Any) -> None:
        super().__init__(**shared)
        check_number("model.replay_ratio", replay_ratio, above=0)
        check_number("model.n_step", n_step, low=1, integer=True)
        self.replay_ratio, self.n_step = replay_ratio, n_step
        self.warming, self.total_samples = False, 0

    def loss_of(self, steps: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the mean loss of remembered steps, and means that are reported."""
        raise NotImplementedError

    @property
    def updates(self) -> int:
        """Optimiser steps that each rollout leads to."""
        loader: Any = self.loader
        return max(round(self.replay_ratio * loader.rows), 1)

    def on_train_start(self) -> None:
        """Begin with actions at random, until enough is remembered."""
        super().on_train_start()
        loader: Any = self.loader
        self.total_samples = loader.rows * loader.batches * self.loop.max_epochs
        self.warming = len(loader.replay) <= loader.games.warmup // loader.share.world

    def training_step_on_batch(self, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """Learn from what is remembered, once that is enough."""
        count, sums = self.loop.local_rows, {"mean": torch.zeros((), device=batch["x"].device)}
        replay = batch.get("replay")
        if replay is not None and replay.ready(self.n_step):
            self.warming = False
            rows = max(self.loader.batch_size // self.trainer.world_size, 1)
            for _ in range(self.updates):
                loss, said = self.loss_of(replay.draw(rows, ahead=self.n_step, gamma=self.gamma))
                self.accumulate_gradients(loss)
                if self.loop.waiting == self.learning.accumulate_grad_batches:
                    self.optimizer_step()
                for name, one in {**said, "mean": loss.detach()}.items():
                    sums[name] = sums.get(name, 0) + one
        self.count_in(batch["x"])
        counts = {name: total * (count / self.updates) for name, total in sums.items()}
        return counts.pop("mean") / count, counts | ended_in(batch)


def ended_in(batch: Any) -> dict[str, Tensor]:
    """Return the sum of the returns of the episodes that ended in a batch, and their number."""
    finished = batch["finished"]
    return {"return": finished.sum(), "episodes": torch.tensor(float(len(finished)), device=finished.device)}


def moments(x: Tensor, weight: Tensor | None = None, *, world: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Return number, mean and sum of squares about it over the rows of x (B, …) of all ``world`` processes.

    Rows with a ``weight`` (B,) of 0 do not count. The processes' own are merged in their order, so that all have the
    same; nothing waits for the device.
    """
    shape = x.shape[1:]
    weight = x.new_ones(len(x)) if weight is None else weight.to(x)
    weight = weight.view(-1, *(1 for _ in shape))
    count = weight.sum()
    mean = (weight * x).sum(0) / count.clamp(min=1)
    squares = (weight * (x - mean).square()).sum(0)
    if world == 1:
        return count, mean, squares
    own = torch.cat([count.view(1), mean.flatten(), squares.flatten()])
    parts = [torch.empty_like(own) for _ in range(world)]
    torch.distributed.all_gather(parts, own)
    found = parts[0][0], *parts[0][1:].view(2, *shape)
    for part in parts[1:]:
        found = merged(*found, part[0], *part[1:].view(2, *shape))
    return found


def merged(
    count: Tensor | int, mean: Tensor, squares: Tensor, more: Tensor | int, other: Tensor, others: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return number, mean and sum of squares about it of two samples together (Chan, Golub, LeVeque 1983)."""
    total = torch.as_tensor(count + more, dtype=squares.dtype)
    shift, some = other - mean, total.clamp(min=1)  # of two empty samples
    return total, mean + shift * more / some, squares + others + shift.square() * count * more / some
