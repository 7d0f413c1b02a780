"""An episode as frames, or in a window."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.data.environment.read import observations
from zoo.data.environment.spaces import make, message_of, silent
from zoo.data.environment.spec import EnvironmentSpec
from zoo.data.environment.vector import env_action
from zoo.data.input_readers import to_float
from zoo.exceptions import ZooError, install

Actor = Callable[..., dict[str, Tensor]]  # observations (N, *input_shape) to the ``action`` (N, …), and more by name


def render_episode(
    actor: Actor,
    spec: EnvironmentSpec,
    env_id: str,
    *,
    options: Mapping[str, Any],
    seed: int,
    max_steps: int,
    window: bool = False,
) -> Tensor | None:
    """Return the frames (T, H, W, 3) of an episode with the actions of ``actor``, at most ``max_steps``.

    In a ``window`` the episode is shown and None returned.

    Raises:
        ZooError: the environment renders no frames, or raises.
    """
    if not window:
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # pygame draws where no screen is
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    env = make(env_id, options, render_mode="human" if window else "rgb_array")
    try:
        with silent():
            frames = _frames(actor, spec, env_id, env, seed=seed, max_steps=max_steps)
    finally:
        with contextlib.suppress(Exception):
            env.close()
    if window:
        return None
    images = [frame for frame in frames if frame is not None]
    if not images or any(image.shape != images[0].shape for image in images):
        raise ZooError(f"environment {env_id} renders no pictures in the mode rgb_array")
    return torch.from_numpy(np.stack(images))


def _frames(
    actor: Actor, spec: EnvironmentSpec, env_id: str, env: Any, *, seed: int, max_steps: int
) -> list[np.ndarray | None]:
    def call(name: str, *arguments: Any, **options: Any) -> Any:
        try:
            return getattr(env, name)(*arguments, **options)
        except Exception as error:
            lacks = f"; {install('render')}" if type(error).__name__ == "DependencyNotInstalled" else ""
            raise ZooError(f"environment {env_id}: {name} raised {message_of(error)}{lacks}") from None

    observation, _ = call("reset", seed=seed)
    frames, done = [_image(call("render"))], False
    while not done and len(frames) < max_steps:
        action = actor(to_float(observations(spec, np.asarray(observation)[None])))["action"].cpu().numpy()
        observation, _, terminated, truncated, _ = call("step", env_action(spec, env.action_space, action)[0])
        frames.append(_image(call("render")))
        done = bool(terminated or truncated)
    return frames


def _image(frame: Any) -> np.ndarray | None:
    """Return a rendered frame as bytes (H, W, 3); None where it is no image."""
    image = np.asarray(frame) if isinstance(frame, (np.ndarray, Tensor)) else None
    if image is None or image.ndim not in (2, 3) or image.dtype.kind not in "buif":
        return None
    if image.dtype != np.uint8:
        image = (image * (255 if image.max(initial=0) <= 1 else 1)).clip(0, 255).astype(np.uint8)
    image = image[..., None] if image.ndim == 2 else image
    return image[..., :3] if image.shape[2] >= 3 else image[..., :1].repeat(3, 2)
