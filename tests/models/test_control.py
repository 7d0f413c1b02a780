"""Policies: their losses against the equations, environments that break, episodes that are cut, what is learnt."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

import zoo
from zoo.data import load
from zoo.data.environment.environments import EpisodeLoader, Play, RolloutLoader, environments
from zoo.data.environment.replay_buffer import ReplayBuffer
from zoo.data.environment.spec import CARTPOLE, EnvironmentSpec
from zoo.exceptions import TrainingError, ZooError
from zoo.models.dqn import DQN
from zoo.models.policy import Policy, gae, policy_gain, whole
from zoo.models.rl_base import merged
from zoo.models.sac import SAC, squashed

SIZES = {"envs": 4, "rollout": 8, "epoch_steps": 32, "val_episodes": 3, "test_episodes": 3, "vectorization": "auto"}


def brute(reward, value, terminated, ended, gamma, lam):
    """The sum over what follows in the episode of (γλ)ˡ δ, step by step, in Python's numbers."""
    steps, count = reward.shape
    found = np.zeros((steps, count))
    for n in range(count):
        for t in range(steps):
            weight = 1.0
            for later in range(t, steps):
                future = 0.0 if terminated[later, n] else gamma * value[later + 1, n]
                found[t, n] += weight * (reward[later, n] + future - value[later, n])
                if ended[later, n]:
                    break
                weight *= gamma * lam
    return found


def test_advantages_are_the_sum_that_the_paper_has():
    rng = np.random.default_rng(0)
    reward, value = rng.normal(size=(20, 6)), rng.normal(size=(21, 6))
    terminated = rng.random((20, 6)) < 0.15
    ended = terminated | (rng.random((20, 6)) < 0.15)
    for gamma, lam in ((0.99, 0.95), (0.9, 1.0), (1.0, 0.0)):
        arrays = [torch.from_numpy(part.astype(np.float64)) for part in (reward, value, terminated, ended)]
        found = gae(*arrays, gamma=gamma, lam=lam)
        assert np.abs(found.numpy() - brute(reward, value, terminated, ended, gamma, lam)).max() < 1e-6


def test_an_episode_that_was_cut_has_a_future_and_one_that_was_lost_has_none():
    reward, value = torch.ones(1, 2), torch.tensor([[0.0, 0.0], [10.0, 10.0]])
    terminated, ended = torch.tensor([[1.0, 0.0]]), torch.ones(1, 2)
    assert gae(reward, value, terminated, ended, gamma=0.5, lam=0.9).tolist() == [[1.0, 6.0]]


def test_whole_episodes_are_those_that_ended_in_the_rollout():
    ended = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    assert whole(ended).T.tolist() == [[1, 1, 0, 0, 0], [1, 1, 1, 1, 0]]


def test_losses_are_their_papers():
    ratio, advantage = torch.tensor([0.5, 0.9, 1.1, 1.5, 1.5, 0.5]), torch.tensor([1.0, 1.0, 1.0, 1.0, -1.0, -1.0])
    found = policy_gain("ppo", ratio.log(), ratio, advantage, 0.2)
    assert found.tolist() == pytest.approx([0.5, 0.9, 1.1, 1.2, -1.5, -0.8])
    for name in ("a2c", "reinforce"):
        torch.testing.assert_close(policy_gain(name, ratio.log(), ratio, advantage, 0.2), ratio.log() * advantage)


def test_probabilities_and_entropies_are_torchs():
    torch.manual_seed(0)
    choosing, moving = (
        Policy(),
        Policy(spec=EnvironmentSpec("x", "control", (3,), low=(-1.0, -1.0), high=(1.0, 1.0))),
    )
    logits = torch.randn(7, 2)
    known: Any = torch.distributions.Categorical(logits=logits)
    taken = known.sample()
    torch.testing.assert_close(choosing.log_probability(logits, taken), known.log_prob(taken))
    torch.testing.assert_close(choosing.spread(logits), known.entropy())
    torch.nn.init.normal_(moving.log_std)
    known = torch.distributions.Normal(logits, moving.log_std.exp())
    taken = known.sample()
    torch.testing.assert_close(moving.log_probability(logits, taken), known.log_prob(taken).sum(1))
    torch.testing.assert_close(moving.spread(logits), known.entropy().sum(1))


