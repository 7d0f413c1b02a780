"""Parts of reinforcement learning: observation networks, action distributions, advantages, running statistics."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from zoo.data.dataset import Batch
from zoo.data.spec import DataSpec
from zoo.exceptions import ZooError
from zoo.layers.blocks import activation_of, begin_small, halved
from zoo.utils.device import to_widest_dtype
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

    Weights are orthogonal, with a ``gain`` in the last layer, and biases are 0. This is detail 2 of Huang et al. 2022,
    The 37 implementation details of PPO.

    Raises:
        ZooError: a convolutional network for observations that are not images.
    """
    shape, layers = spec.input_shape, []
    if network == "conv" and len(shape) != 3:
        raise ZooError(f"model.network=conv: requires images; observations of {spec.name} have shape {shape}")
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
    """Return actions (B,) sampled from the softmax of logits (B, actions)."""
    uniform = torch.rand(len(logits), 1, device=logits.device) if generator is None else generator.uniform(1).to(logits)
    return (logits.softmax(1).cumsum(1)[:, :-1] < uniform).sum(1)


def log_prob(output: Tensor, log_std: Tensor | None, action: Tensor) -> Tensor:
    """Return log π(a|s) (B,) of actions from logits (B, actions), or from means and log standard deviations (B, numbers)."""
    if log_std is None:
        return output.log_softmax(1).gather(1, action[:, None]).squeeze(1)
    log_std = log_std.expand_as(output)
    standardized = (action - output) * (-log_std).exp()
    return (-0.5 * standardized.square() - log_std - 0.5 * math.log(2 * math.pi)).sum(1)


def entropy(output: Tensor, log_std: Tensor | None) -> Tensor:
    """Return the entropy (B,) of π(·|s) from logits (B, actions), or from means and log standard deviations (B, numbers)."""
    if log_std is None:
        log_probs = output.log_softmax(1)
        return -(log_probs.exp() * log_probs).sum(1)
    return (log_std.expand_as(output) + 0.5 * math.log(2 * math.pi * math.e)).sum(1)


def gae(reward: Tensor, value: Tensor, terminated: Tensor, done: Tensor, *, gamma: float, gae_lambda: float) -> Tensor:
    """Return the generalized advantage estimates (T, N) of rewards (T, N) and values (T + 1, N) (Schulman et al. 2016).

        δₜ = rₜ + γ V(sₜ₊₁) − V(sₜ),   Aₜ = δₜ + γλ Aₜ₊₁

    V(sₜ₊₁) is 0 where an episode terminated. Where it was truncated, V is that of the last observation. Aₜ₊₁ is 0
    after the end of an episode.
    """
    delta = reward + gamma * value[1:] * (1 - terminated) - value[:-1]
    weight = gamma * gae_lambda * (1 - done)
    advantage, running = torch.empty_like(delta), torch.zeros_like(delta[0])
    for t in reversed(range(len(delta))):
        running = delta[t] + weight[t] * running
        advantage[t] = running
    return advantage


