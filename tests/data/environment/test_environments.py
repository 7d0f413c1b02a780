"""Environments: observations, actions and seeds; their errors are one line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import lightning as L
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from hypothesis import given, settings
from hypothesis import strategies as st

import zoo
from zoo.config.run_config import folder_name
from zoo.data.environment.environments import environments
from zoo.data.environment.loaders import EpisodeLoader, RolloutLoader
from zoo.data.environment.spaces import (
    channels_first_array,
    complete_options,
    describe,
    episode_seeds,
    layout_of,
    make_vector,
)
from zoo.data.input_readers import to_float
from zoo.exceptions import Stopped, TrainingError, ZooError
from zoo.layers.policy import batch_moments, merge_moments
from zoo.models.dqn import DQN
from zoo.models.ppo import PPO
from zoo.models.sac import SAC
from zoo.utils.random import PerSampleGenerator

SIZES = {"num_envs": 4, "num_steps": 8, "steps_per_epoch": 32, "n_val_episodes": 2, "n_test_episodes": 2}
RUN = {"data.batch_size": 16, "trainer.max_epochs": 1, "trainer.accelerator": "cpu", "logger": "csv"}


class Plain(gymnasium.Env):
    """Shows what ``observation`` says and ends after ``length`` steps; its constructor does not accept render_mode."""

    action_space: Any = spaces.Discrete(2)

    def __init__(self, observation_space=None, action_space=None, length=5, wrong=None):
        self.observation_space = observation_space or spaces.Box(-1, 1, (3,), np.float32)
        self.action_space = action_space or self.action_space
        self.length, self.wrong, self.steps = length, wrong, 0
        if wrong == "constructor":
            raise RuntimeError("no license\nfor it")

    def look(self):
        return self.observation_space.sample()

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        self.steps = 0
        if self.wrong == "reset":
            raise KeyError("level")
        if self.wrong == "old reset":
            return self.look()
        return np.zeros(7) if self.wrong == "shape" else self.look(), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        self.steps += 1
        if self.wrong == "step":
            raise OSError("lost the robot")
        reward = {
            "reward": None,
            "array reward": np.ones(1),
            "text reward": "much",
            "huge reward": 1e39 if self.steps > 2 else 1.0,
            "scalar reward": np.array(1.0),
        }.get(self.wrong, 1.0)
        if self.wrong == "old step":
            return self.look(), reward, False, {}
        observation = np.full(3, 1e300) if self.wrong == "huge" and self.steps > 2 else self.look()
        return observation, reward, self.steps >= self.length, False, {}


class Drawn(Plain):
    """Takes a render_mode, and raises where it is to draw."""

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"]}  # noqa: RUF012

    def __init__(self, render_mode=None, **options):
        super().__init__(**options)
        self.render_mode = render_mode

    def render(self):
        raise RuntimeError("no screen")


class SameStep(gymnasium.vector.VectorEnv):
    """Begins an episode in the step that ends one."""

    def __init__(self, num_envs=1, **options):
        self.num_envs, self.metadata = num_envs, {"autoreset_mode": AutoresetMode.SAME_STEP}
        self.single_observation_space, self.single_action_space = spaces.Box(-1, 1, (3,)), spaces.Discrete(2)

    def close(self, **options):
        """Nothing is open."""


gymnasium.register("zoo-plain-v0", entry_point=Plain)
gymnasium.register("zoo-drawn-v0", entry_point=Drawn)
gymnasium.register("zoo-same-step-v0", entry_point=Plain, vector_entry_point=SameStep)
gymnasium.register("zoo-same-step-alone-v0", vector_entry_point=SameStep)


def plain(**options: Any):
    return environments("plain", "zoo-plain-v0", None, options=options, **SIZES)


# --- seeds ---


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.integers(0, 10_000), st.integers(1, 300))
def test_episode_seeds_are_disjoint_between_splits_and_runs(one, other, count):
    of_runs = [episode_seeds("train", count, seed=seed) for seed in (one, other)]
    fixed = [episode_seeds(part, count) for part in ("val", "test", "video")]
    parts = [set(seeds) for seeds in (of_runs[0], *fixed)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 4 * count
    assert episode_seeds("val", count) == fixed[0]
    assert episode_seeds("test", count + 5)[:count] == fixed[1]  # more episodes are further ones
    assert one == other or not set(of_runs[0]) & set(of_runs[1]) or count > 50
    assert all(0 <= seed < 2**31 for seeds in (*of_runs, *fixed) for seed in seeds)


@pytest.mark.parametrize("seed", [100, 200, 300])
def test_rollout_loader_excludes_evaluation_episodes(seed):
    games = plain()
    training = RolloutLoader(games, seed=seed, batch_size=8).environments.observation
    eval_step = [EpisodeLoader(games, part) for part in ("val", "test")]
    others = torch.cat([games.vector(one.seeds).observation for one in eval_step])
    assert not (training[:, None] == others[None]).all(2).any()


# --- images ---


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((4, 84, 84), "CHW"),
        ((3, 36, 36), "CHW"),
        ((84, 84, 4), "HWC"),
        ((210, 160, 3), "HWC"),
        ((3, 210, 160), "CHW"),
        ((8, 8, 12), "HWC"),
        ((12, 8, 8), "CHW"),
        ((9, 9, 9), "HWC"),
        ((36, 30), "HW"),
        ((4, 84, 84, 3), "NHWC"),
        ((5,), ""),
    ],
)
def test_layout_of_from_image_shape(shape, layout):
    assert layout_of(shape) == layout
    if layout:
        image = np.random.default_rng(0).integers(0, 256, (2, *shape), dtype=np.uint8)
        ordered = channels_first_array(image, layout)
        height, width = 5, 7
        index = {"N": 1, "H": height, "W": width, "C": 2}
        channel = {"CHW": 2, "HWC": 2, "HW": 0, "NHWC": shape[-1] + 2}[layout]
        assert ordered[1, channel, height, width] == image[(1, *(index[axis] for axis in layout))]


@pytest.mark.parametrize("shape", [(3, 12, 10), (12, 10, 3), (12, 10), (2, 12, 10, 3)])
@pytest.mark.parametrize(("dtype", "high"), [(np.uint8, 255), (np.float32, 255), (np.float32, 1), (np.int64, 255)])
def test_image_observations_are_scaled_alike_in_prediction(shape, dtype, high):
    space = spaces.Box(0, high, shape, dtype)
    games = plain(observation_space=space)
    loader = RolloutLoader(games, seed=0, batch_size=8)
    space.seed(3)
    raw = np.stack([space.sample() for _ in range(6)])
    model = PPO(spec=games.spec, hidden_sizes=(4,), channels=(2,))
    loader.collect = model.collect_rollout
    x = loader.next_rollout()["x"]
    assert x.dtype == torch.float32
    assert 0 <= float(x.min()) < 0.1 < 0.9 < float(x.max()) <= 1
    observation = torch.from_numpy(
        channels_first_array(raw.astype(np.float64) / high, games.spec.reading.layout)
    ).float()
    expected = model.task.postprocess(model.task.predictions(model(observation)))["probability"]
    torch.testing.assert_close(model.eval().predict(raw)["probability"], expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(model.predict(raw[0])["probability"], expected[:1], atol=1e-5, rtol=0)


def test_replay_buffer_stores_images_as_bytes():
    games = plain(observation_space=spaces.Box(0, 255, (12, 10, 3), np.uint8))
    loader = RolloutLoader(games, seed=0, batch_size=8, off_policy=True)
    loader.collect = DQN(spec=games.spec, hidden_sizes=(4,), channels=(2,)).collect_rollout
    batch = loader.next_rollout()
    assert batch["x"].dtype == loader.replay.frames.dtype == torch.uint8
    drawn = loader.replay.sample(5, n_step=1, gamma=0.9)
    assert drawn["x"].dtype == torch.float32
    assert float(drawn["next_x"].max()) <= 1
    known = to_float(batch["x"])
    assert all((known == row).flatten(1).all(1).any() for row in drawn["x"])


class Robot(Plain):
    """Holds what no checkpoint can."""

    def __init__(self, **options):
        super().__init__(**options)
        self.connection = object()


gymnasium.register("zoo-robot-v0", entry_point=Robot)


def test_resume_without_environment_state_ends_replayed_episodes(tmp_path, capsys):
    games = environments("x", "zoo-robot-v0", None, options={"length": 100}, **SIZES)

    def loader():
        rollouts = RolloutLoader(games, seed=0, batch_size=8, off_policy=True)
        rollouts.collect = DQN(spec=games.spec, hidden_sizes=(4,)).collect_rollout
        rollouts.folder = tmp_path / "replay"
        return rollouts

    before, after = loader(), loader()
    before.next_rollout()
    last = before.environments.observation
    before.write_replay()
    after.load_state_dict({**before.state_dict(), "batch": 1})
    assert "new episodes start" in capsys.readouterr().out
    after.next_rollout()
    assert after.replay.rings["done"][7].tolist() == [1] * 4
    assert after.replay.rings["valid"][7:10, 0].tolist() == [1, 0, 1]
    env, step = torch.arange(4), torch.full((4,), 8)
    assert torch.equal(after.replay.observations(step, env), last)


# --- errors ---


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("constructor", "cannot be created: its constructor raised RuntimeError (no license for it)"),
        ("reset", "reset raised KeyError ('level')"),
        ("old reset", "reset must return (observation, info)"),
        ("shape", "reset returned float64[7]; its observation_space has the shape [3]"),
        ("step", "step raised OSError (lost the robot)"),
        ("old step", "step raised ValueError (not enough values to unpack (expected 5, got 4))"),
        ("reward", "step returned the reward None; must be a number"),
        ("array reward", "step returned the reward array([1.]); must be a number"),
        ("text reward", "step returned the reward 'much'; must be a number"),
    ],
)
def test_environment_errors_name_the_environment_in_one_line(wrong, message):
    with pytest.raises(ZooError) as caught:
        plain(wrong=wrong)
    assert "zoo-plain-v0" in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"observation_space": spaces.Dict({"a": spaces.Discrete(2)})}, "must be a Box of one dimension, an image"),
        ({"observation_space": spaces.Discrete(4)}, "must be a Box of one dimension, an image"),
        ({"observation_space": spaces.Box(-1, 1, (4, 4), np.float32)}, "must be a Box of one dimension, an image"),
        ({"action_space": spaces.MultiBinary(3)}, "must be Discrete, or a Box of one dimension"),
        ({"action_space": spaces.Box(-np.inf, 1, (1,), np.float32)}, "an unbounded action space"),
        ({"action_space": spaces.Box(0, 5, (1,), np.int64)}, "of integers; must be Discrete"),
    ],
)
def test_environments_reject_unsupported_spaces(options, message):
    with pytest.raises(ZooError) as caught:
        plain(**options)
    assert message in str(caught.value)


def test_environment_error_in_a_later_reset(monkeypatch):
    games = plain()
    monkeypatch.setattr(Plain, "reset", lambda self, **options: 1 / 0)
    with pytest.raises(TrainingError, match=r"environment zoo-plain-v0 raised ZeroDivisionError .* in reset"):
        EpisodeLoader(games, "val").evaluate_policy(lambda x: {})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [("huge", "returned NaN or infinity at step 3"), ("huge reward", "returned the reward [1e+39, 1e+39]")],
)
def test_environment_values_beyond_float32_are_an_error(wrong, message):
    space = spaces.Box(-np.inf, np.inf, (3,), np.float64)
    play = plain(wrong=wrong, observation_space=space).vector([0, 1])
    for _ in range(2):
        play.step(np.zeros(2, np.int64))
    with pytest.raises(TrainingError) as caught:
        play.step(np.zeros(2, np.int64))
    assert message in str(caught.value)


def test_reward_may_be_a_zero_dimensional_array():
    play = plain(wrong="scalar reward").vector([0, 1])
    assert play.step(np.zeros(2, np.int64))[0].tolist() == [1.0, 1.0]


def test_actions_are_clipped_in_the_precision_of_their_space():
    low, high = np.array([0.1, -3.0]), np.array([0.3, -1.7])
    games = plain(action_space=spaces.Box(low, high, dtype=np.float64))
    assert games.spec.action_space == "continuous"
    play = games.vector([0, 1])
    for action in (np.float32(low), np.float32(high), low - 1, high + 1):
        play.step(np.stack([action, action]))  # contains() is asserted


@pytest.mark.parametrize(
    ("identity", "message"),
    [("zoo-plain-v0", "does not accept render_mode"), ("zoo-drawn-v0", "render raised RuntimeError (no screen)")],
)
def test_video_failure_keeps_the_results(identity, message, capsys):
    games = environments("x", identity, None, **SIZES)
    run = zoo.train("ppo", games, model_kwargs={"hidden_sizes": [4]}, **RUN)
    assert json.loads((run.folder / "results.json").read_text())["metrics"]["test/return"] == 5
    notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note: ")]
    assert len(notes) == 1
    assert notes[0].startswith("note: no video of an episode; ")
    assert message in notes[0]


def test_vector_environments_must_reset_in_the_next_step():
    games = environments("x", "zoo-same-step-v0", None, **SIZES)
    assert isinstance(games.vector([0, 1, 2]).envs, gymnasium.vector.SyncVectorEnv)
    with pytest.raises(ZooError, match=r"resets by SameStep; must be AutoresetMode\.NEXT_STEP"):
        environments("x", "zoo-same-step-alone-v0", None, **SIZES)
    with pytest.raises(ZooError, match="does not use AutoresetMode.NEXT_STEP"):
        make_vector("zoo-plain-v0", 2, "sync", {"vector_kwargs": {"autoreset_mode": AutoresetMode.SAME_STEP}})


def test_environment_module_in_the_current_folder(tmp_path, monkeypatch):
    name = f"games_of_{os.getpid()}"
    (tmp_path / f"{name}.py").write_text(
        "import gymnasium\nfrom gymnasium.envs.classic_control import CartPoleEnv\n"
        f"gymnasium.register('{name}/Pole-v0', entry_point=CartPoleEnv)\n"
    )
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place not in ("", str(tmp_path))])
    data = {"env": f"{name}:{name}/Pole-v0", "action_space": None}
    complete_options(data)
    assert data["action_space"] == "discrete"
    with pytest.raises(ZooError, match="there is no module 'no_such_games' in the current folder"):
        describe("no_such_games:Pole-v0")
    (tmp_path / f"{name}_broken.py").write_text("1 / 0\n")
    with pytest.raises(ZooError, match=r"importing .*_broken raised ZeroDivisionError"):
        describe(f"{name}_broken:Pole-v0")


class Interrupting(Plain):
    """Sends this process SIGINT at the first step of an episode of one part, and would go on for 5,000 more."""

    part, steps_after = "", 0

    def reset(self, *, seed=None, options=None):
        self.interrupts = bool(self.part) and seed in episode_seeds(self.part or "val", 2)
        return super().reset(seed=seed)

    def step(self, action):
        self.length = 5000 if self.interrupts else 5
        if self.interrupts and self.steps == 0:
            os.kill(os.getpid(), signal.SIGINT)
        Interrupting.steps_after += self.interrupts
        return super().step(action)


gymnasium.register("zoo-interrupting-v0", entry_point=Interrupting)


@pytest.mark.parametrize("part", ["val", "test"])
def test_signal_stops_a_long_evaluation_episode(part, tmp_path, monkeypatch):
    games = environments("x", "zoo-interrupting-v0", None, **SIZES)
    words = {"model_kwargs": {"hidden_sizes": [4]}, "report": False, **RUN}
    with monkeypatch.context() as patch:
        patch.setattr(Interrupting, "part", part)
        patch.setattr(Interrupting, "steps_after", 0)
        with pytest.raises(Stopped):
            zoo.train("ppo", games, run_dir=str(tmp_path / "stopped"), **words)
        assert Interrupting.steps_after < 10
    run = zoo.resume(tmp_path / "stopped", games, report=False)
    reference = zoo.train("ppo", games, run_dir=str(tmp_path / "reference"), **words)
    assert run.metrics == reference.metrics


# --- by name ---


def test_action_space_is_inferred_without_torch():
    code = (
        "import sys; from zoo.config.compose import compose; from zoo.config.run_config import RunConfig\n"
        "from zoo.exceptions import ZooError\n"
        "def kind(model):\n"
        "    config = compose([f'model={model}', 'data=gym', 'data.env=Pendulum-v1'])\n"
        "    run_config = RunConfig.from_config(config, recipe=model, overridden=['data.env'])\n"
        "    return run_config.values['data']['action_space'], run_config.folder.parts[1]\n"
        "print(*kind('sac'))\n"
        "try: kind('dqn')\n"
        "except ZooError as error: print(error)\n"
        "assert 'torch' not in sys.modules\n"
    )
    root = str(Path(zoo.__file__).resolve().parent.parent)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": root}
    )
    lines = done.stdout.splitlines()
    assert lines[0] == "continuous sac-Pendulum-v1", done.stderr
    assert lines[1].startswith(
        "model=dqn does not support control on data=gym (environment, continuous actions). Compatible models: "
    )


@pytest.mark.parametrize(
    ("identity", "name"),
    [
        ("rlenvs:Mine/Ints-v0", "Mine-Ints-v0"),
        ("CartPole-v1", "CartPole-v1"),
        ("../../x", "x"),
        ("a:..", "environment"),
    ],
)
def test_folder_name_from_environment_id(identity, name):
    assert folder_name(identity) == name


@pytest.mark.parametrize(
    "sizes",
    [
        {"buffer_size": 1000, "learning_starts": 1000},
        {"buffer_size": 7, "learning_starts": 0},
        {"buffer_size": 0, "learning_starts": 0},
    ],
)
def test_buffer_size_must_exceed_learning_starts(sizes):
    games = environments("x", "CartPole-v1", None, **SIZES, **sizes)
    with pytest.raises(ZooError, match=r"data\.buffer_size=.*: must be more than data\.learning_starts="):
        zoo.train("dqn", games, **RUN)


# --- learning ---


@pytest.mark.parametrize("name", ["ppo", "a2c", "reinforce"])
@pytest.mark.parametrize(
    ("length", "sizes"),
    [
        (1, {"num_envs": 1, "num_steps": 1, "steps_per_epoch": 4}),  # each second rollout has no valid step at all
        (1, {"num_envs": 2, "num_steps": 2, "steps_per_epoch": 8}),
        (3, {"num_envs": 2, "num_steps": 4, "steps_per_epoch": 16}),
    ],
)
def test_rollouts_with_few_valid_steps_keep_finite_weights(name, length, sizes):
    games = environments("x", "zoo-plain-v0", None, options={"length": length}, **{**SIZES, **sizes})
    options = {
        "hidden_sizes": [4],
        "normalize_observations": True,
        "normalize_rewards": True,
    }
    options |= {"n_epochs": 2} if name == "ppo" else {}
    run = zoo.train(name, games, model_kwargs=options, report=False, **{**RUN, "data.batch_size": 1})
    assert all(bool(torch.isfinite(value).all()) for value in run.model.state_dict().values())
    rows = (run.folder / "metrics.csv").read_text()
    assert "nan" not in rows.lower()
    assert run.model.steps > 0


def test_per_sample_generator_differs_between_test_episodes():
    rows = torch.arange(1500)
    every = PerSampleGenerator(rows, count=1500).uniform(2)
    assert len(every.unique(dim=0)) == 1500
    for world in (2, 3):
        shares = [PerSampleGenerator(rows[rank::world], count=1500).uniform(2) for rank in range(world)]
        assert all(torch.equal(share, every[rank::world]) for rank, share in enumerate(shares))
    games = environments("x", "CartPole-v1", None, **{**SIZES, "n_test_episodes": 1100})
    run = zoo.train("ppo", games, model_kwargs={"hidden_sizes": [4]}, report=False, **RUN)
    assert np.isfinite(run.metrics["test/return_sampled"])


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(0, 20), st.integers(0, 20), st.integers(1, 3))
def test_merge_moments_equals_moments_of_all_rows(seed, left, right, numbers):
    torch.manual_seed(seed)
    x = torch.randn(left + right, numbers, dtype=torch.float64) * 3 + 100
    weight = (torch.rand(left + right) < 0.7).double()
    count, mean, squares = merge_moments(batch_moments(x[:left], weight[:left]), batch_moments(x[left:], weight[left:]))
    valid = x[weight > 0]
    assert int(count) == len(valid)
    assert bool(torch.isfinite(mean).all())
    if len(valid):
        torch.testing.assert_close(mean, valid.mean(0))
        torch.testing.assert_close(squares, (valid - valid.mean(0)).square().sum(0), atol=1e-8, rtol=1e-9)


class KeepRows(L.Callback):
    """Writes what each process learned from, and the statistics that it has then."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_end(self, trainer, module):
        """Write."""
        loader = trainer.train_dataloader
        statistics = dict(module.observation_normalization.named_buffers())
        content = {"x": loader.recorded_rows, **statistics, "returns": module.reward_scaling.moments}
        torch.save(content, self.folder / f"{trainer.global_rank}.pt")

    def on_train_start(self, trainer, module):
        """Keep the rows of each batch."""
        loader = trainer.train_dataloader
        next_rollout, loader.recorded_rows = loader.next_rollout, []

        def recorded():
            batch = next_rollout()
            loader.recorded_rows.append(batch["x"])
            return batch

        loader.next_rollout = recorded


