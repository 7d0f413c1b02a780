"""Environments side by side: stepped, resumed, evaluated, and broken ones."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

import zoo
from zoo.data import load
from zoo.data.environment.environments import environments
from zoo.data.environment.loaders import EpisodeLoader, RolloutLoader
from zoo.exceptions import TrainingError, ZooError

SIZES = {
    "num_envs": 4,
    "num_steps": 8,
    "steps_per_epoch": 32,
    "n_val_episodes": 3,
    "n_test_episodes": 3,
    "vectorization": "auto",
}


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
        ("nan", "returned NaN or infinity at step 3"),
        ("reward", "returned the reward [inf"),
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
        ("discrete", "None-v0", {}, "None-v0 cannot be created"),
        ("discrete", "Pendulum-v1", {}, "has continuous actions; set data.action_space=continuous"),
        (
            "discrete",
            "CartPole-v1",
            {"steps_per_epoch": 100},
            "must be a multiple of data.num_envs · data.num_steps = 32, for example 96",
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
