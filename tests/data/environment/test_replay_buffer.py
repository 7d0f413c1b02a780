"""The replay buffer: exact observations, each frame stored once, segments on disk."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import zoo
from zoo.data.environment.environments import environments
from zoo.data.environment.replay_buffer import FIELDS, ReplayBuffer
from zoo.engine.callbacks.checkpoint import Checkpoints
from zoo.exceptions import ZooError

FRAMES = "benchmarks.frames:zoo-frames-v0"
SIZES = {
    "num_envs": 2,
    "num_steps": 4,
    "steps_per_epoch": 64,
    "n_val_episodes": 2,
    "n_test_episodes": 2,
    "vectorization": "auto",
}


def generate_steps(
    total: int, count: int, *, stack: int, pad: str, rng: np.random.Generator
) -> dict[str, torch.Tensor]:
    """Steps of environments that show stacks of 2×2 frames, padded at an episode's start in one of the usual ways."""
    x = torch.zeros(total, count, stack, 2, 2, dtype=torch.uint8)
    steps = {name: torch.zeros(total, count) for name in FIELDS}
    steps["action"] = torch.from_numpy(rng.integers(0, 3, (total, count)))
    steps["reward"] = torch.from_numpy(rng.normal(size=(total, count)).astype(np.float32))
    for n in range(count):
        frames, fresh = [], True
        for t in range(total):
            frame = rng.integers(0, 3, (2, 2), dtype=np.uint8)
            if fresh:
                before = {"reset": frame, "zero": np.zeros((2, 2), np.uint8)}.get(pad)
                first = [rng.integers(0, 3, (2, 2), dtype=np.uint8) if before is None else before for _ in range(stack)]
                frames = [*first[1:], frame]
            else:
                frames = [*frames[1:], frame]
            x[t, n] = torch.from_numpy(np.stack(frames))
            steps["valid"][t, n] = float(t == 0 or steps["done"][t - 1, n] == 0)
            steps["done"][t, n] = float(steps["valid"][t, n] and rng.random() < 0.3)
            steps["terminated"][t, n] = float(steps["done"][t, n] and rng.random() < 0.5)
            fresh = bool(steps["done"][t - 1, n]) if t else False
    return {"x": x, **steps}


def part(steps: dict[str, torch.Tensor], begin: int, end: int) -> dict[str, torch.Tensor]:
    return {name: value[begin:end] for name, value in steps.items()}


def assert_holds(buffer: ReplayBuffer, steps: dict[str, torch.Tensor]) -> None:
    """Each step that the buffer should still have is as it was added."""
    assert buffer.written - buffer.oldest == min(buffer.written, buffer.length)
    for t in range(buffer.oldest, buffer.written):
        env = torch.arange(buffer.count)
        at = torch.full((buffer.count,), t)
        assert torch.equal(buffer.observations(at, env), steps["x"][t]), t
        for name in FIELDS:
            assert torch.equal(buffer.rings[name][t % buffer.length], steps[name][t]), (t, name)


def draw_batch(buffer: ReplayBuffer) -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    return buffer.sample(64, n_step=2, gamma=0.9)


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    stack=st.integers(1, 4),
    pad=st.sampled_from(["reset", "zero", "other"]),
    capacity=st.integers(1, 60),
    count=st.integers(1, 3),
    chunks=st.lists(st.integers(1, 25), min_size=1, max_size=6),
    frame_channels=st.sampled_from([0, 1]),
)
def test_replay_buffer_returns_observations_also_from_disk(
    tmp_path_factory, seed, stack, pad, capacity, count, chunks, frame_channels
):
    folder = tmp_path_factory.mktemp("replay")
    steps = generate_steps(sum(chunks), count, stack=stack, pad=pad, rng=np.random.default_rng(seed))
    buffer, place = ReplayBuffer(capacity, count, frame_channels=frame_channels), 0
    for number, chunk in enumerate(chunks):
        buffer.add(part(steps, place, place + chunk))
        place += chunk
        assert_holds(buffer, part(steps, 0, place))
        if number % 2:
            continue
        buffer.write(folder)
        state = buffer.state_dict()
        other = ReplayBuffer(capacity, count, frame_channels=frame_channels)
        other.load(state, folder)
        assert_holds(other, part(steps, 0, place))
        if buffer.ready(2):
            for name, value in draw_batch(buffer).items():
                assert torch.equal(value, draw_batch(other)[name]), name
        buffer.drop(folder)
        assert {path.name for path in folder.iterdir()} == {one["name"] for one in buffer.segments}
        if seed % 2:  # a run that went on from there
            buffer = other
    shutil.rmtree(folder)


