"""Parallel environments that step together, and their observations as network input."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.data.dataset import Batch
from zoo.data.environment.spaces import channels_first_array, has_vector_entry_point, make_vector, message_of, silent
from zoo.data.environment.spec import EnvironmentSpec
from zoo.data.input_readers import as_floats, to_float
from zoo.exceptions import TrainingError, ZooError

PLAIN = (bool, int, float, str, type(None))
# Attributes that are constant or recreated: spaces, specs, render targets
CONSTANT = ("metadata", "spec", "env", "envs", "env_fns", "logger")


def snapshot(vector: Any) -> list[dict[str, Any]] | None:
    """Return the state of each environment of a vector and of its wrappers. None if a state cannot be stored."""
    from gymnasium import Space
    from gymnasium.envs.registration import EnvSpec

    def varies(name: str, value: Any) -> bool:
        return not (name in CONSTANT or isinstance(value, (Space, EnvSpec, Enum)) or callable(value))

    try:
        return [{k: _encode(v) for k, v in vars(part).items() if varies(k, v)} for part in _parts(vector)]
    except TypeError:
        return None


def restore(vector: Any, states: list[dict[str, Any]]) -> None:
    """Restore the states that ``snapshot`` returned."""
    for part, state in zip(_parts(vector), states, strict=True):
        for name, value in state.items():
            old = vars(part).get(name)
            if isinstance(old, np.random.Generator):
                old.bit_generator.state = _decode(value["generator"])
            else:
                setattr(part, name, _decode(value))


def _parts(vector: Any) -> Iterator[Any]:
    """Yield a vector environment, then each environment with its wrappers, outermost first."""
    yield vector
    for one in getattr(vector, "envs", ()):
        part = one
        while part is not None:
            yield part
            part = vars(part).get("env")


def _encode(value: Any) -> Any:
    """Convert a value to plain values and tensors.

    Raises:
        TypeError: if the type is not supported.
    """
    if isinstance(value, np.random.Generator):
        return {"generator": _encode(value.bit_generator.state)}
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return {"array": torch.from_numpy(value.copy())}
    if isinstance(value, np.generic):
        return {"number": torch.from_numpy(np.asarray(value).copy())}
    if isinstance(value, PLAIN):
        return value
    if isinstance(value, (list, tuple)):
        return {"tuple" if isinstance(value, tuple) else "list": [_encode(one) for one in value]}
    if isinstance(value, deque):
        return {"deque": [value.maxlen, *(_encode(one) for one in value)]}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"dict": {key: _encode(one) for key, one in value.items()}}
    raise TypeError(type(value).__name__)


def _decode(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "array":
        return content.numpy().copy()
    if kind == "number":
        return content.numpy()[()]
    if kind == "deque":
        return deque(map(_decode, content[1:]), maxlen=content[0])
    if kind == "dict":
        return {key: _decode(one) for key, one in content.items()}
    return (tuple if kind == "tuple" else list)(map(_decode, content))


MAX_REWARD = float(np.finfo(np.float32).max)
CHECKED_STEPS = 3  # steps in which Gymnasium's own checks warn


class VectorEnvironment:
    """N environments of one id, one for each seed. The step after the end of an episode only resets the environment.

    ``reset_mask`` (N,) marks environments that reset in the next step (next-step autoreset) and ignore the action.
    ``observation`` (N, *input_shape) is the last one. ``returns`` and ``lengths`` (N,) are those of the current
    episodes.

    Raises:
        TrainingError: if an environment cannot be reset.
    """

    def __init__(
        self,
        spec: EnvironmentSpec,
        env_id: str,
        seeds: Sequence[int],
        *,
        vectorization: str,
        options: Mapping[str, Any],
    ) -> None:
        self.spec, self.env_id, self.num_envs, self.steps = spec, env_id, len(seeds), 0
        self.envs = make_vector(env_id, self.num_envs, vectorization, options)
        # an environment's own vector version draws all from one generator with one seed
        seed = seeds[0] if vectorization == "auto" and has_vector_entry_point(env_id) else list(seeds)
        self._warns = vectorization == "async"  # in each step
        try:
            with silent():
                observation = self.envs.reset(seed=seed)[0]
        except Exception as error:
            raise self._error(f"raised {message_of(error)}", None) from None
        self.observation = self._checked(observation, None)
        self.reset_mask = np.zeros(self.num_envs, bool)
        self.returns, self.lengths = np.zeros(self.num_envs), np.zeros(self.num_envs, int)

    def step(self, action: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return reward, terminated and truncated (N,) for actions (N, …). Discrete actions count from 0.

        Raises:
            TrainingError: if an environment raises an error or returns an invalid value.
        """
        self.steps += 1
        try:
            with silent() if self.steps < CHECKED_STEPS or self._warns else contextlib.nullcontext():
                observation, reward, terminated, truncated, _ = self.envs.step(
                    env_action(self.spec, self.envs.single_action_space, action)
                )
            reward = np.asarray(reward, np.float64)
        except Exception as error:
            raise self._error(f"raised {message_of(error)}", action) from None
        self.observation = self._checked(observation, action)
        if reward.shape != (self.num_envs,) or not (np.abs(reward) <= MAX_REWARD).all():
            raise self._error(f"returned the reward {reward.tolist()}; must be finite numbers", action)
        self.returns = np.where(self.reset_mask, 0.0, self.returns + reward)
        self.lengths = np.where(self.reset_mask, 0, self.lengths + 1)
        self.reset_mask = np.asarray(terminated | truncated)
        return reward, np.asarray(terminated), np.asarray(truncated)

    def _checked(self, raw: Any, action: np.ndarray | None) -> Tensor:
        """Return observations (N, *input_shape) as stored, with uint8 kept."""
        array, shape = np.asarray(raw), self.spec.input_shape
        with_batch = array.ndim == observation_axes(self.spec) + 1
        observation = observations(self.spec, array) if with_batch else torch.from_numpy(array)
        if observation.shape != (self.num_envs, *shape):
            raise self._error(f"returned observations of shape {tuple(observation.shape[1:])}; must be {shape}", action)
        if observation.is_floating_point() and not bool(
            torch.isfinite(observation).all()
        ):  # float32 overflow counts as infinity
            raise self._error("returned NaN or infinity", action)
        return observation

    def _error(self, problem: str, action: np.ndarray | None) -> TrainingError:
        where = "in reset" if action is None else f"at step {self.steps}, after the actions {action.tolist()}"
        return TrainingError(f"environment {self.env_id} {problem} {where[:300]}")

    def close(self) -> None:
        """Close the environments and their processes."""
        with contextlib.suppress(Exception):  # a crashed environment cannot be closed
            self.envs.close()

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain values and tensors. ``snapshot`` is None if a state cannot be stored."""
        arrays = {name: torch.from_numpy(getattr(self, name).copy()) for name in ("reset_mask", "returns", "lengths")}
        arrays["observation"] = self.observation.clone()
        return {**arrays, "steps": self.steps, "snapshot": snapshot(self.envs)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a state of ``state_dict``."""
        restore(self.envs, state["snapshot"])
        self.observation, self.steps = state["observation"].clone(), state["steps"]
        for name in ("reset_mask", "returns", "lengths"):
            setattr(self, name, state[name].numpy().copy())


