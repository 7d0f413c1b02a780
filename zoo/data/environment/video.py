"""Render an episode as video frames, or in a window."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.data.environment.environments import Environments
from zoo.data.environment.spaces import closing, episode_seeds, make, message_of, silent
from zoo.data.environment.vector import env_action, observations
from zoo.data.input_readers import to_float
from zoo.exceptions import ZooError, install

Actor = Callable[
    ..., dict[str, Tensor]
]  # maps observations (N, *input_shape) to ``action`` (N, …) and other named values


def render_episode(
    actor: Actor, environments: Environments, *, seed: int = 0, max_steps: int = 500, window: bool = False
) -> Tensor | None:
    """Return the frames (T, H, W, 3) of episode ``seed`` with the actions of ``actor``, at most ``max_steps``.

    With ``window``, show the episode in a window and return None.

    Raises:
        ZooError: if the environment does not render frames, or raises an error.
    """
    if not window:
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # lets pygame draw without a screen
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    env = make(environments.env_id, environments.options, render_mode="human" if window else "rgb_array")
    with silent(), closing(env):
        frames = list(
            itertools.islice(_frames(actor, environments, env, episode_seeds("video", seed + 1)[seed]), max_steps)
        )
    if window:
        return None
    images = [frame for frame in frames if frame is not None]
    if not images or any(image.shape != images[0].shape for image in images):
        raise ZooError(f"environment {environments.env_id} does not render images in the mode rgb_array")
    return torch.from_numpy(np.stack(images))


def _frames(actor: Actor, environments: Environments, env: Any, seed: int) -> Iterator[np.ndarray | None]:
    def call(name: str, *arguments: Any, **options: Any) -> Any:
        try:
            return getattr(env, name)(*arguments, **options)
        except Exception as error:
            lacks = f"; {install('render')}" if type(error).__name__ == "DependencyNotInstalled" else ""
            raise ZooError(f"environment {environments.env_id}: {name} raised {message_of(error)}{lacks}") from None

    spec, done = environments.spec, False
    observation, _ = call("reset", seed=seed)
    yield _image(call("render"))
    while not done:
        action = actor(to_float(observations(spec, np.asarray(observation)[None])))["action"].cpu().numpy()
        observation, _, terminated, truncated, _ = call("step", env_action(spec, env.action_space, action)[0])
        yield _image(call("render"))
        done = bool(terminated or truncated)


def _image(frame: Any) -> np.ndarray | None:
    """Convert a rendered frame to uint8 (H, W, 3). Return None if it is not an image."""
    image = np.asarray(frame) if isinstance(frame, (np.ndarray, Tensor)) else None
    if image is None or image.ndim not in (2, 3) or image.dtype.kind not in "buif":
        return None
    if image.dtype != np.uint8:
        image = (image * (255 if image.max(initial=0) <= 1 else 1)).clip(0, 255).astype(np.uint8)
    image = image[..., None] if image.ndim == 2 else image
    return image[..., :3] if image.shape[2] >= 3 else image[..., :1].repeat(3, 2)
