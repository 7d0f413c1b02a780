"""Gymnasium environments by id, with their observation and action spaces. This module does not import torch."""

from __future__ import annotations

import contextlib
import functools
import importlib
import itertools
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

import numpy as np

from zoo.data.environment.spec import EnvironmentReading
from zoo.exceptions import ZooError, install

PARTS = ("train", "val", "test", "video")  # each has its own stream of seeds
SEED_BITS = 29  # bits of a seed within the range of its part; together they fit into 31 bits
PROBED = 8  # random steps used to detect frame stacking
LARGEST_MESSAGE = 160  # maximum length of another library's message


def episode_seeds(part: str, count: int, *, seed: int = 0) -> list[int]:
    """Return ``count`` distinct seeds for the episodes of a part, from its own ``SeedSequence``.

    Each part draws from its own range, so parts never share a seed. Seeds fit into 31 bits, which all environments
    accept.
    """
    number = PARTS.index(part)
    stream = np.random.SeedSequence(seed, spawn_key=(number,))
    drawn: dict[int, None] = {}
    words = count
    while len(drawn) < count:
        state = stream.generate_state(words) % (1 << SEED_BITS)
        drawn = dict.fromkeys(((number << SEED_BITS) + state.astype(np.int64)).tolist())
        words *= 2
    return list(drawn)[:count]


def message_of(error: BaseException) -> str:
    """Return the error of another library as one short line."""
    text = _short(error)
    return f"{type(error).__name__}{f' ({text})' if text else ''}"


@contextlib.contextmanager
def closing(env: Any) -> Iterator[Any]:
    """Close one or more environments after the block. Errors from crashed environments are ignored."""
    try:
        yield env
    finally:
        with contextlib.suppress(Exception):
            env.close()


# Silences the warnings of Gymnasium's checks; relevant ones are errors here
silent = functools.partial(warnings.catch_warnings, action="ignore")


def registered(env_id: str) -> Any:
    """Return Gymnasium's ``EnvSpec`` of an id, or of ``module:Id-v0`` for an environment registered by a module.

    The module may be in the current folder.

    Raises:
        ZooError: if the module cannot be imported, or the id does not exist.
    """
    import gymnasium

    module, _, name = env_id.rpartition(":")
    if module:
        here = os.getcwd()
        if here not in sys.path:
            sys.path.append(here)  # at the end, so that installed packages have priority
        try:
            importlib.import_module(module)
        except Exception as error:
            if isinstance(error, ModuleNotFoundError) and error.name == module.partition(".")[0]:
                raise ZooError(
                    f"data.env={env_id}: there is no module {module!r} in the current folder or among the installed "
                    f"packages"
                ) from None
            raise ZooError(f"data.env={env_id}: importing {module} raised {message_of(error)}") from None
    try:
        with silent():
            return gymnasium.spec(name)
    except (gymnasium.error.Error, ValueError) as error:
        raise ZooError(f"data.env={env_id}: {env_id} cannot be created ({message_of(error)})") from None


def make(env_id: str, options: Mapping[str, Any], **more: Any) -> Any:
    """Create one environment.

    Raises:
        ZooError: if it cannot be created. The message has the constructor's error.
    """
    import gymnasium

    env_spec = registered(env_id)
    try:
        with silent():
            return gymnasium.make(env_spec, **options, **more)
    except Exception as error:
        extra = next((x for x in ("box2d", "mujoco") if x in str(error).lower()), None)
        if extra and isinstance(error, (gymnasium.error.DependencyNotInstalled, ImportError)):
            raise ZooError(f"{env_id} cannot be created because a package is missing; {install(extra)}") from None
        if isinstance(error, TypeError) and "render_mode" in more and "'render_mode'" in str(error):
            raise ZooError(f"{env_id} does not accept render_mode") from None
        raise ZooError(f"{env_id} cannot be created: its constructor raised {message_of(error)}") from None


@functools.lru_cache(maxsize=8)
def has_vector_entry_point(env_id: str) -> bool:
    """Return whether an environment has its own vector version with next-step autoreset.

    Raises:
        ZooError: if it only has a vector version, with another autoreset mode.
    """
    import gymnasium
    from gymnasium.vector import AutoresetMode

    env_spec = registered(env_id)
    if env_spec.vector_entry_point is None:
        return False
    try:
        with silent():
            vector = gymnasium.make_vec(env_spec, num_envs=1, vectorization_mode="vector_entry_point")
            mode = vector.metadata.get("autoreset_mode")
            vector.close()
    except Exception as error:
        if env_spec.entry_point is not None:
            return False
        raise ZooError(
            f"{env_id} cannot be created: the constructor of its vector version raised {message_of(error)}"
        ) from None
    if mode in (AutoresetMode.NEXT_STEP, AutoresetMode.NEXT_STEP.value):
        return True
    if env_spec.entry_point is None:
        raise ZooError(
            f"{env_id} resets by {getattr(mode, 'value', mode)}; must be AutoresetMode.NEXT_STEP, or register an "
            f"entry_point in addition to its vector_entry_point"
        )
    return False


