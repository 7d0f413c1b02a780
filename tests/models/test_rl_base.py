"""Policies: losses against equations, rollouts, and learning."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import zoo
from zoo.data import load
from zoo.data.environment.loaders import RolloutLoader
from zoo.data.environment.spec import EnvironmentSpec
from zoo.layers.policy import Samples
from zoo.models.a2c import A2C
from zoo.models.ppo import PPO, clipped_objective
from zoo.models.reinforce import REINFORCE, complete_episodes


def test_complete_episodes_end_in_the_rollout():
    done = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    assert complete_episodes(done).T.tolist() == [[1, 1, 0, 0, 0], [1, 1, 1, 1, 0]]


def test_policy_losses_equal_their_papers():
    ratio, advantage = torch.tensor([0.5, 0.9, 1.1, 1.5, 1.5, 0.5]), torch.tensor([1.0, 1.0, 1.0, 1.0, -1.0, -1.0])
    objective = clipped_objective(ratio, advantage, 0.2)
    assert objective.tolist() == pytest.approx([0.5, 0.9, 1.1, 1.2, -1.5, -0.8])
    torch.manual_seed(0)
    x, action, log_probs, returns = torch.randn(6, 4), torch.tensor([0, 1, 1, 0, 1, 0]), torch.zeros(6), torch.randn(6)
    for cls in (A2C, REINFORCE):
        model = cls(ent_coef=0.1, vf_coef=0.3)
        known: Any = torch.distributions.Categorical(logits=model(x))
        errors = (model.value(x) - returns).square()
        expected = 0.3 * errors.mean() - (known.log_prob(action) * advantage).mean() - 0.1 * known.entropy().mean()
        loss, value_loss = model.loss(Samples(x, action, log_probs, advantage, returns))
        torch.testing.assert_close(loss, expected)
        torch.testing.assert_close(value_loss, errors.mean().detach())


def test_act_samples_by_the_policys_probabilities():
    torch.manual_seed(0)
    model = PPO(spec=EnvironmentSpec("x", "control", (1,), classes=("a", "b", "c")))
    torch.nn.init.zeros_(model.actor[-1].weight)
    probabilities = torch.tensor([0.5, 0.3, 0.2])
    with torch.no_grad():
        model.actor[-1].bias.copy_(probabilities.log())
    actions = model.act(torch.zeros(40_000, 1))["action"]
    torch.testing.assert_close(torch.bincount(actions) / len(actions), probabilities, atol=0.01, rtol=0)
    assert model.act(torch.zeros(4, 1), greedy=True)["action"].tolist() == [0] * 4


def test_rollout_masks_reset_steps():
    loader = RolloutLoader(load("cartpole", num_envs=8, num_steps=64, steps_per_epoch=512), seed=0, batch_size=64)
    model = PPO(spec=loader.dataset.spec)
    model.act = lambda x: {"action": torch.zeros(len(x), dtype=torch.int64)}  # falls within ten steps
    loader.collect = model.collect_rollout
    batch = loader.next_rollout()
    done, valid = batch["done"] > 0, batch["valid"] > 0
    assert torch.equal(done[:-1], ~valid[1:])
    assert bool((batch["reward"][valid] == 1).all())
    assert bool((batch["reward"][~valid] == 0).all())
    assert len(batch["episode_returns"]) == int(done.sum())
    assert float(batch["episode_returns"].sum()) == pytest.approx(float(batch["reward"].sum()), abs=8 * 10)


@pytest.mark.parametrize(
    ("name", "words"),
    [("a2c", {}), ("reinforce", {}), ("ppo", {"normalize_observations": True, "normalize_rewards": True})],
)
def test_on_policy_algorithms_improve_on_cartpole(name, words):
    quick = {
        "trainer.max_epochs": 3,
        "data.num_envs": 16,
        "data.num_steps": 32,
        "data.steps_per_epoch": 8192,
        "optimizer.lr": 1e-2,
    }
    run = zoo.train(name, "cartpole", model_kwargs=words, report=False, **{**quick, "data.n_val_episodes": 10})
    assert run.metrics["test/return"] > 60  # 21 at random
    assert run.results["samples"] == 3 * 8192