def env_action(spec: EnvironmentSpec, space: Any, action: np.ndarray) -> np.ndarray:
    """Convert actions (N, …) for the environment: add the offset of discrete ones, clip continuous ones."""
    if spec.classes:
        return action.astype(np.int64) + int(spec.classes[0])
    clipped: np.ndarray = np.clip(action.astype(space.dtype), space.low, space.high)
    return clipped


def layout(spec: EnvironmentSpec) -> str:
    """Return the axis order of an observation, "" for vectors."""
    return spec.reading.layout or ("HWC" if len(spec.input_shape) == 3 else "")


def observation_axes(spec: EnvironmentSpec) -> int:
    """Return the number of axes of an observation."""
    return len(layout(spec)) or len(spec.input_shape)


def observations(spec: EnvironmentSpec, observed: np.ndarray) -> Tensor:
    """Return observations (N, …) of an environment as stored: (N, *input_shape).

    uint8 is kept. All others become float32, with images in [0, 1]. ``to_float`` converts them to network input.
    """
    ordered = channels_first_array(observed, layout(spec))
    if ordered.dtype == np.uint8:
        return torch.from_numpy(np.array(ordered, order="C"))
    scale = spec.reading.scale
    with np.errstate(over="ignore"):  # callers reject infinity
        x = torch.from_numpy(np.array(ordered, np.float32, order="C"))
    return x if scale == 1 else x / scale


def encode(spec: EnvironmentSpec, raw: Any) -> Batch:
    """Return observations as ``x`` float (B, *input_shape), with images in [0, 1].

    ``raw`` has the layout of the environment, or that of the network if the shape is unambiguous.

    Raises:
        ZooError: if the shape is wrong.
    """
    observed = raw.cpu().numpy() if isinstance(raw, Tensor) else np.asarray(raw)
    axes, shape = observation_axes(spec), spec.input_shape
    if observed.dtype.kind in "buif":
        many = observed[None] if observed.ndim == axes else observed
        x = to_float(observations(spec, many)) if many.ndim == axes + 1 else None
        if x is not None and tuple(x.shape[1:]) == shape:
            return {"x": x}
        many = observed[None] if observed.shape == shape else observed
        if many.shape[1:] == shape:
            return {"x": as_floats(to_float(torch.from_numpy(np.array(many))))}
    shape_text = f"must be (batch, {', '.join(map(str, shape))})"
    raise ZooError(f"{spec.name}: observations of shape {tuple(observed.shape)}; {shape_text}")