def make_vector(env_id: str, count: int, mode: str, options: Mapping[str, Any]) -> Any:
    """Create ``count`` parallel environments. ``mode`` is auto, sync or async.

    Raises:
        ZooError: if one cannot be created, or does not use next-step autoreset.
    """
    import gymnasium
    from gymnasium.vector import AutoresetMode

    if mode == "auto":
        mode = "vector_entry_point" if has_vector_entry_point(env_id) else "sync"
    env_spec = registered(env_id)
    try:
        with silent():
            if mode == "async":
                one = functools.partial(_in_worker, os.getpid(), env_spec, dict(options))
                vector: Any = gymnasium.vector.AsyncVectorEnv([one] * count)
            else:
                vector = gymnasium.make_vec(env_spec, num_envs=count, vectorization_mode=mode, **options)
    except Exception as error:
        raise ZooError(f"{env_id} cannot be created: its constructor raised {message_of(error)}") from None
    if vector.metadata.get("autoreset_mode") not in (AutoresetMode.NEXT_STEP, AutoresetMode.NEXT_STEP.value):
        raise ZooError(f"{env_id} does not use AutoresetMode.NEXT_STEP")
    return vector


def _in_worker(parent: int, env_spec: Any, options: Mapping[str, Any]) -> Any:
    """Create an environment in a worker process. It handles SIGTERM by default and ignores Ctrl-C."""
    import gymnasium

    if os.getpid() != parent:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    return gymnasium.make(env_spec, **options)


