"""Gymnasium environments as datasets, registered by name."""

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

RANDOM_STEPS = 128  # observations that represent the environment as data


@dataclass(frozen=True, kw_only=True)
class EnvironmentOptions:
    """Options of an environment in training and evaluation.

    Args:
        num_envs: number of parallel environments
        num_steps: steps of each environment per rollout, between two updates
        steps_per_epoch: total steps of all environments per epoch
        n_val_episodes: number of validation episodes
        n_test_episodes: number of test episodes
        vectorization: auto (the environment's own vector version if it has one, otherwise sync) | sync | async (one
            process per environment)
        buffer_size: capacity of the replay buffer of an off-policy model, in steps
        learning_starts: steps before an off-policy model starts to learn
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
    """An environment as a dataset. Validation and test rows are episodes with fixed seeds.

    Training episodes start as training proceeds.
    """

    spec: EnvironmentSpec
    env_id: str
    options: dict[str, Any] = field(default_factory=dict)
    frame_channels: int = 0  # new image channels in each step; 0: all, without frame stacking

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Steps per epoch, validation episodes and test episodes."""
        return self.steps_per_epoch, self.n_val_episodes, self.n_test_episodes

    @property
    def batches(self) -> int:
        """Rollouts per epoch."""
        return self.steps_per_epoch // (self.num_envs * self.num_steps)

    @property
    def described(self) -> str:
        """One-line description for the output of a run."""
        shape = "×".join(map(str, self.spec.input_shape))
        actions = f"{len(self.spec.classes)} actions" if self.spec.classes else f"actions of {len(self.spec.low)}"
        return f"observations of {shape}, {actions}, {self.num_envs} parallel environments"

    @property
    def train(self) -> dict[str, Tensor]:
        """Observations under random actions, with a training seed."""
        return {"x": self._random_observations("train")}

    @property
    def val(self) -> dict[str, Tensor]:
        """Observations under random actions, with a validation seed."""
        return {"x": self._random_observations("val")}

    @property
    def test(self) -> dict[str, Tensor]:
        """Observations under random actions, with a test seed."""
        return {"x": self._random_observations("test")}

    def with_val_as_test(self) -> Environments:
        """Return the environments unchanged, because they have no validation or test rows."""
        return self

    def vector(self, seeds: Sequence[int]) -> VectorEnvironment:
        """Return parallel environments, one for each seed."""
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
    """Return a Gymnasium environment as a dataset. An ``action_space`` of None accepts any.

    Raises:
        ZooError: if the environment is unknown or not installed, or has unsupported observations or actions.
    """
    check_options(EnvironmentOptions, "data", settings)
    description = describe(env_id, options)
    channels = description.pop("frame_channels")
    spec = EnvironmentSpec(name=name, task="control", **description)
    if action_space not in (None, spec.action_space):
        raise ZooError(
            f"data={name}: {env_id} has {spec.action_space} actions; set data.action_space={spec.action_space}"
        )
    dataset = Environments(spec=spec, env_id=env_id, options=dict(options or {}), frame_channels=channels, **settings)
    rollout = dataset.num_envs * dataset.num_steps
    if dataset.steps_per_epoch % rollout:
        raise ZooError(
            f"data.steps_per_epoch={dataset.steps_per_epoch}: must be a multiple of data.num_envs · data.num_steps = "
            f"{rollout}, for example {max(round(dataset.steps_per_epoch / rollout), 1) * rollout}"
        )
    return dataset


def check_replay(dataset: Environments, *, n_step: int) -> None:
    """Raise ZooError if the replay buffer is too small for training to start."""
    least, num_envs = max(dataset.learning_starts + 1, (n_step + 2) * dataset.num_envs), dataset.num_envs
    if dataset.buffer_size // num_envs * num_envs < least:
        raise ZooError(
            f"data.buffer_size={dataset.buffer_size}: must be more than data.learning_starts={dataset.learning_starts} "
            f"and at least {n_step + 2} steps of each of data.num_envs={num_envs}; "
            f"set data.buffer_size={-(-least // num_envs) * num_envs}"
        )


def _register(name: str, env_id: str, action_space: str | None) -> Callable[..., Environments]:
    """Register an environment. Its options are ``env`` and those of EnvironmentOptions."""

    def load(*, env: str = env_id, **settings: Any) -> Environments:
        if not env:
            raise ZooError(
                "data=gym: set data.env= to a Gymnasium id, or to module:id for an environment registered by a module"
            )
        return environments(name, env, action_space, **settings)

    options = [("env", env_id), *((one.name, one.default) for one in fields(EnvironmentOptions))]
    keyword = inspect.Parameter.KEYWORD_ONLY
    load.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(option, keyword, default=value) for option, value in options]
    )
    load.__name__ = load.__qualname__ = name
    load.__doc__ = (
        f"Return {f'the Gymnasium environment {env_id}' if env_id else 'any Gymnasium environment by its id'}."
    )
    register_data(name, tasks=("control",), modality="environment", action_space=action_space)(load)
    return load


cartpole = _register("cartpole", "CartPole-v1", "discrete")
acrobot = _register("acrobot", "Acrobot-v1", "discrete")
mountain_car = _register("mountain_car", "MountainCar-v0", "discrete")
pendulum = _register("pendulum", "Pendulum-v1", "continuous")
lunar_lander = _register("lunar_lander", "LunarLander-v3", "discrete")
mujoco = _register("mujoco", "HalfCheetah-v5", "continuous")
gym = _register("gym", "", None)
