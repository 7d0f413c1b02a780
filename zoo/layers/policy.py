"""Networks of observations, distributions of actions, advantages, and samples to learn from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from zoo.data.dataset import Batch
from zoo.data.spec import DataSpec
from zoo.exceptions import ZooError
from zoo.layers.blocks import activation_of, begin_small, halved
from zoo.utils.random import PerSampleGenerator

NETWORKS = ("auto", "dense", "conv")


def observation_network(
    spec: DataSpec,
    *,
    outputs: int,
    hidden_sizes: Sequence[int],
    activation: str,
    network: str = "dense",
    channels: Sequence[int] = (),
    inputs: int = 0,
    gain: float = 1.0,
) -> nn.Sequential:
    """Return a network from observations (B, *input_shape), or (B, ``inputs``), to (B, ``outputs``).

    Weights are orthogonal, those of the last layer times ``gain``, and biases 0: detail 2 of Huang et al. 2022, The 37
    implementation details of PPO.

    Raises:
        ZooError: convolutions over what is no image.
    """
    shape, layers = spec.input_shape, []
    if network == "conv" and len(shape) != 3:
        raise ZooError(f"model.network=conv: is for images; {spec.name} shows {shape}")
    size = inputs or math.prod(shape)
    if network == "conv" or (network == "auto" and len(shape) == 3):
        *_, last = halved(shape[1:], len(channels))
        for before, after in zip([shape[0], *channels[:-1]], channels, strict=True):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), activation_of(activation)]
        size = channels[-1] * math.prod(last)
    layers.append(nn.Flatten())
    for hidden_size in hidden_sizes:
        layers += [nn.Linear(size, hidden_size), activation_of(activation)]
        size = hidden_size
    layers.append(nn.Linear(size, outputs))
    for layer in layers:
        if isinstance(layer, (nn.Linear, nn.Conv2d)):
            nn.init.orthogonal_(layer.weight, gain if layer is layers[-1] else math.sqrt(2))
            layer.bias.data.zero_()  # type: ignore[union-attr]
    begin_small(layers[-1], gain)
    return nn.Sequential(*layers)


def sample_categorical(logits: Tensor, generator: PerSampleGenerator | None) -> Tensor:
    """Return actions (B,) with the probabilities of logits (B, actions)."""
    uniform = torch.rand(len(logits), 1, device=logits.device) if generator is None else generator.uniform(1).to(logits)
    return (logits.softmax(1).cumsum(1)[:, :-1] < uniform).sum(1)


def log_prob(output: Tensor, log_std: Tensor | None, action: Tensor) -> Tensor:
    """Return log π(a|s) (B,) of actions, by logits (B, actions), or by means and log deviations (B, numbers)."""
    if log_std is None:
        return output.log_softmax(1).gather(1, action[:, None]).squeeze(1)
    log_std = log_std.expand_as(output)
    standardized = (action - output) * (-log_std).exp()
    return (-0.5 * standardized.square() - log_std - 0.5 * math.log(2 * math.pi)).sum(1)


def entropy(output: Tensor, log_std: Tensor | None) -> Tensor:
    """Return the entropy of π(·|s) (B,), by logits (B, actions), or by means and log deviations (B, numbers)."""
    if log_std is None:
        log_probs = output.log_softmax(1)
        return -(log_probs.exp() * log_probs).sum(1)
    return (log_std.expand_as(output) + 0.5 * math.log(2 * math.pi * math.e)).sum(1)


def gae(reward: Tensor, value: Tensor, terminated: Tensor, done: Tensor, *, gamma: float, gae_lambda: float) -> Tensor:
    """Return advantages (T, N) of rewards (T, N) and values (T + 1, N) (Schulman et al. 2016).

        δₜ = rₜ + γ V(sₜ₊₁) − V(sₜ),   Aₜ = δₜ + γλ Aₜ₊₁

    V(sₜ₊₁) is 0 where an episode terminated. Where it was truncated, V is that of the last observation. Aₜ₊₁ is 0
    beyond an episode's end.
    """
    delta = reward + gamma * value[1:] * (1 - terminated) - value[:-1]
    weight = gamma * gae_lambda * (1 - done)
    advantage, running = torch.empty_like(delta), torch.zeros_like(delta[0])
    for t in reversed(range(len(delta))):
        running = delta[t] + weight[t] * running
        advantage[t] = running
    return advantage


class Samples(NamedTuple):
    """Steps of a rollout to learn from (K, …): the policy's ``action``, its log π(a|s) then, Aₜ and Aₜ + V(sₜ).

    Where a process has no valid step, one of zeros stands in (``empty``): processes step together, so its loss counts 0.
    """

    x: Tensor
    action: Tensor
    log_prob: Tensor
    advantage: Tensor
    returns: Tensor
    empty: bool = False

    def minibatches(self, count: int) -> Iterator[Samples]:
        """Yield the samples in ``count`` minibatches, shuffled."""
        rows = len(self.x)
        order = torch.randperm(rows, device=self.x.device)
        order = order.repeat(-(-count // rows))[: max(count, rows)]  # processes take as many steps, each on some rows
        for row in order.tensor_split(count):
            x, action, log_prob, advantage, returns = (field[row] for field in self[:5])
            yield Samples(x, action, log_prob, advantage, returns, self.empty)


def episode_counts(batch: Batch) -> dict[str, Tensor]:
    """Return the sum of the returns of a rollout's episodes, and their number."""
    returns = batch["episode_returns"]
    return {"return": returns.sum(), "episodes": torch.tensor(float(len(returns)), device=returns.device)}