def test_actions_are_drawn_with_their_probabilities():
    torch.manual_seed(0)
    model = Policy(spec=EnvironmentSpec("x", "control", (1,), classes=("a", "b", "c")))
    torch.nn.init.zeros_(model.actor[-1].weight)
    wanted = torch.tensor([0.5, 0.3, 0.2])
    with torch.no_grad():
        model.actor[-1].bias.copy_(wanted.log())
    taken = model.act(torch.zeros(40_000, 1))["action"]
    torch.testing.assert_close(torch.bincount(taken) / len(taken), wanted, atol=0.01, rtol=0)
    assert model.act(torch.zeros(4, 1), greedy=True)["action"].tolist() == [0] * 4


def test_what_is_counted_in_by_parts_is_that_of_the_whole():
    x = torch.randn(100, 3, dtype=torch.float64) * 5 + 2
    count, mean, squares = torch.zeros(()), torch.zeros(3).double(), torch.zeros(3).double()
    for part in x.split(17):
        more = (part - part.mean(0)).square().sum(0)
        count, mean, squares = merged(count, mean, squares, len(part), part.mean(0), more)
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
def test_environments_go_on_from_a_checkpoint_as_they_would_have(name, kind, tmp_path):
    games = environments("x", name, kind, **SIZES)
    rng = np.random.default_rng(0)

    def action():
        return rng.integers(0, len(games.spec.classes), 4) if games.spec.classes else rng.uniform(-2, 2, (4, 1))

    one = Play(games, 4, [0, 1, 2, 3])
    for _ in range(230):  # beyond an episode's end
        one.step(action())
    torch.save(one.state_dict(), tmp_path / "state.pt")
    other = Play(games, 4, [99, 98, 97, 96])
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for _ in range(230):
        done = action()
        for mine, theirs in zip(one.step(done), other.step(done), strict=True):
            assert np.array_equal(mine, theirs)
        assert torch.equal(one.observation, other.observation)


def test_a_rollout_leaves_out_the_steps_that_only_begin_an_episode():
    loader = RolloutLoader(load("cartpole", envs=8, rollout=64, epoch_steps=512), seed=0, batch_size=64)
    loader.actor = lambda x: {"action": torch.zeros(len(x), dtype=torch.int64)}  # falls within ten steps
    batch = loader.played()
    ended, valid = batch["ended"] > 0, batch["valid"] > 0
    assert torch.equal(ended[:-1], ~valid[1:])
    assert bool((batch["reward"][valid] == 1).all())
    assert bool((batch["reward"][~valid] == 0).all())
    assert len(batch["finished"]) == int(ended.sum())
    assert float(batch["finished"].sum()) == pytest.approx(float(batch["reward"].sum()), abs=8 * 10)


def test_evaluation_has_episodes_of_its_own_and_each_counts_once():
    games = load("acrobot", val_episodes=5, test_episodes=4)
    loaders = [EpisodeLoader(games, part) for part in ("val", "test")]
    first = {
        part: Play(games, one.count, one.seeds).observation for part, one in zip(("val", "test"), loaders, strict=True)
    }
    training = RolloutLoader(games, seed=0, batch_size=8).play.observation
    assert len({tuple(row.tolist()) for rows in (*first.values(), training) for row in rows}) == 5 + 4 + games.envs
    again = EpisodeLoader(games, "val")
    still = {"action": torch.ones(5, dtype=torch.int64)}
    played = again.play(lambda x: still)
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
        seen, reward = np.zeros(2, np.float32), 0.0
        if self.count == 3:
            if self.how == "crash":
                raise RuntimeError("no more\nsteps")
            if self.how == "nan":
                seen[0] = np.nan
            if self.how == "reward":
                reward = float("inf")
        return seen, reward, False, False, {}


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


