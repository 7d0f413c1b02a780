"""Policy gradients: a network acts, and what turned out better than expected becomes likelier.

    δₜ = rₜ + γ V(sₜ₊₁) − V(sₜ)          (V = 0 where an episode was lost or won, V of the last state where it was cut)
    Aₜ = δₜ + γλ Aₜ₊₁                    (0 beyond an episode's end)           Schulman et al. 2016: GAE
    reinforce    −log π(aₜ|sₜ) Aₜ with λ = 1, of whole episodes                Williams 1992, with V as baseline
    a2c          −log π(aₜ|sₜ) Aₜ                                              Mnih et al. 2016
    ppo          −min(ρₜ Aₜ, clip(ρₜ, 1 − ε, 1 + ε) Aₜ),  ρₜ = π/π_old          Schulman et al. 2017

Each adds c₁ (V(sₜ) − Aₜ − V_old(sₜ))² and −c₂ H(π(·|sₜ)).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from zoo.config.schema import check_choice, check_flag, check_number
from zoo.data.dataset import Batch
from zoo.layers.policy import body, check_body
from zoo.models.rl_base import FAR, SMALL, ControlModule, ended_in, merged, moments
from zoo.registry import register
from zoo.tasks.control import scaled
from zoo.utils.precision import to_widest_dtype
from zoo.utils.random import PerSampleGenerator

ALGORITHMS = ("reinforce", "a2c", "ppo")


def gae(reward: Tensor, value: Tensor, terminated: Tensor, ended: Tensor, *, gamma: float, lam: float) -> Tensor:
    """Return advantages (T, N) of rewards (T, N) and values (T + 1, N): the equations above.

    An episode that is ``terminated`` has no future; one that ``ended`` otherwise was cut, and its future counts as the
    value of what was seen last.
    """
    delta = reward + gamma * value[1:] * (1 - terminated) - value[:-1]
    onward = gamma * lam * (1 - ended)
    found, running = torch.empty_like(delta), torch.zeros_like(delta[0])
    for t in reversed(range(len(delta))):
        running = delta[t] + onward[t] * running
        found[t] = running
    return found


def whole(ended: Tensor) -> Tensor:
    """Return (T, N) whether the episode of a step ended within the rollout."""
    return ended.flip(0).cumsum(0).flip(0).clamp(max=1)


@register("policy")
class Policy(ControlModule):
    """An actor and its critic, with networks of their own: dense (``widths``), before which images are halved by
    convolutions (``channels``; ``network`` auto: where an image is seen).

    ``algorithm`` names the loss. PPO learns from each rollout ``epochs`` times, in minibatches of ``data.batch_size``
    steps, with ε = ``clip_range``; the others once, from all of it. ``gae_lambda`` is λ, ``value_weight`` c₁,
    ``entropy`` c₂; advantages are brought to mean 0 and deviation 1 where ``normalize_advantages``, with
    ``normalize_rewards`` rewards are divided by the deviation of discounted returns so far (Engstrom 2020). Actions
    that are numbers are normal around the actor's answer, with a deviation that is learnt, exp(``log_std``) at first,
    in units of half their range.

    Raises:
        ZooError: an option outside its limits.
    """

    modalities = ("environment",)
    action_spaces = ("discrete", "continuous")
    gained: Tensor

    def __init__(
        self,
        *,
        algorithm: str = "ppo",
        network: str = "auto",
        widths: Sequence[int] = (64, 64),
        channels: Sequence[int] = (16, 32),
        activation: str = "tanh",
        gae_lambda: float = 0.95,
        clip_range: float = 0.2,
        epochs: int = 10,
        value_weight: float = 0.5,
        entropy: float = 0.0,
        normalize_advantages: bool = True,
        normalize_rewards: bool = False,
        log_std: float = 0.0,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        check_choice("model.algorithm", algorithm, ALGORITHMS)
        check_body(self.spec, network=network, widths=widths, channels=channels)
        check_number("model.gae_lambda", gae_lambda, low=0, high=1)
        check_number("model.epochs", epochs, low=1, integer=True)
        check_number("model.clip_range", clip_range, above=0)
        check_number("model.log_std", log_std)
        for name, weight in (("value_weight", value_weight), ("entropy", entropy)):
            check_number(f"model.{name}", weight, low=0)
        for name, flag in (("advantages", normalize_advantages), ("rewards", normalize_rewards)):
            check_flag(f"model.normalize_{name}", flag)
        self.algorithm, self.epochs = algorithm, epochs if algorithm == "ppo" else 1
        self.lam = 1.0 if algorithm == "reinforce" else gae_lambda
        self.clip_range, self.value_weight, self.entropy = clip_range, value_weight, entropy
        self.standard, self.of_rewards = normalize_advantages, normalize_rewards
        self.register_buffer("gained", torch.zeros(3, dtype=torch.float64))  # of returns number, mean, sum of squares
        self._discounted: Tensor | None = None  # returns that go on
        sizes: dict[str, Any] = {"network": network, "widths": widths, "channels": channels, "activation": activation}
        self.actor = body(self.spec, **sizes, outputs=self.spec.outputs, gain=0.01)
        self.critic = body(self.spec, **sizes, outputs=1, gain=1.0)
        numbers = len(self.spec.low)
        self.log_std = nn.Parameter(torch.full((numbers,), float(log_std))) if numbers else None

    def forward(self, x: Tensor) -> Tensor:
        """Return logits of actions (B, actions), or the mean ones (B, numbers) in units of half their range."""
        out: Tensor = self.actor(self.normalize(x))
        return out.float()

    # --- acting ---

    def worth(self, x: Tensor) -> Tensor:
        """Return the critic's V(s) (N,)."""
        value: Tensor = self.critic(self.normalize(x)).float().squeeze(1)
        return value

    def act(self, x: Tensor, *, greedy: bool = False, draws: PerSampleGenerator | None = None) -> dict[str, Tensor]:
        """Return ``action`` in the environment's units, ``taken`` in the policy's, and ``log_probability`` (N,)."""
        out = self(x)
        if self.log_std is None:
            taken = out.argmax(1) if greedy else drawn(out, draws)
            return {"action": taken, "taken": taken, "log_probability": self.log_probability(out, taken)}
        taken = out
        if not greedy:
            noise = torch.randn_like(out) if draws is None else draws.normal(out.shape[1]).to(out)
            taken = out + self.log_std.exp() * noise
        action = scaled(taken, self.low, self.high)
        return {"action": action, "taken": taken, "log_probability": self.log_probability(out, taken)}

    def log_probability(self, out: Tensor, taken: Tensor) -> Tensor:
        """Return log π(a|s) (B,) of the actor's answers and of what was taken."""
        if self.log_std is None:
            return out.log_softmax(1).gather(1, taken[:, None]).squeeze(1)
        log_std = self.log_std.expand_as(out)
        far = (taken - out) * (-log_std).exp()
        return (-0.5 * far.square() - log_std - 0.5 * math.log(2 * math.pi)).sum(1)

    def spread(self, out: Tensor) -> Tensor:
        """Return the entropy of π(·|s) (B,) of the actor's answers."""
        if self.log_std is None:
            every = out.log_softmax(1)
            return -(every.exp() * every).sum(1)
        return (self.log_std.expand_as(out) + 0.5 * math.log(2 * math.pi * math.e)).sum(1)

    # --- learning ---

    @property
    def parts(self) -> int:
        """Minibatches of a rollout."""
        if self.algorithm != "ppo":
            return 1
        loader: Any = self.loader
        return max(-(-loader.rows // loader.batch_size), 1)

    @property
    def updates(self) -> int:
        """Optimiser steps that each rollout leads to."""
        return self.epochs * self.parts

    def training_step_on_batch(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Learn from a rollout, a few times."""
        rows, advantage, value = self.rows_of(batch)
        weight = None if len(rows) else 0.0  # processes step together, also where one has nothing to learn from
        if weight is not None:
            rows, advantage, value = rows.new_zeros(1), advantage.new_zeros(1), value.new_zeros(1)
        x, taken, old = batch["x"][rows], batch["taken"].flatten(0, 1)[rows], batch["log_probability"].flatten()[rows]
        target = advantage + value
        if self.standard:
            advantage = self.standardised(advantage, weight)
        told: list[Tensor] = []  # of each minibatch loss, value loss and share that was clipped
        for _ in range(self.epochs if weight is None or self.trainer.world_size > 1 else 0):
            order = torch.randperm(len(rows), device=x.device)
            order = order.repeat(-(-self.parts // len(rows)))[: max(self.parts, len(rows))]  # a step for each part
            shuffled = [one[order].tensor_split(self.parts) for one in (x, taken, old, advantage, target)]
            for part in zip(*shuffled, strict=True):
                loss, far, clipped = self._loss(*part)
                loss = loss if weight is None else loss * weight
                self.accumulate_gradients(loss)
                if self.loop.waiting == self.learning.accumulate_grad_batches:
                    self.optimizer_step()
                told += [loss.detach(), far, clipped]
        told = told or [advantage.new_zeros(())] * 3
        self.count_in(batch["x"])
        count = self.loop.local_rows
        loss, far, clipped = torch.stack(told).view(-1, 3).mean(0)
        entropy = -old.mean()  # of what was done, so that it costs nothing
        counts = {"value_loss": far * count, "entropy": entropy * count, "clipped": clipped * count}
        return loss, counts | ended_in(batch)

    def standardised(self, advantage: Tensor, weight: float | None = None) -> Tensor:
        """Return advantages (K,) with mean 0 and deviation 1 over all processes; a single one as it is."""
        weights = None if weight is None else torch.full_like(advantage, weight)
        count, mean, squares = moments(to_widest_dtype(advantage), weights, world=self.trainer.world_size)
        scaled_by = (squares / (count - 1).clamp(min=1)).sqrt() + 1e-8
        return torch.where(count > 1, (advantage - mean.to(advantage)) / scaled_by.to(advantage), advantage)

    @torch.no_grad()
    def rows_of(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Return which of a rollout's T·N steps are learnt from, (K,), their advantages and their values before."""
        steps, count = batch["reward"].shape
        seen = torch.cat([batch["x"], batch["last"]])
        value = self.critic(self.normalize(seen)).float().view(steps + 1, count)
        reward = self.rewards(batch)
        advantage = gae(reward, value, batch["terminated"], batch["ended"], gamma=self.gamma, lam=self.lam)
        good = batch["valid"] > 0
        if self.algorithm == "reinforce":
            good = good & (whole(batch["ended"]) > 0)
        rows = good.flatten().nonzero().squeeze(1)
        if not len(rows):  # no episode ended: all that there is
            rows = (batch["valid"] > 0).flatten().nonzero().squeeze(1)
        return rows, advantage.flatten()[rows], value[:-1].flatten()[rows]

    @torch.no_grad()
    def rewards(self, batch: Batch) -> Tensor:
        """Return a rollout's rewards (T, N) as they are learnt from, and count them in."""
        if not self.of_rewards:
            return batch["reward"]
        running = self._discounted if self._discounted is not None else torch.zeros_like(batch["reward"][0])
        sums = []
        for reward, ended in zip(batch["reward"], batch["ended"], strict=True):
            running = self.gamma * running + reward
            sums.append(running)
            running = running * (1 - ended)
        self._discounted = running
        values = to_widest_dtype(torch.stack(sums).flatten())
        more = moments(values, batch["valid"].flatten(), world=self.trainer.world_size)
        count, mean, squares = merged(*self.gained, *more)
        self.gained.copy_(torch.stack([count, mean, squares]))
        scale = torch.where(count > 1, (squares / count.clamp(min=1) + SMALL).sqrt(), 1.0)  # one alone has no deviation
        return (batch["reward"] / scale.float()).clamp(-FAR, FAR)

    def training_state(self) -> dict[str, Any]:
        """Add the discounted returns that go on."""
        return {**super().training_state(), "discounted": self._discounted}

    def load_training_state(self, state: dict[str, Any]) -> None:
        """Take them up."""
        super().load_training_state(state)
        self._discounted = state["discounted"]

    def _loss(self, x: Tensor, taken: Tensor, old: Tensor, advantage: Tensor, target: Tensor) -> tuple[Tensor, ...]:
        """Return the loss of some steps (B,), that of their values, and the share of them that was clipped."""
        out, value = self(x), self.critic(self.normalize(x)).float().squeeze(1)
        log_probability = self.log_probability(out, taken)
        ratio = (log_probability - old).exp()
        gain = policy_gain(self.algorithm, log_probability, ratio, advantage, self.clip_range).mean()
        far = nn.functional.mse_loss(value, target)
        loss = self.value_weight * far - gain
        if self.entropy:
            loss = loss - self.entropy * self.spread(out).mean()
        return loss, far.detach(), ((ratio.detach() - 1).abs() > self.clip_range).float().mean()


def drawn(logits: Tensor, draws: PerSampleGenerator | None) -> Tensor:
    """Return actions (B,) with the probabilities of logits (B, actions)."""
    share = torch.rand(len(logits), 1, device=logits.device) if draws is None else draws.uniform(1).to(logits)
    return (logits.softmax(1).cumsum(1)[:, :-1] < share).sum(1)


def policy_gain(algorithm: str, log_probability: Tensor, ratio: Tensor, advantage: Tensor, clip_range: float) -> Tensor:
    """Return what a policy gains by each step (B,), the equations above without their minus."""
    if algorithm != "ppo":
        return log_probability * advantage
    return torch.minimum(ratio * advantage, ratio.clamp(1 - clip_range, 1 + clip_range) * advantage)
