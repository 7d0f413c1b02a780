"""Environments: what a policy acts in, made by gymnasium, many of them side by side."""

from __future__ import annotations

import contextlib
import inspect
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor

from zoo.config.schema import check_choice, check_number
from zoo.data.dataset import Batch, Card
from zoo.data.environment.read import observation_axes, observations
from zoo.data.environment.replay_buffer import ReplayBuffer
from zoo.data.environment.snapshots import restored, snapshot
from zoo.data.environment.spaces import described, episode_seeds, make, make_vector, message_of, native, silent
from zoo.data.environment.spec import EnvironmentReading, EnvironmentSpec
from zoo.data.input_readers import to_float
from zoo.data.loader import SINGLE, Share
from zoo.exceptions import TrainingError, ZooError, install
from zoo.registry import register_data
from zoo.utils.precision import widest_dtype

# What a policy says of observations (N, *shape): "action", in the environment's own units, and what learning wants kept
Actor = Callable[..., dict[str, Tensor]]
GYMNASIUM = Card(
    source="https://gymnasium.farama.org",
    licence="MIT",
    citation="Towers et al.: Gymnasium: a standard interface for reinforcement learning environments, 2024",
)
FOREVER = 100_000  # steps after which an episode of an evaluation has gone wrong
LARGEST = float(np.finfo(np.float32).max)  # of a reward
CHECKED = 3  # steps in which gymnasium's own checks warn
LOOKED_AT = 128  # observations of random play that stand for the environment's rows


@dataclass(frozen=True, kw_only=True)
class EnvironmentOptions:
    """How an environment is played, in training and in evaluation.

    Args:
        envs: environments that are played side by side
        rollout: steps of each environment between two updates
        epoch_steps: steps of all environments together that count as an epoch
        val_episodes: episodes of validation
        test_episodes: episodes of the test
        vectorization: auto (the environment's own, where it has one), sync, or async (a process each)
        memory: steps in the replay buffer of an off-policy model
        warmup: steps before an off-policy model begins to learn
    """

    envs: int = 64
    rollout: int = 64
    epoch_steps: int = 8192
    val_episodes: int = 20
    test_episodes: int = 100
    vectorization: str = "auto"
    memory: int = 100_000
    warmup: int = 1000