def test_replay_buffer_stores_each_frame_once():
    steps = generate_steps(400, 2, stack=4, pad="reset", rng=np.random.default_rng(0))
    buffer = ReplayBuffer(600, 2, frame_channels=1)
    for begin in range(0, 400, 20):
        buffer.add(part(steps, begin, begin + 20))
    assert buffer.frames.dtype == torch.uint8
    assert len(buffer.frames) == (300 + 4) * 2 + 1  # one for each step, some that stacks reach back to, an empty one
    assert_holds(buffer, steps)


def test_replay_buffer_writes_only_new_steps(tmp_path):
    steps = generate_steps(300, 1, stack=4, pad="reset", rng=np.random.default_rng(0))
    buffer, sizes = ReplayBuffer(100, 1, frame_channels=1), []
    for begin in range(0, 300, 20):
        buffer.add(part(steps, begin, begin + 20))
        before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
        buffer.write(tmp_path)
        after = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
        assert before.items() <= after.items()  # nothing was written again, nothing deleted
        sizes.append([(tmp_path / name).stat().st_size for name in after if name not in before])
        buffer.drop(tmp_path)
    assert all(len(new) == 1 for new in sizes)
    assert len(list(tmp_path.iterdir())) <= 100 // 20 + 1
    before = list(tmp_path.iterdir())
    buffer.write(tmp_path)  # nothing is new
    assert list(tmp_path.iterdir()) == before


@pytest.mark.parametrize("harm", ["cut", "flip", "missing", "name", "count"])
def test_replay_buffer_names_a_damaged_segment(tmp_path, harm):
    buffer = ReplayBuffer(50, 1)
    buffer.add(generate_steps(30, 1, stack=1, pad="reset", rng=np.random.default_rng(0)))
    buffer.write(tmp_path)
    state, path = buffer.state_dict(), next(tmp_path.iterdir())
    raw = bytearray(path.read_bytes())
    if harm == "cut":
        path.write_bytes(raw[:-1])
    elif harm == "flip":
        raw[-3] ^= 1
        path.write_bytes(raw)
    elif harm == "missing":
        path.unlink()
    elif harm == "name":
        state["segments"][0]["name"] = "../0-0-30.safetensors"
    with pytest.raises(ZooError) as caught:
        ReplayBuffer(50, 2 if harm == "count" else 1).load(state, tmp_path)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_replay_buffer_never_joins_episodes_after_truncation():
    steps = generate_steps(10, 1, stack=1, pad="reset", rng=np.random.default_rng(1))
    for name in ("done", "terminated"):
        steps[name].zero_()
    steps["valid"].fill_(1)
    last_observation, buffer = torch.full((1, 1, 2, 2), 9, dtype=torch.uint8), ReplayBuffer(40, 1)
    buffer.add(part(steps, 0, 5))
    buffer.truncate(last_observation)
    buffer.add(part(steps, 5, 10))
    for ahead in (1, 3):
        drawn_steps = buffer.sample(400, n_step=ahead, gamma=0.9)
        last = (drawn_steps["x"] * 255).round().to(torch.uint8).flatten(1).eq(steps["x"][4].flatten(1)).all(1)
        assert last.any()
        assert bool(((drawn_steps["next_x"][last] * 255).round() == 9).all())


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


# --- runs ---


def games(**sizes: Any):
    return environments(
        "frames", FRAMES, None, options={"size": 12}, **{**SIZES, "buffer_size": 64, "learning_starts": 16, **sizes}
    )