class Samples(NamedTuple):
    """Training samples (K, …) of a rollout.

    They are the observation, the ``action``, its log π_old(a|s), the advantage Aₜ and the return Aₜ + V(sₜ). If a
    process has no valid step, one sample of zeros takes its place (``empty``). All processes step together, and the
    loss of that sample counts 0.
    """

    x: Tensor
    action: Tensor
    log_prob: Tensor
    advantage: Tensor
    returns: Tensor
    empty: bool = False

    def minibatches(self, count: int) -> Iterator[Samples]:
        """Yield the samples in ``count`` shuffled minibatches."""
        rows = len(self.x)
        order = torch.randperm(rows, device=self.x.device)
        # all processes take the same number of steps, each with at least one row
        order = order.repeat(-(-count // rows))[: max(count, rows)]
        for row in order.tensor_split(count):
            x, action, log_prob, advantage, returns = (field[row] for field in self[:5])
            yield Samples(x, action, log_prob, advantage, returns, self.empty)


def episode_counts(batch: Batch) -> dict[str, Tensor]:
    """Return the sum of the returns of a rollout's episodes, and the number of episodes."""
    returns = batch["episode_returns"]
    return {"return": returns.sum(), "episodes": torch.tensor(float(len(returns)), device=returns.device)}


EPSILON = 1e-8  # added to variances
CLIP = 10.0  # limit of normalized observations and rewards, in standard deviations
Moments = tuple[Tensor, Tensor, Tensor]  # number of rows, mean, sum of squared deviations


def batch_moments(x: Tensor, weight: Tensor | None = None, *, world: int = 1) -> Moments:
    """Return the moments of the rows of x (B, …) over all ``world`` processes.

    Rows with a ``weight`` (B,) of 0 do not count. The moments of the processes are merged in rank order, so all
    processes get the same result. The computation does not synchronize with the device.
    """
    shape = x.shape[1:]
    weight = x.new_ones(len(x)) if weight is None else weight.to(x)
    weight = weight.view(-1, *(1 for _ in shape))
    count = weight.sum()
    mean = (weight * x).sum(0) / count.clamp(min=1)
    squares = (weight * (x - mean).square()).sum(0)
    if world == 1:
        return count, mean, squares
    local = torch.cat([count.view(1), mean.flatten(), squares.flatten()])
    gathered = [torch.empty_like(local) for _ in range(world)]
    torch.distributed.all_gather(gathered, local)
    return functools.reduce(merge_moments, [(one[0], *one[1:].view(2, *shape)) for one in gathered])


def merge_moments(first: Moments, second: Moments) -> Moments:
    """Return the moments of the union of two samples (Chan, Golub, LeVeque 1983)."""
    (count, mean, squares), (other_count, other_mean, other_squares) = first, second
    total = torch.as_tensor(count + other_count, dtype=squares.dtype)
    shift, divisor = other_mean - mean, total.clamp(min=1)  # clamped in case both samples are empty
    squares = squares + other_squares + shift.square() * count * other_count / divisor
    return total, mean + shift * other_count / divisor, squares


def standardize(x: Tensor, weight: float | None = None, *, world: int = 1) -> Tensor:
    """Return values (K,) normalized to mean 0 and standard deviation 1 over all processes; a single value is unchanged.

    Values of a process with ``weight`` 0 do not count.
    """
    weights = None if weight is None else torch.full_like(x, weight)
    count, mean, squares = batch_moments(to_widest_dtype(x), weights, world=world)
    std = (squares / (count - 1).clamp(min=1)).sqrt() + EPSILON
    return torch.where(count > 1, (x - mean.to(x)) / std.to(x), x)


class ObservationNormalization(nn.Module):
    """Normalizes observations (B, *shape) to mean 0 and standard deviation 1, by running statistics of training.

    The statistics are buffers, so a model from a checkpoint acts as it did in its run.
    """

    count: Tensor
    mean: Tensor
    squares: Tensor
    scale: Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("squares", torch.zeros(shape, dtype=torch.float64))  # sum of squared deviations
        self.register_buffer("scale", torch.ones(shape))  # 1 / standard deviation

    def forward(self, x: Tensor) -> Tensor:
        """Return normalized and clipped observations."""
        return ((x - self.mean) * self.scale).clamp(-CLIP, CLIP)

    @torch.no_grad()
    def update(self, x: Tensor, *, world: int) -> None:
        """Add observations of all processes to the statistics."""
        batch = batch_moments(to_widest_dtype(x), world=world)
        count, mean, squares = merge_moments((self.count, to_widest_dtype(self.mean), self.squares), batch)
        self.count.copy_(count)
        self.mean.copy_(mean)
        self.squares.copy_(squares)
        self.scale.copy_((squares / count + EPSILON).rsqrt())


class RewardScaling(nn.Module):
    """Divides rewards by the running standard deviation of discounted returns (Engstrom et al. 2020)."""

    moments: Tensor

    def __init__(self, gamma: float) -> None:
        super().__init__()
        self.gamma = gamma
        self.register_buffer("moments", torch.zeros(3, dtype=torch.float64))  # count, mean, squared deviations
        self.returns: Tensor | None = None  # (N,) discounted returns of unfinished episodes

    def forward(self, reward: Tensor, done: Tensor, valid: Tensor, *, world: int) -> Tensor:
        """Add a rollout's rewards (T, N) to the statistics, and return them scaled and clipped."""
        running = torch.zeros_like(reward[0]) if self.returns is None else self.returns
        returns = []
        for now, end in zip(reward, done, strict=True):
            running = self.gamma * running + now
            returns.append(running)
            running = running * (1 - end)
        self.returns = running
        batch = batch_moments(to_widest_dtype(torch.stack(returns).flatten()), valid.flatten(), world=world)
        count, mean, squares = merge_moments((self.moments[0], self.moments[1], self.moments[2]), batch)
        self.moments.copy_(torch.stack([count, mean, squares]))
        # a single value has no deviation
        std = torch.where(count > 1, (squares / count.clamp(min=1) + EPSILON).sqrt(), 1.0)
        return (reward / std.float()).clamp(-CLIP, CLIP)