def test_running_statistics_are_shared_between_processes(tmp_path):
    games = environments(
        "x", "CartPole-v1", None, **{**SIZES, "vectorization": "async", "n_val_episodes": 1, "n_test_episodes": 1}
    )
    options = {"hidden_sizes": [4], "normalize_observations": True, "normalize_rewards": True, "n_epochs": 1}
    two = {"trainer.devices": 2, "trainer.accelerator": "cpu"}
    zoo.train("ppo", games, model_kwargs=options, report=False, callbacks=[KeepRows(tmp_path)], **{**RUN, **two})
    one, other = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    rows = torch.cat([*one["x"], *other["x"]]).double()
    assert int(one["count"]) == len(rows) == 32
    torch.testing.assert_close(one["mean"].double(), rows.mean(0), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(one["squares"], (rows - rows.mean(0)).square().sum(0), atol=1e-5, rtol=1e-4)
    for name in ("mean", "count", "squares", "returns"):
        assert torch.equal(one[name], other[name]), name
    assert 28 <= int(one["returns"][0]) <= 32


def test_sac_optimizer_groups_have_separate_learning_rates():
    model = SAC(hidden_sizes=(8,), actor_lr=0.5, alpha_lr=0.1)
    groups = model.configure_optimizers().param_groups
    assert [group["lr_scale"] for group in groups] == [1.0, 0.5, 0.1]
    grouped = [parameter for group in groups for parameter in group["params"]]
    assert {id(one) for one in grouped} == {id(one) for one in model.parameters() if one.requires_grad}
    assert len(grouped) == len({id(one) for one in grouped})
    assert {id(one) for one in groups[1]["params"]} == {id(one) for one in model.actor.parameters()}