OPTIONS = {"hidden_sizes": (8,), "channels": (2,), "replay_ratio": 0.125}
QUICK = {"trainer.max_epochs": 3, "trainer.accelerator": "cpu", "data.batch_size": 8, "logger": "csv"}


def weights(folder: Path) -> dict[str, torch.Tensor]:
    content = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    optimizer = content["optimizer_states"][0]["state"]
    drawn_steps = {f"{number}.{name}": v for number, of in optimizer.items() for name, v in of.items()}
    return {**content["state_dict"], **drawn_steps}


@pytest.fixture(scope="module")
def unstopped(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    zoo.train("dqn", games(), model_kwargs=OPTIONS, report=False, **QUICK, run_dir=str(folder))
    return folder


def test_replay_buffer_detects_stacked_frames():
    assert games().frame_channels == 1
    assert games().spec.input_shape == (4, 12, 12)


def test_checkpoint_has_no_replay_buffer(unstopped):
    best = torch.load(unstopped / "checkpoints" / "best.ckpt", weights_only=True)
    assert "combined_loader" not in best["loops"]["fit_loop"]["state_dict"]
    assert "processes" not in best
    last = torch.load(unstopped / "checkpoints" / "last.ckpt", weights_only=True)
    segments = last["processes"][0]["training"]["loader"]["replay"]["segments"]
    assert {one["name"] for one in segments} == {path.name for path in (unstopped / "checkpoints" / "replay").iterdir()}
    assert segments[-1]["last"] == 3 * 64 // 2 - 1  # more than the buffer's 32 of each environment


def test_resume_rejects_missing_replay_segments(unstopped, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(unstopped, folder)
    last = (folder / "checkpoints" / "last.ckpt").read_bytes()
    gone = sorted((folder / "checkpoints" / "replay").iterdir())[-1]
    gone.unlink()
    with pytest.raises(ZooError, match=f"{gone.name}: a part of the replay buffer is missing; copy the complete run"):
        zoo.resume(folder, games(), report=False, **{"trainer.max_epochs": 4})
    assert (folder / "checkpoints" / "last.ckpt").read_bytes() == last
    shutil.copy(unstopped / "checkpoints" / "replay" / gone.name, gone)
    assert zoo.resume(folder, games(), report=False, **{"trainer.max_epochs": 4}).results["epochs"] == 4


class Killed(BaseException):
    """Ends a run as SIGKILL does: nothing that is on disk is tidied."""


@pytest.mark.parametrize("moment", ["before the segment", "before last.ckpt", "before the old segments go"])
def test_resume_with_full_replay_buffer_is_bit_equal(unstopped, tmp_path, monkeypatch, moment):
    """The run is killed in its tenth write of last.ckpt, when the ring has come round."""
    folder, writes = tmp_path / "run", 0
    save_last, save = Checkpoints._save_last, Checkpoints._save

    def counted(self, trainer, module):
        nonlocal writes
        writes += 1
        save_last(self, trainer, module)

    def killed_at(when):
        if writes == 10 and when == moment:
            raise Killed

    def saved(self, trainer, path, **options):
        killed_at("before last.ckpt" if path == self.last else "")
        save(self, trainer, path, **options)

    def before(method, when):
        def call(self, *arguments, **options):
            killed_at(when)
            return method(self, *arguments, **options)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "_save_last", counted)
        patch.setattr(Checkpoints, "_save", saved)
        patch.setattr(ReplayBuffer, "write", before(ReplayBuffer.write, "before the segment"))
        patch.setattr(ReplayBuffer, "drop", before(ReplayBuffer.drop, "before the old segments go"))
        often = {"checkpoint.every_n_steps": 2}
        with pytest.raises(Killed):
            zoo.train("dqn", games(), model_kwargs=OPTIONS, report=False, **QUICK, **often, run_dir=str(folder))
    zoo.resume(folder, games(), report=False)
    expected, got = weights(unstopped), weights(folder)
    assert expected.keys() == got.keys()
    assert all(torch.equal(expected[name], got[name]) for name in expected)
