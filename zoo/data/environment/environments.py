"""Environments as data: made by gymnasium from an id, and registered by name."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Annotated, Any

import torch
from torch import Tensor

from zoo.config.schema import Count, Natural, check_options, one_of
from zoo.data.environment.spaces import describe, episode_seeds
from zoo.data.environment.spec import EnvironmentSpec
from zoo.data.environment.vector import VectorEnvironment
from zoo.data.input_readers import to_float
from zoo.exceptions import ZooError
from zoo.registry import register_data

RANDOM_STEPS = 128  # whose observations stand for the environment's rows


@dataclass(frozen=True, kw_only=True)
class EnvironmentOptions:
    """How an environment is used, in training and in evaluation.

    Args:
        num_envs: environments side by side
        num_steps: steps of each environment in a rollout, between two updates
        steps_per_epoch: steps of all environments together that count as an epoch
        n_val_episodes: episodes of validation
        n_test_episodes: episodes of the test
        vectorization: auto (the environment's own, where it has one), sync, or async (a process each)
        buffer_size: steps in the replay buffer of an off-policy model
        learning_starts: steps before an off-policy model begins to learn
    """

    num_envs: Count = 64
    num_steps: Count = 64
    steps_per_epoch: Count = 8192
    n_val_episodes: Count = 20
    n_test_episodes: Count = 100
    vectorization: Annotated[str, one_of(("auto", "sync", "async"))] = "auto"
    buffer_size: Natural = 100_000
    learning_starts: Natural = 1000


@dataclass(frozen=True, kw_only=True)
class Environments(EnvironmentOptions):
    """An environment as a data set: rows are episodes, each of a seed; those of training begin as it goes on."""

    spec: EnvironmentSpec
    env_id: str
    options: dict[str, Any] = field(default_factory=dict)
    frame_channels: int = 0  # of an image, new in each step; 0: all, no frames are stacked

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Steps in an epoch, episodes of validation and of test."""
        return self.steps_per_epoch, self.n_val_episodes, self.n_test_episodes

    @property
    def batches(self) -> int:
        """Rollouts in an epoch."""
        return self.steps_per_epoch // (self.num_envs * self.num_steps)

    @property
    def described(self) -> str:
        """The line that a run prints."""
        shape = "×".join(map(str, self.spec.input_shape))
        actions = f"{len(self.spec.classes)} actions" if self.spec.classes else f"actions of {len(self.spec.low)}"
        return f"observations of {shape}, {actions}, {self.num_envs} side by side"

    @property
    def train(self) -> dict[str, Tensor]:
        """Observations under random actions, which stand for the environment's rows."""
        return {"x": self._random_observations("train")}

    @property
    def val(self) -> dict[str, Tensor]:
        """The same from validation's seeds."""
        return {"x": self._random_observations("val")}

    @property
    def test(self) -> dict[str, Tensor]:
        """The same from the test's seeds."""
        return {"x": self._random_observations("test")}

    def with_val_as_test(self) -> Environments:
        """Return the environments, which have rows of neither."""
        return self

    def vector(self, seeds: Sequence[int]) -> VectorEnvironment:
        """Return environments side by side, one for each seed."""
        return VectorEnvironment(self.spec, self.env_id, seeds, vectorization=self.vectorization, options=self.options)

    def _random_observations(self, part: str) -> Tensor:
        seeds, observations = episode_seeds(part, 1), []
        first = int(self.spec.classes[0]) if self.spec.classes else 0
        with contextlib.closing(self.vector(seeds)) as environment:
            environment.envs.action_space.seed(seeds[0])
            for _ in range(RANDOM_STEPS):
                observations.append(environment.observation[0])
                environment.step(environment.envs.action_space.sample() - first)
        return to_float(torch.stack(observations))


def environments(
    name: str, env_id: str, action_space: str | None, *, options: dict[str, Any] | None = None, **settings: Any
) -> Environments:
    """Return an environment of gymnasium as a data set; ``action_space`` None: as it is.

    Raises:
        ZooError: unknown, not installed, or with observations or actions of another kind.
    """
    check_options(EnvironmentOptions, "data", settings)
    description = describe(env_id, options)
    channels = description.pop("frame_channels")
    spec = EnvironmentSpec(name=name, task="control", **description)
    if action_space not in (None, spec.action_space):
        raise ZooError(
            f"data={name}: {env_id} takes {spec.action_space} actions; data.action_space={spec.action_space}"
        )
    dataset = Environments(spec=spec, env_id=env_id, options=dict(options or {}), frame_channels=channels, **settings)
    rollout = dataset.num_envs * dataset.num_steps
    if dataset.steps_per_epoch % rollout:
        raise ZooError(
            f"data.steps_per_epoch={dataset.steps_per_epoch}: must be a multiple of data.num_envs · data.num_steps = "
            f"{rollout}; {max(round(dataset.steps_per_epoch / rollout), 1) * rollout} is near"
        )
    return dataset


def check_replay(dataset: Environments, *, n_step: int) -> None:
    """Raise ZooError where a replay buffer is so small that nothing would ever be learned from it."""
    least, num_envs = max(dataset.learning_starts + 1, (n_step + 2) * dataset.num_envs), dataset.num_envs
    if dataset.buffer_size // num_envs * num_envs < least:
        raise ZooError(
            f"data.buffer_size={dataset.buffer_size}: must be more than data.learning_starts={dataset.learning_starts} "
            f"and at least {n_step + 2} steps of each of data.num_envs={num_envs}; "
            f"data.buffer_size={-(-least // num_envs) * num_envs}"
        )


def _register(name: str, env_id: str, action_space: str | None) -> Callable[..., Environments]:
    """Register an environment; its options are ``env`` and the settings of Environments."""

    def load(*, env: str = env_id, **settings: Any) -> Environments:
        if not env:
            raise ZooError("data=gym: needs data.env=, an id of gymnasium, or module:id where a module registers it")
        return environments(name, env, action_space, **settings)

    options = [("env", env_id), *((one.name, one.default) for one in fields(EnvironmentOptions))]
    keyword = inspect.Parameter.KEYWORD_ONLY
    load.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(option, keyword, default=value) for option, value in options]
    )
    load.__name__ = load.__qualname__ = name
    load.__doc__ = f"Return gymnasium's {env_id or 'environment of any id'}."
    register_data(name, tasks=("control",), modality="environment", action_space=action_space)(load)
    return load


cartpole = _register("cartpole", "CartPole-v1", "discrete")
acrobot = _register("acrobot", "Acrobot-v1", "discrete")
mountain_car = _register("mountain_car", "MountainCar-v0", "discrete")
pendulum = _register("pendulum", "Pendulum-v1", "continuous")
lunar_lander = _register("lunar_lander", "LunarLander-v3", "discrete")
mujoco = _register("mujoco", "HalfCheetah-v5", "continuous")
gym = _register("gym", "", None)
