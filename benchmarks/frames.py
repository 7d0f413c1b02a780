"""A synthetic environment with stacked frames, for measurements and tests of the replay buffer."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

SIZE, STACK = 84, 4  # side of a frame in pixels, and number of frames per observation


class Squares(gymnasium.Env[np.ndarray, Any]):
    """Gray frames (size, size) with a moving bright square. The reward is 1 if the action is its horizontal direction."""

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"]}  # noqa: RUF012  (gymnasium's own attribute)
    action_space: Any = spaces.Discrete(2)

    def __init__(self, size: int = SIZE, render_mode: str | None = None) -> None:
        self.size, self.render_mode = size, render_mode
        self.observation_space = spaces.Box(0, 255, (size, size), np.uint8)
        self.place, self.speed, self.steps = np.zeros(2, np.int64), np.zeros(2, np.int64), 0
        self.noise = np.zeros((size, size), np.uint8)

    def _show(self) -> np.ndarray:
        frame, side = self.noise.copy(), max(self.size // 8, 1)
        row, column = self.place
        frame[row : row + side, column : column + side] = 255
        return frame

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Start an episode with a new background."""
        super().reset(seed=seed)
        self.noise = self.np_random.integers(0, 64, (self.size, self.size), dtype=np.uint8)
        self.place = self.np_random.integers(0, self.size, 2)
        self.speed, self.steps = self.np_random.choice([-2, -1, 1, 2], 2), 0
        return self._show(), {}

    def step(self, action: Any) -> Any:
        """Move the square. An episode has 4 to 64 steps."""
        reward = float((self.speed[1] > 0) == bool(action))
        self.place = (self.place + self.speed) % self.size
        self.steps += 1
        return self._show(), reward, bool(self.steps >= 4 and self.np_random.random() < 1 / 16), self.steps == 64, {}

    def render(self) -> Any:
        """Return the frame as RGB."""
        return self._show()[..., None].repeat(3, 2)


def stacked_squares(size: int = SIZE, render_mode: str | None = None) -> Any:
    """Return the environment with the last four frames (4, size, size) as observation."""
    return gymnasium.wrappers.FrameStackObservation(Squares(size, render_mode), STACK)


if "zoo-frames-v0" not in gymnasium.registry:
    gymnasium.register("zoo-frames-v0", entry_point=stacked_squares)
