"""Proximal policy optimization: networks and objective."""

from __future__ import annotations

import pytest
import torch

from zoo.data.environment.spec import CARTPOLE, EnvironmentSpec
from zoo.exceptions import ZooError
from zoo.models.ppo import PPO


def test_ppo_uses_convolutions_for_images():
    spec = EnvironmentSpec("x", "control", (3, 17, 12), classes=("0", "1"))
    model = PPO(spec=spec, channels=(4, 8))
    assert model(torch.rand(5, 3, 17, 12)).shape == (5, 2)
    assert any(isinstance(part, torch.nn.Conv2d) for part in model.actor)
    with pytest.raises(ZooError, match=r"network=conv: requires images; observations of cartpole have shape \(4,\)"):
        PPO(spec=CARTPOLE, network="conv")
