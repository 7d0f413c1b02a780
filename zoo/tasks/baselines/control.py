"""What an environment gives without a policy: the return of actions at random."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from zoo.data.environment.environments import Environments, EpisodeLoader

Figures = dict[str, float]


def at_random(games: Environments) -> Figures:
    """Return the test's figures of actions that are drawn evenly."""
    spec, generator = games.spec, np.random.default_rng(0)
    low, high = (np.array(bound, np.float32) for bound in (spec.low, spec.high))

    def actor(x: Tensor) -> dict[str, Tensor]:
        if spec.classes:
            return {"action": torch.from_numpy(generator.integers(0, len(spec.classes), len(x)))}
        return {"action": torch.from_numpy(generator.uniform(low, high, (len(x), len(low))).astype(np.float32))}

    played = EpisodeLoader(games, "test").play(actor)
    means = {name: float(values.double().mean()) for name, values in played.items()}
    return {**means, "return_std": float(played["return"].double().std(correction=0))}
