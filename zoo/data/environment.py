"""Environments: what a policy acts in, made by gymnasium, many of them side by side."""

from __future__ import annotations

import functools
import importlib
import inspect
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor

from zoo.data.dataset import Batch, Card
from zoo.data.loader import SINGLE, Share
from zoo.data.replay import Memory
from zoo.data.snapshots import restored, snapshot
from zoo.errors import TrainingError, ZooError
from zoo.inputs.base import to_float
from zoo.options import check_choice, check_number
from zoo.registry import register_data
from zoo.spec import DataSpec

# What a policy says of observations (N, *shape): "action", in the environment's own units, and what learning wants kept
Actor = Callable[..., dict[str, Tensor]]
GYMNASIUM = Card(
    source="https://gymnasium.farama.org",
    licence="MIT",
    citation="Towers et al.: Gymnasium: a standard interface for reinforcement learning environments, 2024",
)
SEEDS = {"train": 0, "val": 1_000_000, "test": 2_000_000}  # from which each part's episodes are drawn
FOREVER = 100_000  # steps after which an episode of an evaluation has gone wrong
LOOKED_AT = 128  # observations of random play that stand for the environment's rows


@dataclass(frozen=True)
class Environments:
    """An environment as a data set: rows are episodes, each of a seed; those of training are played as it goes on.

    ``envs`` of them are played side by side, ``rollout`` steps of each between two updates; ``epoch_steps`` steps of
    all together count as an epoch. For models that learn from what they remember, that are the last ``memory`` steps,
    and learning begins after ``warmup``.
    """

    spec: DataSpec
    identity: str
    envs: int = 64
    rollout: int = 64
    epoch_steps: int = 8192
    val_episodes: int = 20
    test_episodes: int = 100
    vectorization: str = "auto"
    memory: int = 100_000
    warmup: int = 1000
    options: dict[str, Any] = field(default_factory=dict)
    card: Card = GYMNASIUM

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
        import gymnasium

        mode = self.vectorization
        if mode == "auto":
            mode = "vector_entry_point" if _native(self.identity) else "sync"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return gymnasium.make_vec(self.identity, num_envs=count, vectorization_mode=mode, **self.options)

    def filmed(self, actor: Actor, *, most: int = 500, seed: int = 0, window: bool = False) -> Tensor | None:
        """Return frames (T, H, W, 3) of an episode that ``actor`` plays, up to ``most``; None where none are drawn.

        In a ``window`` it is shown as it is played, and nothing returned.
        """
        import gymnasium

        if not window:
            os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # pygame draws where no screen is
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                one = gymnasium.make(self.identity, render_mode="human" if window else "rgb_array", **self.options)
                seen, _ = one.reset(seed=SEEDS["test"] + seed)
                frames, over = [one.render()], False
                while not over and len(frames) < most:
                    action = actor(as_read(self.spec, np.asarray(seen)[None]))["action"][0].cpu().numpy()
                    action = action + int(self.spec.classes[0]) if self.spec.classes else action
                    seen, _, terminated, truncated, _ = one.step(action)
                    frames.append(one.render())
                    over = terminated or truncated
                one.close()
        except (gymnasium.error.Error, ImportError, NotImplementedError, AttributeError) as error:
            if isinstance(error, gymnasium.error.DependencyNotInstalled):
                print('note: no film of an episode; pip install "zoo[render]"', file=sys.stderr)
            return None
        pictures = [frame for frame in frames if isinstance(frame, np.ndarray) and frame.ndim == 3]
        return torch.from_numpy(np.stack(pictures)) if pictures else None