@dataclass(frozen=True, kw_only=True)
class Environments(EnvironmentOptions):
    """An environment as a data set: rows are episodes, each of a seed; those of training are played as it goes on."""

    spec: EnvironmentSpec
    identity: str
    options: dict[str, Any] = field(default_factory=dict)
    card: Card = GYMNASIUM
    frame_channels: int = 0  # of an image, new in each step; 0: all, no frames are stacked

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Steps in an epoch, episodes of validation and of test."""
        return self.epoch_steps, self.val_episodes, self.test_episodes

    @property
    def batches(self) -> int:
        """Rollouts in an epoch."""
        return self.epoch_steps // (self.envs * self.rollout)

    @property
    def described(self) -> str:
        """What a run says of it."""
        shape = "×".join(map(str, self.spec.input_shape))
        acts = f"{len(self.spec.classes)} actions" if self.spec.classes else f"actions of {len(self.spec.low)}"
        return f"observations of {shape}, {acts}, {self.envs} side by side"

    @property
    def train(self) -> dict[str, Tensor]:
        """Observations of random play, which stand for the environment's rows."""
        return {"x": observed(self, "train")}

    @property
    def val(self) -> dict[str, Tensor]:
        """The same from validation's seeds."""
        return {"x": observed(self, "val")}

    @property
    def test(self) -> dict[str, Tensor]:
        """The same from the test's seeds."""
        return {"x": observed(self, "test")}

    def vector(self, count: int) -> Any:
        """Return so many environments side by side."""
        return make_vector(self.identity, count, self.vectorization, self.options)

    @property
    def one_generator(self) -> bool:
        """Whether environments side by side draw from one generator, which takes one seed."""
        return self.vectorization == "auto" and native(self.identity)

    def seeds(self, part: str, count: int, *, seed: int = 0) -> list[int]:
        """Return seeds of a part's environments or episodes; no other part has them."""
        return episode_seeds(part, count, seed=seed)

    def filmed(self, actor: Actor, *, most: int = 500, seed: int = 0) -> Tensor | None:
        """Return the frames of ``record``, or None after a note that says why there are none."""
        try:
            return self.record(actor, most=most, seed=seed)
        except ZooError as error:
            print(f"note: no film of an episode; {error}", file=sys.stderr, flush=True)
            return None

    def record(self, actor: Actor, *, most: int = 500, seed: int = 0, window: bool = False) -> Tensor | None:
        """Return frames (T, H, W, 3) of an episode that ``actor`` plays, up to ``most``.

        In a ``window`` it is shown as it is played, and nothing returned.

        Raises:
            ZooError: the environment renders nothing, or fails.
        """
        if not window:
            os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # pygame draws where no screen is
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
        one = make(self.identity, self.options, render_mode="human" if window else "rgb_array")
        frames: list[np.ndarray | None] = []
        try:
            with silent():
                shown, _ = self._tried("reset", one.reset, seed=self.seeds("film", seed + 1)[seed])
                frames, over = [_picture(self._tried("render", one.render))], False
                while not over and len(frames) < most:
                    action = actor(to_float(observations(self.spec, np.asarray(shown)[None])))["action"].cpu().numpy()
                    action = in_space(self.spec, one.action_space, action)[0]
                    shown, _, terminated, truncated, _ = self._tried("step", one.step, action)
                    frames.append(_picture(self._tried("render", one.render)))
                    over = bool(terminated or truncated)
        finally:
            with contextlib.suppress(Exception):
                one.close()
        if window:
            return None
        pictures = [frame for frame in frames if frame is not None]
        if not pictures or any(frame.shape != pictures[0].shape for frame in pictures):
            raise ZooError(f"environment {self.identity} renders no pictures in the mode rgb_array")
        return torch.from_numpy(np.stack(pictures))

    def _tried(self, place: str, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        try:
            return call(*arguments, **options)
        except Exception as error:
            lacks = f"; {install('render')}" if type(error).__name__ == "DependencyNotInstalled" else ""
            raise ZooError(f"environment {self.identity}: {place} raised {message_of(error)}{lacks}") from None


def _picture(drawn: Any) -> np.ndarray | None:
    """Return a rendered frame as bytes (H, W, 3); None where it is no picture."""
    frame = np.asarray(drawn) if isinstance(drawn, (np.ndarray, Tensor)) else None
    if frame is None or frame.ndim not in (2, 3) or frame.dtype.kind not in "buif":
        return None
    if frame.dtype != np.uint8:
        frame = (frame * (255 if frame.max(initial=0) <= 1 else 1)).clip(0, 255).astype(np.uint8)
    frame = frame[..., None] if frame.ndim == 2 else frame
    return frame[..., :3] if frame.shape[2] >= 3 else frame[..., :1].repeat(3, 2)


def in_space(spec: EnvironmentSpec, space: Any, action: np.ndarray) -> np.ndarray:
    """Return actions (N, …) as an environment takes them: classes from its first one, numbers within its limits."""
    if spec.classes:
        return action.astype(np.int64) + int(spec.classes[0])
    found: np.ndarray = np.clip(action.astype(space.dtype), space.low, space.high)
    return found


class Play:
    """Environments that go on from step to step. Where an episode has ended the next step only begins another one.

    ``fresh`` tells in which that is so (gymnasium's autoreset of the next step): an action there is ignored.
    """

    def __init__(self, games: Environments, count: int, seeds: list[int]) -> None:
        self.games, self.count, self.steps = games, count, 0
        self.vector = games.vector(count)
        try:
            with silent():
                shown = self.vector.reset(seed=seeds[0] if games.one_generator else seeds)[0]
        except Exception as error:
            raise self._broken(f"raised {message_of(error)}", None) from None
        self.observation = self._checked(shown, None)
        self.fresh = np.zeros(count, bool)
        self.returns, self.lengths = np.zeros(count), np.zeros(count, int)

    def step(self, action: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return reward, terminated and truncated (count,) of an action of each (count, …); those of classes from 0.

        Raises:
            TrainingError: an environment crashed, or answered with what it should not.
        """
        self.steps += 1
        try:
            with silent() if self.steps < CHECKED or self.games.vectorization == "async" else contextlib.nullcontext():
                observation, reward, terminated, truncated, _ = self.vector.step(
                    in_space(self.games.spec, self.vector.single_action_space, action)
                )
            reward = np.asarray(reward, np.float64)
        except Exception as error:
            raise self._broken(f"raised {message_of(error)}", action) from None
        self.observation = self._checked(observation, action)
        if reward.shape != (self.count,) or not (np.abs(reward) <= LARGEST).all():
            raise self._broken(f"gave the reward {reward.tolist()}; must be a finite number each", action)
        self.returns = np.where(self.fresh, 0.0, self.returns + reward)
        self.lengths = np.where(self.fresh, 0, self.lengths + 1)
        self.fresh = np.asarray(terminated | truncated)
        return reward, np.asarray(terminated), np.asarray(truncated)

    def _checked(self, observation: Any, action: np.ndarray | None) -> Tensor:
        """Return observations (count, *input_shape) as they are kept: bytes as bytes."""
        shown = np.asarray(observation)
        shape, axes = self.games.spec.input_shape, observation_axes(self.games.spec)
        found = observations(self.games.spec, shown) if shown.ndim == axes + 1 else torch.from_numpy(shown)
        if found.shape != (self.count, *shape):
            raise self._broken(f"shows {tuple(found.shape[1:])}; must be {shape}, as it said", action)
        if found.is_floating_point() and not bool(torch.isfinite(found).all()):  # also of what float32 cannot hold
            raise self._broken("shows NaN or infinity", action)
        return found

    def _broken(self, said: str, action: np.ndarray | None) -> TrainingError:
        where = "in reset" if action is None else f"at step {self.steps}, after the actions {action.tolist()}"
        return TrainingError(f"environment {self.games.identity} {said} {where[:300]}")

    def close(self) -> None:
        """End the environments, and the processes that they are in."""
        with contextlib.suppress(Exception):  # one that crashed cannot be closed
            self.vector.close()

    def state_dict(self) -> dict[str, Any]:
        """Return where it stands, as primitives and tensors; ``inside`` is None where the environment cannot tell."""
        own = {name: torch.from_numpy(getattr(self, name).copy()) for name in ("fresh", "returns", "lengths")}
        return {**own, "observation": self.observation.clone(), "steps": self.steps, "inside": snapshot(self.vector)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Stand where ``state_dict`` was called."""
        restored(self.vector, state["inside"])
        self.observation, self.steps = state["observation"].clone(), state["steps"]
        for name in ("fresh", "returns", "lengths"):
            setattr(self, name, state[name].numpy().copy())


class Rollout:
    """One training batch, played while it is asked for; empty where a resumed epoch has it behind it."""

    def __init__(self, loader: RolloutLoader, rows: int) -> None:
        self.loader, self.sizes = loader, [rows] if rows else []

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batch."""
        loader = self.loader
        for _ in self.sizes:
            batch = loader.played()
            number = loader.batch + 1
            loader.epoch, loader.batch = (loader.epoch, number) if number < loader.batches else (loader.epoch + 1, 0)
            yield batch


class RolloutLoader:
    """Training batches: ``rollout`` steps of each environment, T of N, with the actions of ``actor``.

    A batch has ``x`` (T·N, *input_shape), time first, ``last`` (N, *input_shape), what is seen after the last step,
    ``reward``, ``terminated``, ``ended`` (or truncated) and ``valid`` (T, N), all that the actor said, by its names,
    (T, N, …), and ``finished``, the returns of the episodes that ended in it. A step that is not valid only began an
    episode. Several processes have environments of their own.

    Where the model ``off_policy``, all steps go into the ``replay`` buffer, which the batch has too once they are more
    than the environment's ``warmup``; ``x`` is then as observations are kept, images as bytes.
    """

    def __init__(
        self,
        games: Environments,
        *,
        seed: int,
        batch_size: int,
        off_policy: bool = False,
        share: Share = SINGLE,
        device: torch.device | str = "cpu",
    ) -> None:
        self.games, self.seed, self.share, self.device = games, seed, share, torch.device(device)
        self.batches, self.batch_size = games.batches, batch_size
        self.rows = games.envs * games.rollout
        self.epoch = self.batch = 0
        self.actor: Actor | None = None
        count, channels = games.envs // share.world, games.frame_channels
        self.replay = ReplayBuffer(games.memory, count, frame_channels=channels, device=device) if off_policy else None
        self.folder: Path | None = None  # of the replay buffer's segments
        self._play: Play | None = None

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[Rollout]:
        """Yield the epoch's batches; those before the place where it begins are empty."""
        begin = self.batch
        for number in range(self.batches):
            yield Rollout(self, self.rows if number >= begin else 0)

    @property
    def play(self) -> Play:
        """The environments, made when they are first needed."""
        if self._play is None:
            count = self.games.envs // self.share.world
            seeds = self.games.seeds("train", self.games.envs, seed=self.seed)
            self._play = Play(self.games, count, seeds[count * self.share.rank :][:count])
        return self._play

    def close(self) -> None:
        """End the environments."""
        if self._play is not None:
            self._play.close()

    def played(self) -> Batch:
        """Return a batch."""
        assert self.actor is not None
        play, steps, count = self.play, self.games.rollout, self.play.count
        x = torch.empty(steps, count, *self.games.spec.input_shape, dtype=play.observation.dtype)
        numbers = {name: np.zeros((steps, count), np.float32) for name in ("reward", "terminated", "ended", "valid")}
        kept: dict[str, list[Tensor]] = {}
        finished: list[float] = []
        for t in range(steps):
            x[t] = play.observation
            numbers["valid"][t] = ~play.fresh
            said = self.actor(to_float(play.observation.to(self.device)))
            for name, value in said.items():
                kept.setdefault(name, []).append(value)
            reward, terminated, _ = play.step(said["action"].cpu().numpy())
            numbers["reward"][t], numbers["terminated"][t] = reward, terminated
            numbers["ended"][t] = play.fresh
            finished += play.returns[play.fresh].tolist()
        here = {name: torch.from_numpy(value) for name, value in numbers.items()}
        acted = {name: torch.stack(values) for name, values in kept.items()}
        here["finished"] = torch.tensor(finished, dtype=widest_dtype(self.device))
        batch = {name: value.to(self.device) for name, value in here.items()} | acted
        if self.replay is None:
            seen = {"x": x.flatten(0, 1), "last": play.observation}
            return batch | {name: to_float(value.to(self.device)) for name, value in seen.items()}
        self.replay.add({**here, "x": x, "taken": acted["taken"]})
        ready = len(self.replay) > self.games.warmup // self.share.world
        return batch | {"x": x.flatten(0, 1).to(self.device)} | ({"replay": self.replay} if ready else {})

    def write_replay(self) -> None:
        """Write the steps of the replay buffer that are not in ``folder`` yet; ``state_dict`` then names them."""
        if self.replay is not None and self.folder is not None:
            self.replay.write(self.folder, rank=self.share.rank)

    def drop_replay(self) -> None:
        """Delete the segments that the checkpoint, which is written by now, does not name any more."""
        if self.replay is not None and self.folder is not None:
            self.replay.drop(self.folder, rank=self.share.rank)

    def state_dict(self) -> dict[str, Any]:
        """Return the place of the batch that comes next, where the environments stand, and the buffer's segments."""
        state: dict[str, Any] = {"epoch": self.epoch, "batch": self.batch}
        state["play"] = self._play.state_dict() if self._play else None
        return state | ({"replay": self.replay.state_dict()} if self.replay is not None else {})

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there, with new episodes where an environment cannot tell where it stands.

        Raises:
            ZooError: a segment of the replay buffer is missing or damaged.
        """
        self.epoch, self.batch = state["epoch"], state["batch"]
        play = state.get("play")
        if play and self.replay is not None and self.folder is not None:
            if "replay" not in state:
                raise ZooError(
                    f"{self.folder.parent}: holds the replay buffer of an older zoo, which this one cannot read"
                )
            self.replay.load(state["replay"], self.folder, rank=self.share.rank)
        if play and play["inside"] is not None:
            self.play.load_state_dict(play)
        elif play:
            if self.replay is not None:
                self.replay.cut(play["observation"])
            print(f"note: {self.games.identity} cannot be taken up where it was; new episodes begin", flush=True)


class EpisodeLoader:
    """The episodes of validation or test, each of a seed of its own, played by whom the batch is given to.

    The batch has their numbers, ``row``, and ``play(actor)``, which returns their ``return`` and ``length`` (E,).
    """

    def __init__(
        self, games: Environments, part: str, *, share: Share = SINGLE, device: torch.device | str = "cpu"
    ) -> None:
        self.count = {"val": games.val_episodes, "test": games.test_episodes}[part]
        self.games, self.device = games, torch.device(device)
        self.rows = torch.arange(share.rank, self.count, share.world)
        seeds = games.seeds(part, self.count)
        self.seeds = [seeds[row] for row in self.rows.tolist()]

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[dict[str, Any]]:
        yield {"row": self.rows, "count": self.count, "play": self.play}

    def play(self, actor: Actor, *, stop: Callable[[], bool] = lambda: False) -> dict[str, Tensor]:
        """Return ``return`` and ``length`` (E,) of the episodes that ``actor`` plays, up to where it is to ``stop``.

        Raises:
            TrainingError: an episode never ends.
        """
        if not self.seeds:  # more processes than episodes
            nothing = torch.zeros(0, dtype=widest_dtype(self.device), device=self.device)
            return {"return": nothing, "length": nothing}
        with contextlib.closing(Play(self.games, len(self.seeds), self.seeds)) as play:
            returns, lengths = self._episodes(play, actor, stop)
        found = {"return": torch.from_numpy(returns), "length": torch.from_numpy(lengths)}
        return {name: value.to(widest_dtype(self.device)).to(self.device) for name, value in found.items()}

    def _episodes(self, play: Play, actor: Actor, stop: Callable[[], bool]) -> tuple[np.ndarray, np.ndarray]:
        over = np.zeros(play.count, bool)
        returns, lengths = np.zeros(play.count), np.zeros(play.count)
        while not over.all() and not stop():
            play.step(actor(to_float(play.observation.to(self.device)))["action"].cpu().numpy())
            now = play.fresh & ~over
            returns[now], lengths[now] = play.returns[now], play.lengths[now]
            over |= now
            if play.steps > FOREVER:
                raise TrainingError(
                    f"environment {self.games.identity}: an episode goes on after {FOREVER:,} steps; register it with "
                    f"max_episode_steps"
                )
        return returns, lengths


class EnvironmentData(L.LightningDataModule):
    """Environments as Lightning takes them; training, validation and test have each their own."""

    def __init__(self, games: Environments, *, batch_size: int, seed: int, off_policy: bool = False) -> None:
        super().__init__()
        self.dataset, self.batch_size, self.seed, self.off_policy = games, batch_size, seed, off_policy
        self._training: RolloutLoader | None = None

    @property
    def _where(self) -> dict[str, Any]:
        if not self.trainer:
            return {}
        share = Share(self.trainer.global_rank, self.trainer.world_size)
        return {"share": share, "device": self.trainer.strategy.root_device}

    def train_dataloader(self) -> RolloutLoader:
        """Return the training batches."""
        asked = {"seed": self.seed, "batch_size": self.batch_size, "off_policy": self.off_policy}
        self._training = RolloutLoader(self.dataset, **asked, **self._where)
        return self._training

    def teardown(self, stage: str) -> None:
        """End the environments of training."""
        if stage == "fit" and self._training is not None:
            self._training.close()

    def on_exception(self, exception: BaseException) -> None:
        """End the environments of training."""
        self.teardown("fit")

    def val_dataloader(self) -> EpisodeLoader:
        """Return validation's episodes."""
        return EpisodeLoader(self.dataset, "val", **self._where)

    def test_dataloader(self) -> EpisodeLoader:
        """Return the test's episodes."""
        return EpisodeLoader(self.dataset, "test", **self._where)

    def first_batch(self) -> Batch:
        """Return observations."""
        return {"x": self.dataset.train["x"]}

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Return the batch as it is."""
        return batch


def observed(games: Environments, part: str) -> Tensor:
    """Return LOOKED_AT observations of random play."""
    seeds = games.seeds(part, 1)
    first, found = int(games.spec.classes[0]) if games.spec.classes else 0, []
    with contextlib.closing(Play(games, 1, seeds)) as play:
        play.vector.action_space.seed(seeds[0])
        for _ in range(LOOKED_AT):
            found.append(play.observation[0])
            play.step(play.vector.action_space.sample() - first)
    return to_float(torch.stack(found))


def environments(
    name: str, identity: str, action_space: str | None, *, options: dict[str, Any] | None = None, **settings: Any
) -> Environments:
    """Return an environment of gymnasium as a data set; ``action_space`` None: as it is.

    Raises:
        ZooError: unknown, not installed, or with observations or actions of another kind.
    """
    settings = {**{one.name: one.default for one in fields(EnvironmentOptions)}, **settings}
    check_choice("data.vectorization", settings["vectorization"], ("auto", "sync", "async"))
    for option in ("envs", "rollout", "epoch_steps", "val_episodes", "test_episodes"):
        check_number(f"data.{option}", settings[option], low=1, integer=True)
    for option in ("memory", "warmup"):
        check_number(f"data.{option}", settings[option], low=0, integer=True)
    shown = described(identity, options)
    channels = shown.pop("frame_channels")
    reading = EnvironmentReading(shown.pop("image_layout", ""), shown.pop("image_scale", 1.0))
    spec = EnvironmentSpec(name=name, task="control", reading=reading, **shown)
    if action_space not in (None, spec.action_space):
        raise ZooError(
            f"data={name}: {identity} takes {spec.action_space} actions; data.action_space={spec.action_space}"
        )
    made = Environments(spec=spec, identity=identity, options=dict(options or {}), frame_channels=channels, **settings)
    each = made.envs * made.rollout
    if made.epoch_steps % each:
        raise ZooError(
            f"data.epoch_steps={made.epoch_steps}: must be a multiple of data.envs · data.rollout = {each}; "
            f"{max(round(made.epoch_steps / each), 1) * each} is near"
        )
    return made


def check_replay(games: Environments, *, n_step: int) -> None:
    """Raise ZooError where a replay buffer is so small that nothing would ever be learned from it."""
    least = max(games.warmup + 1, (n_step + 2) * games.envs)
    if games.memory // games.envs * games.envs < least:
        raise ZooError(
            f"data.memory={games.memory}: must be more than data.warmup={games.warmup} and at least {n_step + 2} steps "
            f"of each of data.envs={games.envs}; data.memory={-(-least // games.envs) * games.envs}"
        )


def _register(name: str, identity: str, action_space: str | None) -> Callable[..., Environments]:
    """Register an environment; its options are ``env`` and the settings of Environments."""

    def load(*, env: str = identity, **settings: Any) -> Environments:
        if not env:
            raise ZooError("data=gym: needs data.env=, an id of gymnasium, or module:id where a module registers it")
        return environments(name, env, action_space, **settings)

    options = [("env", identity), *((one.name, one.default) for one in fields(EnvironmentOptions))]
    keyword = inspect.Parameter.KEYWORD_ONLY
    load.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(option, keyword, default=value) for option, value in options]
    )
    load.__name__ = load.__qualname__ = name
    load.__doc__ = f"Return gymnasium's {identity or 'environment of any id'}."
    return register_data(name, tasks=("control",), modality="environment", action_space=action_space)(load)


cartpole = _register("cartpole", "CartPole-v1", "discrete")
acrobot = _register("acrobot", "Acrobot-v1", "discrete")
mountain_car = _register("mountain_car", "MountainCar-v0", "discrete")
pendulum = _register("pendulum", "Pendulum-v1", "continuous")
lunar_lander = _register("lunar_lander", "LunarLander-v3", "discrete")
mujoco = _register("mujoco", "HalfCheetah-v5", "continuous")
gym = _register("gym", "", None)
