"""Simple environments for model checks, with a known optimal action."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

STEPS = 8  # steps per episode


class Signs(gymnasium.Env[np.ndarray, Any]):
    """Discrete actions. The observation is three numbers in [-1, 1].

    The reward is 1 for action 1 if the first number is larger than the second, and for action 0 otherwise.
    """

    action_space: Any = spaces.Discrete(2)
    observation_space: Any = spaces.Box(-1, 1, (3,), np.float32)

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.observation, self.steps = np.zeros(3, np.float32), 0

    def _show(self) -> np.ndarray:
        self.observation = self.np_random.uniform(-1, 1, 3).astype(np.float32)
        return self.observation

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Start an episode."""
        super().reset(seed=seed)
        self.steps = 0
        return self._show(), {}

    def reward(self, action: Any) -> float:
        """Return 1 if the action says correctly whether the first number is larger."""
        return float((self.observation[0] > self.observation[1]) == bool(action))

    def step(self, action: Any) -> Any:
        """Return the reward and a new observation."""
        reward = self.reward(action)
        self.steps += 1
        return self._show(), reward, self.steps == STEPS, False, {}


class Heights(Signs):
    """Continuous actions with the same observation.

    The best action is half the difference of the first two numbers, with a reward of 1. The reward decreases with the
    distance from it.
    """

    action_space = spaces.Box(-2, 2, (1,), np.float32)

    def reward(self, action: Any) -> float:
        """Return 1 less the distance of the action from the optimum."""
        return 1 - abs(float(action[0]) - float(self.observation[0] - self.observation[1]) / 2)


for env_id, environment in (("zoo-discrete-v0", "Signs"), ("zoo-continuous-v0", "Heights")):
    if env_id not in gymnasium.registry:
        gymnasium.register(env_id, entry_point=f"{__name__}:{environment}")
