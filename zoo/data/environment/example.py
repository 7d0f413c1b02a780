"""Generated environments: plain ones, whose best action can be seen."""

from __future__ import annotations

from typing import Any

from zoo.data.environment.environments import Environments, environments
from zoo.data.example import TRAIN


def example(action_space: str) -> Environments:
    """Return an environment; a batch of steps has as many as one of rows."""
    env_id = f"zoo.data.environment.generated:zoo-{action_space}-v0"
    options: dict[str, Any] = {"num_envs": 4, "num_steps": 4, "steps_per_epoch": TRAIN // 4, "vectorization": "sync"}
    options |= {"n_val_episodes": 8, "n_test_episodes": 15, "buffer_size": 2000, "learning_starts": 32}
    return environments(f"generated {action_space} actions", env_id, action_space, **options)
