"""The environments that models are checked in: plain ones, whose best action can be seen."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

STEPS = 8  # of an episode
SIZE, STACK = 84, 4  # of frames, and how many an observation has
DISCRETE, CONTINUOUS, FRAMES = "zoo-signs-v0", "zoo-heights-v0", "zoo-frames-v0"


class Signs(gymnasium.Env[np.ndarray, Any]):
    """Shows three numbers between -1 and 1; a reward of 1 for saying which of the first two is larger."""

    action_space: Any = spaces.Discrete(2)
    observation_space: Any = spaces.Box(-1, 1, (3,), np.float32)

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.observation, self.steps = np.zeros(3, np.float32), 0

    def _show(self) -> np.ndarray:
        self.observation = self.np_random.uniform(-1, 1, 3).astype(np.float32)
        return self.observation

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Begin an episode."""
        super().reset(seed=seed)
        self.steps = 0
        return self._show(), {}

    def reward(self, action: Any) -> float:
        """Return 1 where the first number is larger and the action is 1, or neither."""
        return float((self.observation[0] > self.observation[1]) == bool(action))

    def step(self, action: Any) -> Any:
        """Reward the action and show three other numbers."""
        reward = self.reward(action)
        self.steps += 1
        return self._show(), reward, self.steps == STEPS, False, {}


class Heights(Signs):
    """The same; the reward is the larger, up to 1, the nearer the action is to half the difference of the first two."""

    action_space = spaces.Box(-2, 2, (1,), np.float32)

    def reward(self, action: Any) -> float:
        """Return 1 less how far the action is from it."""
        return 1 - abs(float(action[0]) - float(self.observation[0] - self.observation[1]) / 2)


class Squares(gymnasium.Env[np.ndarray, Any]):
    """Shows a bright square that moves, in grey frames of ``size``; a reward of 1 for saying whether it moves right."""

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
        """Begin an episode on another ground."""
        super().reset(seed=seed)
        self.noise = self.np_random.integers(0, 64, (self.size, self.size), dtype=np.uint8)
        self.place = self.np_random.integers(0, self.size, 2)
        self.speed, self.steps = self.np_random.choice([-2, -1, 1, 2], 2), 0
        return self._show(), {}

    def step(self, action: Any) -> Any:
        """Move the square; an episode has 4 to 64 steps."""
        reward = float((self.speed[1] > 0) == bool(action))
        self.place = (self.place + self.speed) % self.size
        self.steps += 1
        return self._show(), reward, bool(self.steps >= 4 and self.np_random.random() < 1 / 16), self.steps == 64, {}

    def render(self) -> Any:
        """Return the frame in colours."""
        return self._show()[..., None].repeat(3, 2)


def stacked_squares(size: int = SIZE, render_mode: str | None = None) -> Any:
    """Return squares of which an observation is the last four frames (4, size, size)."""
    return gymnasium.wrappers.FrameStackObservation(Squares(size, render_mode), STACK)


GAMES: tuple[tuple[str, Any], ...] = ((DISCRETE, Signs), (CONTINUOUS, Heights), (FRAMES, stacked_squares))
for name, game in GAMES:
    if name not in gymnasium.registry:
        gymnasium.register(name, entry_point=game)