def describe(env_id: str, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the fields of an ``EnvironmentSpec``, and ``frame_channels``.

    ``frame_channels`` is the number of new channels in each observation, less than all with stacked frames.

    Raises:
        ZooError: if the environment cannot be created, has unsupported spaces, or fails in its first steps.
    """
    return dict(_describe_cached(env_id)) if not options else _describe(env_id, options)


def complete_options(data: MutableMapping[str, Any]) -> None:
    """Replace a null ``action_space`` in data options by discrete or continuous. Raises like ``describe``."""
    if data.get("action_space", "") is None and data.get("env"):
        data["action_space"] = "discrete" if "classes" in describe(data["env"]) else "continuous"


@functools.lru_cache(maxsize=8)
def _describe_cached(env_id: str) -> dict[str, Any]:
    return _describe(env_id, {})


def _describe(env_id: str, options: Mapping[str, Any]) -> dict[str, Any]:
    if registered(env_id).entry_point is None and has_vector_entry_point(env_id):
        with contextlib.closing(make_vector(env_id, 1, "auto", options)) as vector:
            fields = _describe_observations(env_id, vector.single_observation_space)
            return {**fields, **_describe_actions(env_id, vector.single_action_space), "frame_channels": 0}
    try:
        with closing(make(env_id, options)) as one, silent():
            fields = _describe_observations(env_id, one.observation_space) | _describe_actions(env_id, one.action_space)
            return {**fields, "frame_channels": _probe(env_id, one, fields["reading"].layout)}
    except AttributeError as error:
        raise ZooError(f"{env_id} lacks a space: {message_of(error)}") from None


def _describe_observations(env_id: str, space: Any) -> dict[str, Any]:
    """Return the shape of an observation space and how it is read."""
    from gymnasium.spaces import Box

    accepted = "must be a Box of one dimension, an image, or stacked images"
    if not isinstance(space, Box):
        raise ZooError(f"{env_id} has the observation space {_short(space)}; {accepted}")
    shape = tuple(space.shape)
    dark = bool((space.low == 0).all())
    bright = dark and bool((space.high == 255).all())
    if len(shape) == 1:
        return {"input_shape": shape, "reading": EnvironmentReading("", 255.0 if space.dtype == np.uint8 else 1.0)}
    bright = bright or space.dtype == np.uint8
    gray = bright or (dark and bool((space.high == 1).all()))
    layout = layout_of(shape) if len(shape) > 2 or gray else ""
    if not layout or min(shape) < 1:
        raise ZooError(f"{env_id} has the observation space {_short(space)}; {accepted}")
    reading = EnvironmentReading(layout, 255.0 if bright else 1.0)
    return {"input_shape": channels_first_array(np.zeros((1, *shape)), layout).shape[1:], "reading": reading}


def layout_of(shape: tuple[int, ...]) -> str:
    """Return the axis order of an image: HW, HWC, CHW, or NHWC for N stacked frames. "" if it is not an image.

    With three axes of which two neighbors are equal, the third is the channel axis. Otherwise, it is the shorter of
    the first and the last.
    """
    if len(shape) == 3:
        a, b, c = shape
        first = b == c if (a == b) != (b == c) else a < c
        return "CHW" if first else "HWC"
    return {2: "HW", 4: "NHWC"}.get(len(shape), "")


def channels_first_array(observation: np.ndarray, layout: str) -> np.ndarray:
    """Return observations (N, …) with channels first. Vectors do not change."""
    if layout == "HW":
        return observation[:, None]
    if layout == "HWC":
        return observation.transpose(0, 3, 1, 2)
    if layout == "NHWC":
        rows, frames, height, width, channels = observation.shape
        return observation.transpose(0, 1, 4, 2, 3).reshape(rows, frames * channels, height, width)
    return observation


def _describe_actions(env_id: str, space: Any) -> dict[str, Any]:
    """Return the classes of discrete actions, or the bounds of continuous ones."""
    from gymnasium.spaces import Box, Discrete

    if isinstance(space, Discrete):
        first = int(space.start)
        return {"classes": tuple(str(first + number) for number in range(int(space.n)))}
    if not isinstance(space, Box) or len(space.shape) != 1:
        raise ZooError(f"{env_id} has the action space {_short(space)}; must be Discrete, or a Box of one dimension")
    if space.dtype.kind != "f":
        raise ZooError(
            f"{env_id} has the action space {_short(space)} of integers; must be Discrete, or a Box of float32"
        )
    if not (np.isfinite(space.low).all() and np.isfinite(space.high).all()):
        raise ZooError(f"{env_id} has an unbounded action space; must have finite low and high")
    low, high = (tuple(map(float, bound)) for bound in (space.low, space.high))
    return {"low": low, "high": high}


def _short(space: Any) -> str:
    text = " ".join(str(space).split())
    return f"{text[:LARGEST_MESSAGE]}…" if len(text) > LARGEST_MESSAGE else text


def _probe(env_id: str, one: Any, layout: str) -> int:
    """Play a few random steps, and return the number of channels that each step renews.

    Raises:
        ZooError: if the first steps raise an error, or return values that do not match the spaces.
    """
    seed = episode_seeds("video", 1)[0]
    one.action_space.seed(seed)
    frames = [_check_observation(env_id, one, _call(env_id, "reset", 2, one.reset, seed=seed)[0], "reset")]
    frames[0] = channels_first_array(frames[0][None], layout)[0]
    outside = not _within(one.observation_space, frames[0], layout)
    for _ in range(PROBED if frames[0].ndim == 3 and len(frames[0]) > 1 else 1):
        observation, reward, terminated, truncated, _ = _call(env_id, "step", 5, one.step, one.action_space.sample())
        _check_reward(env_id, reward)
        observation = _check_observation(env_id, one, observation, "step")
        frames.append(channels_first_array(observation[None], layout)[0])
        outside = outside or not _within(one.observation_space, frames[-1], layout)
        if terminated or truncated:
            break
    if outside and os.environ.get("LOCAL_RANK", "0") == "0":
        print(f"note: {env_id} returns observations outside its observation_space", file=sys.stderr, flush=True)
    return new_channels(frames)


def _call(env_id: str, place: str, count: int, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Call a method of an environment, and return its ``count`` values."""
    try:
        answer = call(*arguments, **options)
    except Exception as error:
        raise ZooError(f"environment {env_id}: {place} raised {message_of(error)}") from None
    if not isinstance(answer, tuple) or len(answer) != count:
        accepted = {"reset": "observation, info", "step": "observation, reward, terminated, truncated, info"}[place]
        raise ZooError(f"environment {env_id}: {place} must return ({accepted}), as in Gymnasium")
    return answer


def _check_reward(env_id: str, reward: Any) -> None:
    with contextlib.suppress(TypeError, ValueError):
        if np.ndim(reward) == 0:
            float(reward)
            return
    raise ZooError(f"environment {env_id}: step returned the reward {reward!r}; must be a number")


def _check_observation(env_id: str, one: Any, observation: Any, place: str) -> np.ndarray:
    array, shape = np.asarray(observation), tuple(one.observation_space.shape)
    if array.shape != shape or array.dtype.kind not in "buif":
        raise ZooError(
            f"environment {env_id}: {place} returned {array.dtype}{list(array.shape)}; its observation_space has the "
            f"shape {list(shape)}"
        )
    return array


def _within(space: Any, frame: np.ndarray, layout: str) -> bool:
    low, high = (channels_first_array(np.asarray(one)[None], layout)[0] for one in (space.low, space.high))
    return bool((np.greater_equal(frame, low) & np.less_equal(frame, high)).all())


def new_channels(frames: list[np.ndarray]) -> int:
    """Return the number of new channels in each observation (C, H, W), 0 for all.

    The other channels are those of the previous observation, shifted.
    """
    channels = len(frames[0]) if frames[0].ndim == 3 else 1
    for new in range(1, channels):
        moved = (np.array_equal(after[:-new], before[new:]) for before, after in itertools.pairwise(frames))
        if channels % new == 0 and all(moved):
            return new
    return 0