def test_actions_that_begin_elsewhere_are_counted_from_nought():
    games = environments("x", "zoo-from-three-v0", "discrete", **{**SIZES, "vectorization": "sync"})
    assert games.spec.classes == ("3", "4")
    assert Play(games, 2, [0, 1]).step(np.array([0, 1]))[0].tolist() == [3.0, 4.0]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("crash", "raised RuntimeError (no more steps) at step 3"),
        ("nan", "shows NaN or infinity at step 3"),
        ("reward", "gave the reward [inf"),
    ],
)
def test_an_environment_that_breaks_ends_the_run_by_name_step_and_action(how, said):
    games = environments("x", "zoo-breaks-v0", "discrete", options={"how": how}, **{**SIZES, "vectorization": "sync"})
    with pytest.raises(TrainingError) as caught:
        zoo.train("policy", games, report=False, **{"run_dir": "run", "trainer.max_epochs": 1})
    assert "environment zoo-breaks-v0" in str(caught.value)
    assert said in str(caught.value)
    assert "after the actions" in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "identity", "sizes", "said"),
    [
        ("discrete", "None-v0", {}, "None-v0 cannot be made"),
        ("discrete", "Pendulum-v1", {}, "takes continuous actions; data.action_space=continuous"),
        (
            "discrete",
            "CartPole-v1",
            {"epoch_steps": 100},
            "must be a multiple of data.envs · data.rollout = 32; 96 is near",
        ),
        ("discrete", "CartPole-v1", {"envs": 0}, "data.envs=0: must be"),
        ("discrete", "FrozenLake-v1", {}, "must be a Box"),
    ],
)
def test_what_cannot_be_played_is_one_line(kind, identity, sizes, said):
    with pytest.raises(ZooError) as caught:
        environments("x", identity, kind, **{**SIZES, **sizes})
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "words",
    [{"algorithm": "a2c"}, {"algorithm": "reinforce"}, {"normalize_observations": True, "normalize_rewards": True}],
)
def test_each_algorithm_learns_to_balance_a_pole_for_longer(words):
    quick = {
        "trainer.max_epochs": 3,
        "data.envs": 16,
        "data.rollout": 32,
        "data.epoch_steps": 8192,
        "optimizer.lr": 1e-2,
    }
    run = zoo.train("policy", "cartpole", model_kwargs=words, report=False, **{**quick, "data.val_episodes": 10})
    assert run.metrics["test/return"] > 60  # 21 at random
    assert run.results["samples"] == 3 * 8192


def test_images_are_seen_by_convolutions():
    spec = EnvironmentSpec("x", "control", (3, 17, 12), classes=("0", "1"))
    model = Policy(spec=spec, channels=(4, 8))
    assert model(torch.rand(5, 3, 17, 12)).shape == (5, 2)
    assert any(isinstance(part, torch.nn.Conv2d) for part in model.actor)
    with pytest.raises(ZooError, match=r"network=conv: is for images; cartpole shows \(4,\)"):
        Policy(spec=CARTPOLE, network="conv")


# --- what is remembered ---


@pytest.mark.parametrize("ahead", [1, 3])
def test_remembered_steps_come_with_what_became_of_them(ahead):
    torch.manual_seed(0)
    count, total, gamma = 3, 57, 0.9
    played = {
        "x": torch.randn(total, count, 2),
        "taken": torch.randint(4, (total, count)),
        "reward": torch.randn(total, count),
        "terminated": (torch.rand(total, count) < 0.2).float(),
    }
    played["ended"] = torch.maximum(played["terminated"], (torch.rand(total, count) < 0.1).float())
    played["valid"] = torch.cat([torch.ones(1, count), 1 - played["ended"][:-1]])
    memory = ReplayBuffer(20 * count, count)
    for part in range(0, total, 7):  # beyond its end
        memory.add({name: value[part : part + 7] for name, value in played.items()})
    assert len(memory) == 20 * count
    rows = {tuple(x.tolist()): (t, n) for t, step in enumerate(played["x"]) for n, x in enumerate(step)}
    drawn = memory.draw(500, ahead=ahead, gamma=gamma)
    seen = set()
    for row in range(500):
        t, n = rows[tuple(drawn["x"][row].tolist())]
        seen.add((t, n))
        assert t >= total - 20
        assert played["valid"][t, n] == 1
        assert drawn["taken"][row] == played["taken"][t, n]
        reward, discount, after = 0.0, 1.0, t
        for _ in range(ahead):
            reward += discount * float(played["reward"][after, n])
            discount *= gamma * (1 - float(played["terminated"][after, n]))
            after += 1
            if played["ended"][after - 1, n]:
                break
        assert float(drawn["reward"][row]) == pytest.approx(reward, abs=1e-6)
        assert float(drawn["discount"][row]) == pytest.approx(discount, abs=1e-6)
        assert torch.equal(drawn["next"][row], played["x"][after, n])
    there = {(t, n) for t in range(total - 20, total - ahead) for n in range(count) if played["valid"][t, n]}
    assert seen == there


