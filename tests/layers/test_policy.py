"""Advantages, distributions of actions and their statistics, against equations and torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from zoo.data.environment.spec import EnvironmentSpec
from zoo.layers.policy import entropy, gae, log_prob
from zoo.models.ppo import PPO


def reference_gae(reward, value, terminated, done, gamma, lam):
    """The sum over what follows in the episode of (γλ)ˡ δ, step by step, in Python's numbers."""
    steps, count = reward.shape
    advantages = np.zeros((steps, count))
    for n in range(count):
        for t in range(steps):
            weight = 1.0
            for later in range(t, steps):
                future = 0.0 if terminated[later, n] else gamma * value[later + 1, n]
                advantages[t, n] += weight * (reward[later, n] + future - value[later, n])
                if done[later, n]:
                    break
                weight *= gamma * lam
    return advantages


def test_gae_equals_the_papers_sum():
    rng = np.random.default_rng(0)
    reward, value = rng.normal(size=(20, 6)), rng.normal(size=(21, 6))
    terminated = rng.random((20, 6)) < 0.15
    done = terminated | (rng.random((20, 6)) < 0.15)
    for gamma, lam in ((0.99, 0.95), (0.9, 1.0), (1.0, 0.0)):
        arrays = [torch.from_numpy(part.astype(np.float64)) for part in (reward, value, terminated, done)]
        advantages = gae(*arrays, gamma=gamma, gae_lambda=lam)
        assert np.abs(advantages.numpy() - reference_gae(reward, value, terminated, done, gamma, lam)).max() < 1e-6


def test_gae_bootstraps_truncated_but_not_terminated_episodes():
    reward, value = torch.ones(1, 2), torch.tensor([[0.0, 0.0], [10.0, 10.0]])
    terminated, done = torch.tensor([[1.0, 0.0]]), torch.ones(1, 2)
    assert gae(reward, value, terminated, done, gamma=0.5, gae_lambda=0.9).tolist() == [[1.0, 6.0]]


def test_log_prob_and_entropy_equal_torch():
    torch.manual_seed(0)
    moving = PPO(spec=EnvironmentSpec("x", "control", (3,), low=(-1.0, -1.0), high=(1.0, 1.0)))
    logits = torch.randn(7, 2)
    known: Any = torch.distributions.Categorical(logits=logits)
    actions = known.sample()
    torch.testing.assert_close(log_prob(logits, None, actions), known.log_prob(actions))
    torch.testing.assert_close(entropy(logits, None), known.entropy())
    torch.nn.init.normal_(moving.log_std)
    known = torch.distributions.Normal(logits, moving.log_std.exp())
    actions = known.sample()
    torch.testing.assert_close(log_prob(logits, moving.log_std, actions), known.log_prob(actions).sum(1))
    torch.testing.assert_close(entropy(logits, moving.log_std), known.entropy().sum(1))
