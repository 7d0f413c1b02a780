"""An episode that a policy plays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from zoo.exceptions import ZooError


def record_episode(
    model: Any, environments: Callable[[], Any], out: Path | None, *, steps: int = 500, seed: int = 0
) -> list[str]:
    """Record the episode of ``seed`` into ``out``, or show it in a window where that is None.

    ``environments`` returns the environments; it is called once the model is known to be a policy.

    Raises:
        ZooError: a model that is no policy.
    """
    from zoo.tasks.control.plots import write_gif

    if model.spec.target_type != "reward":
        raise ZooError(f"play: model={model.name} was trained for {model.spec.task}; zoo predict is for it")
    frames = environments().render_episode(
        lambda x: model.act_float32(x.to(model.device), greedy=True), max_steps=steps, seed=seed, window=out is None
    )
    return [] if out is None else [f"film            {write_gif(frames, out)}   {len(frames)} frames of episode {seed}"]
