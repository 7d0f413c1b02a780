"""Mean and variance of a stream of rows, the same in all processes, and what is scaled by them."""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn

from zoo.utils.precision import to_widest_dtype

EPSILON = 1e-8  # of variances
CLIP = 10.0  # standard deviations at which observations and rewards are clipped
Moments = tuple[Tensor, Tensor, Tensor]  # number of rows, their mean, and the sum of squared deviations from it


def batch_moments(x: Tensor, weight: Tensor | None = None, *, world: int = 1) -> Moments:
    """Return the moments of the rows of x (B, …) in all ``world`` processes.

    Rows with a ``weight`` (B,) of 0 do not count. The moments of the processes are merged in the order of their ranks,
    so that all get the same; nothing waits for the device.
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
    """Return the moments of two samples together (Chan, Golub, LeVeque 1983)."""
    (count, mean, squares), (other_count, other_mean, other_squares) = first, second
    total = torch.as_tensor(count + other_count, dtype=squares.dtype)
    shift, divisor = other_mean - mean, total.clamp(min=1)  # of two empty samples
    squares = squares + other_squares + shift.square() * count * other_count / divisor
    return total, mean + shift * other_count / divisor, squares


def standardize(x: Tensor, weight: float | None = None, *, world: int = 1) -> Tensor:
    """Return numbers (K,) with mean 0 and deviation 1 over all processes; a single one as it is.

    Those of a process with the ``weight`` 0 do not count.
    """
    weights = None if weight is None else torch.full_like(x, weight)
    count, mean, squares = batch_moments(to_widest_dtype(x), weights, world=world)
    std = (squares / (count - 1).clamp(min=1)).sqrt() + EPSILON
    return torch.where(count > 1, (x - mean.to(x)) / std.to(x), x)


class ObservationNormalization(nn.Module):
    """Brings observations (B, *shape) to mean 0 and standard deviation 1, by statistics of all that were learned from.

    They are buffers, so that a checkpoint acts as its run did.
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
        """Return observations, normalized and clipped."""
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
        self.returns: Tensor | None = None  # (N,) discounted, of the episodes that go on

    def forward(self, reward: Tensor, done: Tensor, valid: Tensor, *, world: int) -> Tensor:
        """Return a rollout's rewards (T, N), scaled and clipped, after they were added to the statistics."""
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
        std = torch.where(count > 1, (squares / count.clamp(min=1) + EPSILON).sqrt(), 1.0)  # one has no deviation
        return (reward / std.float()).clamp(-CLIP, CLIP)
