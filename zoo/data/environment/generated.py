"""The environments that models are checked in: plain ones, whose best action can be seen."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

STEPS = 8  # of an episode


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


for env_id, environment in (("zoo-discrete-v0", "Signs"), ("zoo-continuous-v0", "Heights")):
    if env_id not in gymnasium.registry:
        gymnasium.register(env_id, entry_point=f"{__name__}:{environment}")
