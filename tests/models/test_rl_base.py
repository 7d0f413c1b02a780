"""Policies: losses against the equations, failing environments, truncated episodes, replay."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

import zoo
from zoo.config.schema import Learning, Optimizer, Scheduler
from zoo.data import load
from zoo.data.environment.environments import environments
from zoo.data.environment.loaders import EpisodeLoader, RolloutLoader
from zoo.data.environment.replay_buffer import ReplayBuffer
from zoo.data.environment.spec import CARTPOLE, EnvironmentSpec
from zoo.exceptions import TrainingError, ZooError
from zoo.layers.policy import entropy, gae, log_prob
from zoo.layers.running_statistics import merge_moments
from zoo.models.a2c import A2C
from zoo.models.dqn import DQN
from zoo.models.ppo import PPO, clipped_objective
from zoo.models.reinforce import REINFORCE, complete_episodes
from zoo.models.rl_base import Samples
from zoo.models.sac import SAC, squashed

SIZES = {
    "num_envs": 4,
    "num_steps": 8,
    "steps_per_epoch": 32,
    "n_val_episodes": 3,
    "n_test_episodes": 3,
    "vectorization": "auto",
}


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


def test_merge_moments_of_batches_equals_all_rows():
    x = torch.randn(100, 3, dtype=torch.float64) * 5 + 2
    count, mean, squares = torch.zeros(()), torch.zeros(3).double(), torch.zeros(3).double()
    for part in x.split(17):
        more = (part - part.mean(0)).square().sum(0)
        count, mean, squares = merge_moments((count, mean, squares), (torch.tensor(len(part)), part.mean(0), more))
    torch.testing.assert_close(mean, x.mean(0))
    torch.testing.assert_close(squares / count, x.var(0, correction=0))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("CartPole-v1", "discrete"),
        ("Acrobot-v1", "discrete"),
        ("MountainCar-v0", "discrete"),
        ("Pendulum-v1", "continuous"),
    ],
)
def test_environments_resume_from_their_state(name, kind, tmp_path):
    games = environments("x", name, kind, **SIZES)
    rng = np.random.default_rng(0)

    def action():
        return rng.integers(0, len(games.spec.classes), 4) if games.spec.classes else rng.uniform(-2, 2, (4, 1))

    one = games.vector([0, 1, 2, 3])
    for _ in range(230):  # beyond an episode's end
        one.step(action())
    torch.save(one.state_dict(), tmp_path / "state.pt")
    other = games.vector([99, 98, 97, 96])
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for _ in range(230):
        done = action()
        for array, resumed in zip(one.step(done), other.step(done), strict=True):
            assert np.array_equal(array, resumed)
        assert torch.equal(one.observation, other.observation)


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


def test_episode_loader_evaluates_each_episode_once():
    games = load("acrobot", n_val_episodes=5, n_test_episodes=4)
    loaders = [EpisodeLoader(games, part) for part in ("val", "test")]
    first = {part: games.vector(one.seeds).observation for part, one in zip(("val", "test"), loaders, strict=True)}
    training = RolloutLoader(games, seed=0, batch_size=8).environments.observation
    assert len({tuple(row.tolist()) for rows in (*first.values(), training) for row in rows}) == 5 + 4 + games.num_envs
    again = EpisodeLoader(games, "val")
    still = {"action": torch.ones(5, dtype=torch.int64)}
    played = again.evaluate_policy(lambda x: still)
    assert played["return"].tolist() == [-500.0] * 5
    assert played["length"].tolist() == [500.0] * 5


class Breaks(gymnasium.Env):
    """Goes wrong in its third step."""

    action_space = spaces.Discrete(2)
    observation_space = spaces.Box(-1, 1, (2,), np.float32)

    def __init__(self, how: str, render_mode: str | None = None) -> None:
        self.how, self.count, self.render_mode = how, 0, render_mode

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.count += 1
        observation, reward = np.zeros(2, np.float32), 0.0
        if self.count == 3:
            if self.how == "crash":
                raise RuntimeError("no more\nsteps")
            if self.how == "nan":
                observation[0] = np.nan
            if self.how == "reward":
                reward = float("inf")
        return observation, reward, False, False, {}


class FromThree(gymnasium.Env):
    """Takes the actions 3 and 4, and rewards with what it was given."""

    action_space = spaces.Discrete(2, start=3)
    observation_space = spaces.Box(-1, 1, (2,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(2, np.float32), {}

    def step(self, action):
        return np.zeros(2, np.float32), float(action), False, False, {}


gymnasium.register("zoo-breaks-v0", entry_point=Breaks)
gymnasium.register("zoo-from-three-v0", entry_point=FromThree)


def test_discrete_actions_with_an_offset_count_from_zero():
    games = environments("x", "zoo-from-three-v0", "discrete", **{**SIZES, "vectorization": "sync"})
    assert games.spec.classes == ("3", "4")
    assert games.vector([0, 1]).step(np.array([0, 1]))[0].tolist() == [3.0, 4.0]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("crash", "raised RuntimeError (no more steps) at step 3"),
        ("nan", "shows NaN or infinity at step 3"),
        ("reward", "gave the reward [inf"),
    ],
)
def test_environment_error_names_step_and_actions(how, message):
    games = environments("x", "zoo-breaks-v0", "discrete", options={"how": how}, **{**SIZES, "vectorization": "sync"})
    with pytest.raises(TrainingError) as caught:
        zoo.train("ppo", games, report=False, **{"run_dir": "run", "trainer.max_epochs": 1})
    assert "environment zoo-breaks-v0" in str(caught.value)
    assert message in str(caught.value)
    assert "after the actions" in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "identity", "sizes", "message"),
    [
        ("discrete", "None-v0", {}, "None-v0 cannot be made"),
        ("discrete", "Pendulum-v1", {}, "takes continuous actions; data.action_space=continuous"),
        (
            "discrete",
            "CartPole-v1",
            {"steps_per_epoch": 100},
            "must be a multiple of data.num_envs · data.num_steps = 32; 96 is near",
        ),
        ("discrete", "CartPole-v1", {"num_envs": 0}, "data.num_envs=0: must be"),
        ("discrete", "FrozenLake-v1", {}, "must be a Box"),
    ],
)
def test_environments_reject_unfit_options_in_one_line(kind, identity, sizes, message):
    with pytest.raises(ZooError) as caught:
        environments("x", identity, kind, **{**SIZES, **sizes})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


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


def test_ppo_uses_convolutions_for_images():
    spec = EnvironmentSpec("x", "control", (3, 17, 12), classes=("0", "1"))
    model = PPO(spec=spec, channels=(4, 8))
    assert model(torch.rand(5, 3, 17, 12)).shape == (5, 2)
    assert any(isinstance(part, torch.nn.Conv2d) for part in model.actor)
    with pytest.raises(ZooError, match=r"network=conv: is for images; cartpole shows \(4,\)"):
        PPO(spec=CARTPOLE, network="conv")


# --- replay buffer ---


@pytest.mark.parametrize("ahead", [1, 3])
def test_replay_buffer_n_step_transitions(ahead):
    torch.manual_seed(0)
    count, total, gamma = 3, 57, 0.9
    rollout = {
        "x": torch.randn(total, count, 2),
        "action": torch.randint(4, (total, count)),
        "reward": torch.randn(total, count),
        "terminated": (torch.rand(total, count) < 0.2).float(),
    }
    rollout["done"] = torch.maximum(rollout["terminated"], (torch.rand(total, count) < 0.1).float())
    rollout["valid"] = torch.cat([torch.ones(1, count), 1 - rollout["done"][:-1]])
    buffer = ReplayBuffer(20 * count, count)
    for part in range(0, total, 7):  # beyond its end
        buffer.add({name: value[part : part + 7] for name, value in rollout.items()})
    assert len(buffer) == 20 * count
    rows = {tuple(x.tolist()): (t, n) for t, step in enumerate(rollout["x"]) for n, x in enumerate(step)}
    drawn = buffer.sample(500, n_step=ahead, gamma=gamma)
    sampled = set()
    for row in range(500):
        t, n = rows[tuple(drawn["x"][row].tolist())]
        sampled.add((t, n))
        assert t >= total - 20
        assert rollout["valid"][t, n] == 1
        assert drawn["action"][row] == rollout["action"][t, n]
        reward, discount, after = 0.0, 1.0, t
        for _ in range(ahead):
            reward += discount * float(rollout["reward"][after, n])
            discount *= gamma * (1 - float(rollout["terminated"][after, n]))
            after += 1
            if rollout["done"][after - 1, n]:
                break
        assert float(drawn["reward"][row]) == pytest.approx(reward, abs=1e-6)
        assert float(drawn["discount"][row]) == pytest.approx(discount, abs=1e-6)
        assert torch.equal(drawn["next_x"][row], rollout["x"][after, n])
    there = {(t, n) for t in range(total - 20, total - ahead) for n in range(count) if rollout["valid"][t, n]}
    assert sampled == there


def sample_transitions(model, rows=6):
    torch.manual_seed(1)
    action = torch.randint(2, (rows,)) if model.spec.classes else torch.rand(rows, model.spec.outputs) * 2 - 1
    shape = model.spec.input_shape
    steps = {"x": torch.randn(rows, *shape), "next_x": torch.randn(rows, *shape), "action": action}
    return {**steps, "reward": torch.randn(rows), "discount": torch.rand(rows)}


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("dueling", [False, True])
def test_dqn_loss_equals_the_papers(double, dueling):
    torch.manual_seed(0)
    model = DQN(double=double, dueling=dueling, hidden_sizes=(8,))
    with torch.no_grad():
        for parameter in model.target_network.parameters():
            parameter.add_(torch.randn_like(parameter))
    steps, expected = sample_transitions(model), []

    def values(net, x):
        a = net.advantage(x)[0]
        return (a - a.mean() + net.state_value(x)[0] if dueling else a).tolist()

    for row in range(6):
        x, after = steps["x"][row : row + 1], steps["next_x"][row : row + 1]
        later, here = values(model.target_network, after), values(model.q_network, after)
        best = max(range(2), key=lambda a, by=here if double else later: by[a])
        target = float(steps["reward"][row]) + float(steps["discount"][row]) * later[best]
        error = abs(values(model.q_network, x)[int(steps["action"][row])] - target)
        expected.append(0.5 * error * error if error < 1 else error - 0.5)
    assert float(model.td_loss(steps)[0].detach()) == pytest.approx(sum(expected) / 6, abs=1e-6)


def test_squashed_gaussian_density_equals_torch():
    mean, log_std, noise = (torch.randn(9, 2, dtype=torch.float64) for _ in range(3))
    action, density = squashed(mean, log_std, noise)
    normal = torch.distributions.Normal(mean, log_std.exp())
    known = torch.distributions.TransformedDistribution(normal, torch.distributions.TanhTransform(cache_size=1))
    known.transforms[0]._cached_x_y = (mean + log_std.exp() * noise, action)  # else atanh loses digits
    torch.testing.assert_close(density, known.log_prob(action).sum(1), atol=1e-6, rtol=0)


def sac_losses(model, steps):
    """The losses of critics, actor and temperature as the paper has them, with the random numbers that sac draws."""
    alpha = model.log_alpha.exp().detach()
    after, density = squashed(*model.distribution(steps["next_x"]), torch.randn(6, 1))
    future = torch.minimum(*model.target_critics(steps["next_x"], after)) - alpha * density
    target = (steps["reward"] + steps["discount"] * future).detach()
    critics = sum(0.5 * (one - target).square().mean() for one in model.critics(steps["x"], steps["action"]))
    action, density = squashed(*model.distribution(steps["x"]), torch.randn(6, 1))
    actor = (alpha * density - torch.minimum(*model.critics(steps["x"], action))).mean()
    return critics, actor, -model.log_alpha * (density.detach().mean() - 1)


def test_sac_losses_equal_the_papers():
    torch.manual_seed(0)
    model = SAC(hidden_sizes=(8,), alpha=0.3)
    with torch.no_grad():
        for parameter in (*model.target_critics.parameters(), model.actor[-1].weight):
            parameter.add_(0.3 * torch.randn_like(parameter))
    steps = sample_transitions(model)
    torch.manual_seed(2)
    critics, actor, temperature = sac_losses(model, steps)
    torch.manual_seed(2)
    torch.testing.assert_close(model.critic_loss(steps), critics)
    loss, log_prob = model.actor_loss(steps["x"])
    torch.testing.assert_close(loss, actor)
    torch.testing.assert_close(model.alpha_loss(log_prob), temperature)


def test_sac_steps_critics_then_actor_then_temperature(monkeypatch):
    """Two updates equal a hand-written Algorithm 1 with three optimizers, whose actor learns from stepped critics."""
    torch.manual_seed(0)
    model, rate = SAC(hidden_sizes=(8,), alpha=0.3), 1e-2
    reference = copy.deepcopy(model)
    optimizers = [
        torch.optim.Adam(part, lr=rate * share)
        for part, share in (
            (reference.critics.parameters(), 1.0),
            (reference.actor.parameters(), 0.5),
            ([reference.log_alpha], 0.1),
        )
    ]
    model.actor_lr, model.alpha_lr = 0.5, 0.1
    model.configure(Learning(optimizer=Optimizer(lr=rate, weight_decay=0.0), scheduler=Scheduler(name="constant")))
    optimizer = model.configure_optimizers()
    monkeypatch.setattr(type(model), "optimizers", lambda self, **options: optimizer)
    monkeypatch.setattr(type(model), "add_figures", lambda self, **means: None)
    monkeypatch.setattr(type(model), "trainer", SimpleNamespace(world_size=1))
    model.loop.parameters = [p for p in model.parameters() if p.requires_grad]
    model.loop.local_rows = model.loop.batch_rows = 6
    steps = sample_transitions(model)
    torch.manual_seed(2)
    for _ in range(2):
        model.update(steps)
    assert model.steps == 2
    torch.manual_seed(2)
    for _ in range(2):
        x, losses = steps["x"], []
        for number, optimizer_of_part in enumerate(optimizers):
            if number == 0:
                loss = reference.critic_loss(steps)
            elif number == 1:
                loss, log_prob = reference.actor_loss(x)
            else:
                loss = reference.alpha_loss(log_prob)
            reference.zero_grad()
            loss.backward()
            optimizer_of_part.step()
            losses.append(loss)
        with torch.no_grad():
            for target, parameter in zip(
                reference.target_critics.parameters(), reference.critics.parameters(), strict=True
            ):
                target.lerp_(parameter, reference.tau)
    for (name, value), expected in zip(model.state_dict().items(), reference.state_dict().values(), strict=True):
        torch.testing.assert_close(value, expected, msg=name)
