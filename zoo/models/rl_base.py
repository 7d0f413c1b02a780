"""The base of reinforcement learning models: rollout collection, replay buffer, evaluation episodes.

A training batch is a rollout: ``collect_rollout`` acts in the environments, then the model computes losses and takes
optimizer steps.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import Annotated, Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.config.schema import Count, Flag, NonNegative, Positive, Probability, Sizes, number, one_of
from zoo.data.dataset import Batch
from zoo.data.environment.loaders import RolloutLoader
from zoo.data.environment.replay_buffer import ReplayBuffer
from zoo.data.environment.spec import CARTPOLE
from zoo.data.environment.vector import VectorEnvironment
from zoo.data.environment.video import render_episode
from zoo.data.input_readers import to_float
from zoo.data.spec import DataSpec
from zoo.exceptions import ZooError
from zoo.layers import policy
from zoo.layers.policy import ObservationNormalization, RewardScaling, standardize
from zoo.models.base import ZooModule
from zoo.tasks.control import Control, scaled
from zoo.utils.device import widest_dtype
from zoo.utils.random import PerSampleGenerator

MAP_POINTS = 60  # resolution of a map of actions


class ControlModule(ZooModule):
    """The base of models that act in environments. A subclass defines ``act`` and ``training_step_on_batch``.

    Args:
        gamma: discount factor.
        normalize_observations: normalize observations to mean 0 and standard deviation 1, by running statistics.
    """

    tasks = ("control",)
    modalities = ("environment",)
    task: Control

    def __init__(
        self,
        *,
        spec: DataSpec | dict[str, Any] = CARTPOLE,
        gamma: Probability = 0.99,
        normalize_observations: Flag = False,
    ) -> None:
        super().__init__(spec=spec)
        self.gamma, shape = gamma, self.spec.input_shape
        self.observation_normalization = ObservationNormalization(shape) if normalize_observations else None

    def act(self, x: Tensor, *, greedy: bool = False, generator: PerSampleGenerator | None = None) -> dict[str, Tensor]:
        """Return the ``action`` (N, …) in the environment's units for observations (N, *input_shape).

        Further entries hold values that training needs, such as ``raw_action``. Without ``generator``, torch's global
        generator draws.
        """
        raise NotImplementedError

    @torch.no_grad()
    def act_float32(self, x: Tensor, **options: Any) -> dict[str, Tensor]:
        """Return the result of ``act`` in float32, so that a model collects the same episodes in any precision."""
        if not torch.is_autocast_enabled(x.device.type):  # entering a context costs a tenth of a small network's time
            return self.act(x, **options)
        with torch.autocast(x.device.type, enabled=False):
            return self.act(x, **options)

    def greedy(self, x: Tensor) -> dict[str, Tensor]:
        """Return the result of ``act`` with greedy actions, for observations on any device."""
        return self.act_float32(x.to(self.device), greedy=True)

    def normalize(self, x: Tensor) -> Tensor:
        """Return normalized observations, the input of the networks."""
        return x if self.observation_normalization is None else self.observation_normalization(x)

    # --- collection ---

    def collect_rollout(self, environments: VectorEnvironment, num_steps: int, replay: ReplayBuffer | None) -> Batch:
        """Return T = ``num_steps`` steps in each of N environments, with this model's actions.

        The rollout has these entries:

        - ``x`` (T·N, *input_shape): the observations, time first
        - ``last`` (N, *input_shape): the observations after the last step
        - ``reward``, ``terminated``, ``done`` (terminated or truncated) and ``valid``, each (T, N)
        - each entry that ``act`` returns, (T, N, …)
        - ``episode_returns``: the returns of the episodes that ended in the rollout

        A step is invalid if it only resets an environment (gymnasium's next-step autoreset).
        """
        shape = num_steps, environments.num_envs
        x = torch.empty(*shape, *self.spec.input_shape, dtype=environments.observation.dtype)
        numbers = {name: np.zeros(shape, np.float32) for name in ("reward", "terminated", "done", "valid")}
        actions: dict[str, list[Tensor]] = {}
        episode_returns: list[float] = []
        for t in range(num_steps):
            x[t] = environments.observation
            numbers["valid"][t] = ~environments.reset_mask
            output = self.act_float32(to_float(environments.observation.to(self.device)))
            for name, value in output.items():
                actions.setdefault(name, []).append(value)
            reward, terminated, _ = environments.step(output["action"].cpu().numpy())
            numbers["reward"][t], numbers["terminated"][t] = reward, terminated
            numbers["done"][t] = environments.reset_mask
            episode_returns += environments.returns[environments.reset_mask].tolist()
        steps = {name: torch.from_numpy(value) for name, value in numbers.items()}
        steps["episode_returns"] = torch.tensor(episode_returns, dtype=widest_dtype(self.device))
        rollout = {name: value.to(self.device) for name, value in steps.items()}
        rollout |= {name: torch.stack(values) for name, values in actions.items()}
        if replay is not None:
            replay.add({**steps, "x": x, "action": rollout["raw_action"]})
            return {**rollout, "x": x.flatten(0, 1).to(self.device)}  # as in the replay buffer: images as bytes
        observations = {"x": x.flatten(0, 1), "last": environments.observation}
        return rollout | {name: to_float(value.to(self.device)) for name, value in observations.items()}

    @property
    def rollouts(self) -> RolloutLoader:
        """The training loader, whose batches are rollouts."""
        return cast(Any, self.loader)  # type: ignore[no-any-return]

    @property
    def updates_per_rollout(self) -> int:
        """Number of optimizer steps per rollout without gradient accumulation."""
        return 1

    def on_train_start(self) -> None:
        """Let the loader collect rollouts with this model."""
        super().on_train_start()
        updates = -(-self.rollouts.batches * self.updates_per_rollout // self.learning.accumulate_grad_batches)
        self.loop.total_steps = updates * self.loop.max_epochs
        self.rollouts.collect = self.collect_rollout

    def update_running_statistics(self, x: Tensor) -> None:
        """Add observations (B, *input_shape) of all processes to the running statistics, after their update."""
        if self.observation_normalization is not None:
            self.observation_normalization.update(to_float(x), world=self.trainer.world_size)

    def train_metrics(self) -> dict[str, float]:
        """Return the epoch's mean metrics; the return is averaged over the episodes that ended in the epoch."""
        figures = super().train_metrics()
        episodes, total = figures.pop("train/episodes", 0.0), figures.pop("train/return", 0.0)
        return figures | ({"train/return": total / episodes} if episodes else {})

    def step_on(self, loss: Tensor) -> Tensor:
        """Add the gradient of a loss, step once the group of batches is complete, and return the detached loss."""
        self.accumulate_gradients(loss)
        if self.loop.waiting == self.learning.accumulate_grad_batches:
            self.optimizer_step()
        return loss.detach()

    def value(self, x: Tensor) -> Tensor | None:
        """Return the value (N,) of observations (N, *input_shape), or None if the model estimates none."""
        return None

    def eval_step(self, batch: Any) -> dict[str, Tensor]:
        """Return ``return`` and ``length`` of episodes with greedy actions.

        In the test, also return ``return_sampled``, the returns with sampled actions.
        """
        evaluate = partial(batch["evaluate_policy"], stop=lambda: self.loop.stopping)  # stop with the run
        episodes: dict[str, Tensor] = evaluate(self.greedy)
        if self.testing:
            generator = PerSampleGenerator(batch["row"], count=batch["count"])
            episodes["return_sampled"] = evaluate(partial(self.act_float32, generator=generator))["return"]
        return episodes

    def record_video(self, dataset: Any) -> Tensor | None:
        """Return the frames of an episode with greedy actions, or None after a note with the reason."""
        try:
            return render_episode(self.greedy, dataset)
        except ZooError as error:
            print(f"note: no video of an episode; {error}", file=sys.stderr, flush=True)
            return None

    @torch.no_grad()
    def visualizations(self, batch: Batch, dataset: Any) -> dict[str, Tensor]:
        """Return the greedy actions ``map`` and the ``value`` over the ``range`` of two-dimensional observations."""
        if self.spec.input_shape != (2,):
            return {}
        ranges = torch.stack([batch["x"].amin(0), batch["x"].amax(0)], 1)  # (2, 2): minimum, maximum
        columns, rows = (torch.linspace(low, high, MAP_POINTS).tolist() for low, high in ranges.tolist())
        grid = torch.tensor([[a, b] for b in rows for a in columns], device=self.device)
        action = self.greedy(grid)["action"].reshape(MAP_POINTS**2, -1)[:, 0].float()
        maps, value = {"range": ranges, "map": action.view(MAP_POINTS, MAP_POINTS)}, self.value(grid)
        return maps if value is None else {**maps, "value": value.view(MAP_POINTS, MAP_POINTS)}


# --- on-policy ---


class OnPolicyModule(ControlModule):
    """The base of on-policy models: an actor and a critic with separate networks, which learn from each rollout once.

    Args:
        network: auto (conv for image observations), dense or conv.
        hidden_sizes: sizes of the dense layers.
        channels: output channels of the convolutions, each of which halves the image.
        activation: activation of the hidden layers.
        vf_coef: coefficient of the value loss.
        ent_coef: coefficient of the entropy bonus.
        normalize_advantages: normalize the advantages of a rollout to mean 0 and standard deviation 1.
        normalize_rewards: divide rewards by the running standard deviation of discounted returns.
        log_std_init: initial log standard deviation of continuous actions, in units of half their range.
    """

    action_spaces = ("discrete", "continuous")
    figures: ClassVar[tuple[str, ...]] = ("value_loss",)  # names of the further values that ``loss`` returns
    gae_lambda = 1.0
    n_epochs = 1

    def __init__(
        self,
        *,
        network: Annotated[str, one_of(policy.NETWORKS)] = "auto",
        hidden_sizes: Sizes = (64, 64),
        channels: Sizes = (16, 32),
        activation: str = "tanh",
        vf_coef: NonNegative = 0.5,
        ent_coef: NonNegative = 0.0,
        normalize_advantages: Flag = True,
        normalize_rewards: Flag = False,
        log_std_init: Annotated[float, number()] = 0.0,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        self.vf_coef, self.ent_coef, self.normalize_advantages = vf_coef, ent_coef, normalize_advantages
        self.reward_scaling = RewardScaling(self.gamma) if normalize_rewards else None
        self.training_attributes = ("reward_scaling.returns",) if normalize_rewards else ()
        sizes: dict[str, Any] = {"hidden_sizes": hidden_sizes, "channels": channels, "activation": activation}
        build = partial(policy.observation_network, self.spec, network=network, **sizes)
        self.actor, self.critic = build(outputs=self.spec.outputs, gain=0.01), build(outputs=1)
        self.log_std = (
            None if self.spec.classes else nn.Parameter(torch.full((self.spec.outputs,), float(log_std_init)))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return action logits (B, actions), or mean actions (B, numbers) in units of half their range."""
        output: Tensor = self.actor(self.normalize(x))
        return output.float()

    def value(self, x: Tensor) -> Tensor:
        """Return the critic's V(s) (N,)."""
        return torch.squeeze(self.critic(self.normalize(x)).float(), 1)

    def act(self, x: Tensor, *, greedy: bool = False, generator: PerSampleGenerator | None = None) -> dict[str, Tensor]:
        """Return ``action`` in the environment's units, ``raw_action`` in the policy's, and its ``log_prob`` (N,)."""
        output = self(x)
        if self.log_std is None:
            action = output.argmax(1) if greedy else policy.sample_categorical(output, generator)
            return {"action": action, "raw_action": action, "log_prob": policy.log_prob(output, None, action)}
        action = output
        if not greedy:
            noise = torch.randn_like(output) if generator is None else generator.normal(output.shape[1]).to(output)
            action = output + self.log_std.exp() * noise
        # Continuous detail 5 of Huang 2022: the environment gets the clipped action, the loss the sampled one
        clipped = scaled(action, self.task.low, self.task.high)
        return {"action": clipped, "raw_action": action, "log_prob": policy.log_prob(output, self.log_std, action)}

    @torch.no_grad()
    def samples_of(self, batch: Batch) -> policy.Samples:
        """Return the training samples of a rollout, with their advantages."""
        steps, num_envs = batch["reward"].shape
        value = self.value(torch.cat([batch["x"], batch["last"]])).view(steps + 1, num_envs)
        reward, done, world = batch["reward"], batch["done"], self.trainer.world_size
        if self.reward_scaling is not None:
            reward = self.reward_scaling(reward, done, batch["valid"], world=world)
        lam = self.gae_lambda
        advantage = policy.gae(reward, value, batch["terminated"], done, gamma=self.gamma, gae_lambda=lam).flatten()
        rows = self.learned_mask(batch).flatten().nonzero().squeeze(1)
        if not len(rows):
            rows = (batch["valid"] > 0).flatten().nonzero().squeeze(1)
        empty = not len(rows)
        advantage, value = advantage[rows], value[:-1].flatten()[rows]
        if empty:
            rows, advantage, value = rows.new_zeros(1), advantage.new_zeros(1), value.new_zeros(1)
        returns = advantage + value
        if self.normalize_advantages:
            advantage = standardize(advantage, 0.0 if empty else None, world=world)
        action, log_prob = batch["raw_action"].flatten(0, 1)[rows], batch["log_prob"].flatten()[rows]
        return policy.Samples(batch["x"][rows], action, log_prob, advantage, returns, empty)

    def learned_mask(self, batch: Batch) -> Tensor:
        """Return a mask (T, N) of the steps to learn from; if it is empty, all valid steps count."""
        return batch["valid"] > 0

    @property
    def num_minibatches(self) -> int:
        """Number of minibatches in a rollout."""
        return 1

    @property
    def updates_per_rollout(self) -> int:
        """Number of optimizer steps per rollout."""
        return self.n_epochs * self.num_minibatches

    def loss(self, samples: policy.Samples) -> tuple[Tensor, ...]:
        """Return the loss of a minibatch, and its detached ``figures``."""
        raise NotImplementedError

    def actor_critic_loss(self, objective: Tensor, output: Tensor, samples: policy.Samples) -> tuple[Tensor, Tensor]:
        """Return −objective + c₁ mean[(V(s) − R)²] − c₂ mean[H(π(·|s))], and the detached value loss."""
        value_loss = F.mse_loss(self.value(samples.x), samples.returns)
        loss = self.vf_coef * value_loss - objective
        if self.ent_coef:
            loss = loss - self.ent_coef * policy.entropy(output, self.log_std).mean()
        return loss, value_loss.detach()

    def training_step_on_batch(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Learn from one rollout: compute advantages, then take a step on each minibatch of each epoch."""
        samples, figures = self.samples_of(batch), []
        nothing = samples.empty and self.trainer.world_size == 1
        for _ in range(0 if nothing else self.n_epochs):
            for minibatch in samples.minibatches(self.num_minibatches):
                loss, *others = self.loss(minibatch)
                figures.append(torch.stack([self.step_on(loss * 0.0 if minibatch.empty else loss), *others]))
        self.update_running_statistics(batch["x"])
        figures = figures or [samples.advantage.new_zeros(1 + len(self.figures))]
        loss, *means = torch.stack(figures).mean(0)
        rows = self.loop.local_rows
        counts = {name: mean * rows for name, mean in zip(self.figures, means, strict=True)}
        counts["entropy"] = -samples.log_prob.mean() * rows  # estimated from the log probabilities at no cost
        return loss, counts | policy.episode_counts(batch)


# --- off-policy ---


class OffPolicyModule(ControlModule):
    """The base of off-policy models, which learn from a replay buffer. A subclass defines ``update``.

    Args:
        replay_ratio: number of updates per environment step; each uses data.batch_size transitions.
        n_step: number of rewards in a return before the value of the next observation (n-step return).
    """

    off_policy = True

    def __init__(self, *, replay_ratio: Positive = 0.5, n_step: Count = 1, **shared: Any) -> None:
        super().__init__(**shared)
        self.replay_ratio, self.n_step = replay_ratio, n_step
        self.learning_started, self.total_samples = True, 0

    def update(self, transitions: Batch) -> Tensor:
        """Learn from transitions sampled from the replay buffer, and return their detached loss."""
        raise NotImplementedError

    @property
    def updates_per_rollout(self) -> int:
        """Number of updates per rollout."""
        return max(round(self.replay_ratio * self.rollouts.rows), 1)

    @property
    def buffer_filled(self) -> bool:
        """Whether the replay buffer has more than ``data.learning_starts`` steps."""
        replay, loader = self.rollouts.replay, self.rollouts
        return replay is not None and len(replay) > loader.dataset.learning_starts // loader.shard.world

    def on_train_start(self) -> None:
        """Start with random actions, until the buffer has ``data.learning_starts`` steps."""
        super().on_train_start()
        self.total_samples = self.rollouts.rows * self.rollouts.batches * self.loop.max_epochs
        self.learning_started = self.buffer_filled

    def training_step_on_batch(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Learn from the replay buffer if it has enough steps; ``collect_rollout`` has added the batch to it."""
        loader, replay = self.rollouts, self.rollouts.replay
        loss = torch.zeros((), device=batch["x"].device)
        if replay is not None and self.buffer_filled and replay.ready(self.n_step):
            self.learning_started = True
            batch_size = max(loader.batch_size // self.trainer.world_size, 1)
            for _ in range(self.updates_per_rollout):
                loss = loss + self.update(replay.sample(batch_size, n_step=self.n_step, gamma=self.gamma))
        self.update_running_statistics(batch["x"])
        mean_loss = loss * (self.loop.local_rows / self.updates_per_rollout) / self.loop.local_rows
        return mean_loss, policy.episode_counts(batch)

    def add_figures(self, **means: Tensor) -> None:
        """Add the metrics of an update to the epoch's means."""
        sums, weight = self.loop.sums, self.loop.local_rows / self.updates_per_rollout
        for name, mean in means.items():
            sums[name] = sums.get(name, 0) + mean * weight
