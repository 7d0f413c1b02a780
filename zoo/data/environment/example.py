"""Generated environments: plain ones, whose best action can be seen."""

from __future__ import annotations

from typing import Any

from zoo.data.environment.environments import Environments, environments
from zoo.data.example import TRAIN

ACTION_SPACES = ("discrete", "continuous")
ENVIRONMENTS = ("zoo-signs-v0", "zoo-heights-v0")  # one of each


def example(action_space: str) -> Environments:
    """Return an environment; a batch of steps has as many as one of rows."""
    identity = f"zoo.testing.games:{ENVIRONMENTS[ACTION_SPACES.index(action_space)]}"
    sizes: dict[str, Any] = {"num_envs": 4, "num_steps": 4, "steps_per_epoch": TRAIN // 4}
    sizes |= {"n_val_episodes": 8, "n_test_episodes": 15, "buffer_size": 2000, "learning_starts": 32}
    return environments(
        f"generated {action_space} actions",
        identity,
        action_space,
        vectorization="sync",
        **sizes,
    )
