"""Baseline of control: actions at random."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.data.environment.loaders import EpisodeLoader
from zoo.tasks.base import Scores


def at_random(environments: Any) -> Scores:
    """Return the test's scores of actions that are drawn evenly."""
    spec, generator = environments.spec, np.random.default_rng(0)
    low, high = (np.array(bound, np.float32) for bound in (spec.low, spec.high))

    def actor(x: Tensor) -> dict[str, Tensor]:
        if spec.classes:
            return {"action": torch.from_numpy(generator.integers(0, len(spec.classes), len(x)))}
        return {"action": torch.from_numpy(generator.uniform(low, high, (len(x), len(low))).astype(np.float32))}

    episodes = EpisodeLoader(environments, "test").evaluate_policy(actor)
    means = {name: float(values.double().mean()) for name, values in episodes.items()}
    return {**means, "return_std": float(episodes["return"].double().std(correction=0))}