class Play:
    """Environments that go on from step to step. Where an episode has ended the next step only begins another one.

    ``fresh`` tells in which that is so (gymnasium's autoreset of the next step): an action there is ignored.
    """

    def __init__(self, games: Environments, count: int, seed: int | list[int]) -> None:
        self.games, self.count, self.steps = games, count, 0
        self.first = int(games.spec.classes[0]) if games.spec.classes else 0  # gymnasium's may begin elsewhere
        self.vector = games.vector(count)
        self.observation = self._checked(self.vector.reset(seed=seed)[0], None)
        self.fresh = np.zeros(count, bool)
        self.returns, self.lengths = np.zeros(count), np.zeros(count, int)

    def step(self, action: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return reward, terminated and truncated (count,) of an action of each (count, …); those of classes from 0.

        Raises:
            TrainingError: an environment crashed, or answered with what it should not.
        """
        self.steps += 1
        try:
            observation, reward, terminated, truncated, _ = self.vector.step(action + self.first)
        except Exception as error:
            raise self._broken(
                f"raised {type(error).__name__} ({' '.join(str(error).split())[:200]})", action
            ) from None
        self.observation = self._checked(observation, action)
        reward = np.asarray(reward, np.float64)
        if reward.shape != (self.count,) or not np.isfinite(reward).all():
            raise self._broken(f"gave the reward {reward.tolist()}; must be a finite number each", action)
        self.returns = np.where(self.fresh, 0.0, self.returns + reward)
        self.lengths = np.where(self.fresh, 0, self.lengths + 1)
        self.fresh = np.asarray(terminated | truncated)
        return reward, np.asarray(terminated), np.asarray(truncated)

    def _checked(self, observation: Any, action: np.ndarray | None) -> Tensor:
        """Return observations (count, *input_shape) as a network reads them."""
        seen = np.asarray(observation)
        if seen.dtype.kind == "f" and not np.isfinite(seen).all():
            raise self._broken("shows NaN or infinity", action)
        found, shape = as_read(self.games.spec, seen), self.games.spec.input_shape
        if found.shape != (self.count, *shape):
            raise self._broken(f"shows {tuple(found.shape[1:])}; must be {shape}, as it said", action)
        return found

    def _broken(self, said: str, action: np.ndarray | None) -> TrainingError:
        where = "when it began" if action is None else f"at step {self.steps}, after the actions {action.tolist()}"
        return TrainingError(f"environment {self.games.identity} {said} {where[:300]}")

    def state_dict(self) -> dict[str, Any] | None:
        """Return where it stands, as primitives and tensors; None where the environment cannot tell."""
        inside = snapshot(self.vector)
        if inside is None:
            return None
        mine = {name: torch.from_numpy(getattr(self, name).copy()) for name in ("fresh", "returns", "lengths")}
        return {**mine, "observation": self.observation.clone(), "steps": self.steps, "inside": inside}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Stand where ``state_dict`` was taken."""
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

    Where the model ``remembers``, all steps go into ``memory``, which the batch has too once they are more than the
    environment's ``warmup``.
    """

    def __init__(
        self,
        games: Environments,
        *,
        seed: int,
        batch_size: int,
        remembers: bool = False,
        share: Share = SINGLE,
        device: torch.device | str = "cpu",
    ) -> None:
        self.games, self.seed, self.share, self.device = games, seed, share, torch.device(device)
        self.batches, self.batch_size = games.batches, batch_size
        self.rows = games.envs * games.rollout
        self.epoch = self.batch = 0
        self.actor: Actor | None = None
        self.memory = Memory(games.memory, games.envs // share.world, device=device) if remembers else None
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
            first = SEEDS["train"] + 10_000 * self.seed + count * self.share.rank
            self._play = Play(self.games, count, first)
        return self._play

    def played(self) -> Batch:
        """Return a batch."""
        assert self.actor is not None
        play, steps, count = self.play, self.games.rollout, self.play.count
        x = torch.empty(steps, count, *self.games.spec.input_shape)
        numbers = {name: np.zeros((steps, count), np.float32) for name in ("reward", "terminated", "ended", "valid")}
        kept: dict[str, list[Tensor]] = {}
        finished: list[float] = []
        for t in range(steps):
            x[t] = play.observation
            numbers["valid"][t] = ~play.fresh
            said = self.actor(play.observation.to(self.device))
            for name, value in said.items():
                kept.setdefault(name, []).append(value)
            reward, terminated, _ = play.step(said["action"].cpu().numpy())
            numbers["reward"][t], numbers["terminated"][t] = reward, terminated
            numbers["ended"][t] = play.fresh
            finished += play.returns[play.fresh].tolist()
        batch = {
            "x": x.flatten(0, 1),
            "last": play.observation,
            "finished": torch.tensor(finished, dtype=torch.float64),
        }
        batch |= {name: torch.from_numpy(value) for name, value in numbers.items()}
        batch |= {name: torch.stack(values) for name, values in kept.items()}
        found = {name: value.to(self.device) for name, value in batch.items()}
        if self.memory is not None:
            self.memory.add({**found, "x": x})
            found |= {"memory": self.memory} if len(self.memory) > self.games.warmup // self.share.world else {}
        return found

    def state_dict(self) -> dict[str, Any]:
        """Return the place of the batch that comes next, where the environments stand, and what is remembered."""
        state: dict[str, Any] = {"epoch": self.epoch, "batch": self.batch}
        state["play"] = self._play.state_dict() if self._play else None
        return state | ({"memory": self.memory.state_dict()} if self.memory else {})

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there, with new episodes where an environment cannot tell where it stands."""
        self.epoch, self.batch = state["epoch"], state["batch"]
        if self.memory is not None and "memory" in state:
            self.memory.load_state_dict(state["memory"])
        if state.get("play"):
            self.play.load_state_dict(state["play"])
        elif "play" in state and (state["epoch"] or state["batch"]):
            print(f"note: {self.games.identity} cannot be taken up where it was; new episodes begin", flush=True)


class EpisodeLoader:
    """The episodes of validation or test, each of a seed of its own, played by whom the batch is given to.

    The batch has their numbers, ``row``, and ``play(actor)``, which returns their ``return`` and ``length`` (E,).
    """

    def __init__(
        self, games: Environments, part: str, *, share: Share = SINGLE, device: torch.device | str = "cpu"
    ) -> None:
        count = {"val": games.val_episodes, "test": games.test_episodes}[part]
        self.games, self.device = games, torch.device(device)
        self.rows = torch.arange(share.rank, count, share.world)
        self.seeds = [SEEDS[part] + int(row) for row in self.rows]

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[dict[str, Any]]:
        yield {"row": self.rows, "play": self.play}

    def _begun(self) -> Play:
        many = self.games.vectorization == "auto" and _native(self.games.identity)  # one generator for all of them
        return Play(self.games, len(self.seeds), self.seeds[0] if many else self.seeds)

    def play(self, actor: Actor) -> dict[str, Tensor]:
        """Return ``return`` and ``length`` (E,) of the episodes that ``actor`` plays.

        Raises:
            TrainingError: an episode never ends.
        """
        play = self._begun()
        over = np.zeros(play.count, bool)
        returns, lengths = np.zeros(play.count), np.zeros(play.count)
        while not over.all():
            play.step(actor(play.observation.to(self.device))["action"].cpu().numpy())
            now = play.fresh & ~over
            returns[now], lengths[now] = play.returns[now], play.lengths[now]
            over |= now
            if play.steps > FOREVER:
                raise TrainingError(f"environment {self.games.identity}: an episode goes on after {FOREVER:,} steps")
        found = {"return": torch.from_numpy(returns), "length": torch.from_numpy(lengths)}
        return {name: value.to(self.device) for name, value in found.items()}


class EnvironmentData(L.LightningDataModule):
    """Environments as Lightning takes them; training, validation and test have each their own."""

    def __init__(self, games: Environments, *, batch_size: int, seed: int, remembers: bool = False) -> None:
        super().__init__()
        self.dataset, self.batch_size, self.seed, self.remembers = games, batch_size, seed, remembers

    @property
    def _where(self) -> dict[str, Any]:
        if not self.trainer:
            return {}
        share = Share(self.trainer.global_rank, self.trainer.world_size)
        return {"share": share, "device": self.trainer.strategy.root_device}

    def train_dataloader(self) -> RolloutLoader:
        """Return the training batches."""
        asked = {"seed": self.seed, "batch_size": self.batch_size, "remembers": self.remembers}
        return RolloutLoader(self.dataset, **asked, **self._where)

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


def as_read(spec: DataSpec, seen: np.ndarray) -> Tensor:
    """Return observations (N, …) as a network reads them: (N, *input_shape), images in [0, 1] with channels first."""
    if len(spec.input_shape) == 3 and seen.ndim == 4:
        seen = seen.transpose(0, 3, 1, 2)
    return to_float(torch.from_numpy(np.array(seen, seen.dtype if seen.dtype == np.uint8 else np.float32)))


@functools.lru_cache(maxsize=8)
def _native(identity: str) -> bool:
    import gymnasium

    module, _, name = identity.rpartition(":")
    if module:  # which registers it
        importlib.import_module(module)
    return gymnasium.spec(name).vector_entry_point is not None


def observed(games: Environments, part: str) -> Tensor:
    """Return LOOKED_AT observations of random play."""
    play = Play(games, 1, SEEDS[part])
    play.vector.action_space.seed(SEEDS[part])
    found = []
    for _ in range(LOOKED_AT):
        found.append(play.observation[0])
        play.step(play.vector.action_space.sample() - play.first)
    return torch.stack(found)


def environments(
    name: str, identity: str, kind: str | None, *, options: dict[str, Any] | None = None, **settings: Any
) -> Environments:
    """Return an environment of gymnasium as a data set; ``kind`` None is found out.

    Raises:
        ZooError: unknown, not installed, or with observations or actions of another kind.
    """
    check_choice("data.vectorization", settings["vectorization"], ("auto", "sync", "async"))
    for option in ("envs", "rollout", "epoch_steps", "val_episodes", "test_episodes"):
        check_number(f"data.{option}", settings[option], low=1, whole=True)
    for option in ("memory", "warmup"):
        check_number(f"data.{option}", settings.get(option, 1), low=0, whole=True)
    spec = _looked_at(name, identity, options or {})
    if kind not in (None, spec.kind):
        raise ZooError(f"data={name}: {identity} takes {spec.kind} actions; data.kind={spec.kind}")
    made = Environments(spec, identity, options=dict(options or {}), **settings)
    each = made.envs * made.rollout
    if made.epoch_steps % each:
        raise ZooError(
            f"data.epoch_steps={made.epoch_steps}: must be a multiple of data.envs · data.rollout = {each}; "
            f"{max(round(made.epoch_steps / each), 1) * each} is near"
        )
    return made


def _looked_at(name: str, identity: str, options: dict[str, Any]) -> DataSpec:
    """Return what an environment shows and takes."""
    import gymnasium
    from gymnasium.spaces import Box, Discrete

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            one = gymnasium.make(identity, **options)
    except (gymnasium.error.Error, ImportError, TypeError, ValueError) as error:
        extra = next((f'; pip install "zoo[{x}]"' for x in ("box2d", "mujoco") if x in str(error).lower()), "")
        said = "it needs more" if extra else " ".join(str(error).split())[:160]
        raise ZooError(f"data={name}: {identity} cannot be made ({said}){extra}") from None
    seen, acts = one.observation_space, one.action_space
    one.close()
    if not isinstance(seen, Box) or len(seen.shape) not in (1, 3):
        raise ZooError(f"data={name}: {identity} shows {seen}; must be a Box of one dimension, or an image")
    if not isinstance(acts, (Discrete, Box)) or (isinstance(acts, Box) and len(acts.shape) != 1):
        raise ZooError(f"data={name}: {identity} takes {acts}; must be Discrete, or a Box of one dimension")
    shape = tuple(seen.shape) if len(seen.shape) == 1 else (seen.shape[2], *seen.shape[:2])
    described: dict[str, Any] = {"name": name, "task": "control", "input_shape": shape}
    if isinstance(acts, Discrete):
        return DataSpec(
            kind="discrete", classes=tuple(str(int(acts.start) + n) for n in range(int(acts.n))), **described
        )
    if not (np.isfinite(acts.low).all() and np.isfinite(acts.high).all()):
        raise ZooError(f"data={name}: {identity} takes actions without bounds; must have low and high")
    low, high = (tuple(map(float, bound)) for bound in (acts.low, acts.high))
    return DataSpec(kind="continuous", low=low, high=high, **described)


def _register(name: str, identity: str, kind: str) -> Callable[..., Environments]:
    """Register an environment; its options are ``env`` and the settings of Environments."""

    def load(*, env: str = identity, **settings: Any) -> Environments:
        if not env:
            raise ZooError("data=gym: needs data.env=, an id of gymnasium, or module:id where a module registers it")
        asked = {**{one.name: one.default for one in SETTINGS}, **settings}
        return environments(name, env, None if name == "gym" else kind, **asked)

    options = [("env", identity), *((one.name, one.default) for one in SETTINGS)]
    keyword = inspect.Parameter.KEYWORD_ONLY
    load.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(option, keyword, default=value) for option, value in options]
    )
    load.__name__ = load.__qualname__ = name
    load.__doc__ = f"Return gymnasium's {identity or 'environment of any id'}."
    return register_data(name, tasks=("control",), kind=kind)(load)


SETTINGS = [one for one in fields(Environments) if one.name not in ("spec", "identity", "options", "card")]
cartpole = _register("cartpole", "CartPole-v1", "discrete")
acrobot = _register("acrobot", "Acrobot-v1", "discrete")
mountain_car = _register("mountain_car", "MountainCar-v0", "discrete")
pendulum = _register("pendulum", "Pendulum-v1", "continuous")
lunar_lander = _register("lunar_lander", "LunarLander-v3", "discrete")
mujoco = _register("mujoco", "HalfCheetah-v5", "continuous")
gym = _register("gym", "", "discrete")