def remembered(model, rows=6):
    torch.manual_seed(1)
    taken = torch.randint(2, (rows,)) if model.spec.classes else torch.rand(rows, model.spec.outputs) * 2 - 1
    shape = model.spec.input_shape
    steps = {"x": torch.randn(rows, *shape), "next": torch.randn(rows, *shape), "taken": taken}
    return {**steps, "reward": torch.randn(rows), "discount": torch.rand(rows)}


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("dueling", [False, True])
def test_the_loss_of_values_is_the_papers(double, dueling):
    torch.manual_seed(0)
    model = DQN(double=double, dueling=dueling, widths=(8,))
    with torch.no_grad():
        for parameter in model.target.parameters():
            parameter.add_(torch.randn_like(parameter))
    steps, expected = remembered(model), []

    def worth(net, x):
        a = net.advantage(x)[0]
        return (a - a.mean() + net.state(x)[0] if dueling else a).tolist()

    for row in range(6):
        x, after = steps["x"][row : row + 1], steps["next"][row : row + 1]
        later, here = worth(model.target, after), worth(model.network, after)
        best = max(range(2), key=lambda a, by=here if double else later: by[a])
        wanted = float(steps["reward"][row]) + float(steps["discount"][row]) * later[best]
        far = abs(worth(model.network, x)[int(steps["taken"][row])] - wanted)
        expected.append(0.5 * far * far if far < 1 else far - 0.5)
    assert float(model.loss_of(steps)[0].detach()) == pytest.approx(sum(expected) / 6, abs=1e-6)


def test_a_squashed_density_is_torchs():
    mean, log_std, noise = (torch.randn(9, 2, dtype=torch.float64) for _ in range(3))
    action, density = squashed(mean, log_std, noise)
    normal = torch.distributions.Normal(mean, log_std.exp())
    known = torch.distributions.TransformedDistribution(normal, torch.distributions.TanhTransform(cache_size=1))
    known.transforms[0]._cached_x_y = (mean + log_std.exp() * noise, action)  # else atanh loses digits
    torch.testing.assert_close(density, known.log_prob(action).sum(1), atol=1e-6, rtol=0)


def test_actor_critics_and_temperature_have_the_gradients_of_their_own_losses():
    torch.manual_seed(0)
    model = SAC(widths=(8,), temperature=0.3)
    with torch.no_grad():
        for parameter in (*model.target.parameters(), model.actor[-1].weight):
            parameter.add_(0.3 * torch.randn_like(parameter))
    steps = remembered(model)
    torch.manual_seed(2)
    loss, _ = model.loss_of(steps)
    loss.backward()
    torch.manual_seed(2)
    alpha = model.log_temperature.exp()
    after, density = squashed(*model.distribution(steps["next"]), torch.randn(6, 1))
    future = torch.minimum(*model.target(steps["next"], after)) - alpha * density
    wanted = (steps["reward"] + steps["discount"] * future).detach()
    critics = sum(0.5 * (one - wanted).square().mean() for one in model.critics(steps["x"], steps["taken"]))
    action, density = squashed(*model.distribution(steps["x"]), torch.randn(6, 1))
    actor = (alpha.detach() * density - torch.minimum(*model.critics(steps["x"], action))).mean()
    temperature = -model.log_temperature * (density.detach().mean() - 1)
    assert float(loss.detach()) == pytest.approx(float((critics + actor + temperature).detach()), abs=1e-5)
    for own, part in ((critics, model.critics), (actor, model.actor)):
        for parameter, wished in zip(
            part.parameters(), torch.autograd.grad(own, list(part.parameters()), retain_graph=True), strict=True
        ):
            torch.testing.assert_close(parameter.grad, wished, atol=1e-6, rtol=1e-5)
    (wished,) = torch.autograd.grad(temperature, [model.log_temperature])
    torch.testing.assert_close(model.log_temperature.grad, wished)
    assert all(parameter.grad is None for parameter in model.target.parameters())
