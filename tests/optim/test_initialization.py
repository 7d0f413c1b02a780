"""Initialization by name."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from zoo.optim.weights import initialize


def test_initialize_equals_the_papers():
    torch.manual_seed(0)
    layer = nn.Linear(200, 400)
    initialize(layer.requires_grad_(False), "orthogonal")
    assert torch.allclose(layer.weight.T @ layer.weight, torch.eye(200), atol=1e-4)
    initialize(layer, "xavier")
    bound = math.sqrt(6 / 600)
    assert 0.99 * bound < layer.weight.abs().max() <= bound
    initialize(layer, "kaiming")
    assert layer.weight.std() == pytest.approx(math.sqrt(2 / 200), rel=0.02)
    assert not layer.bias.any()
    before = layer.weight.clone()
    initialize(layer, "default")
    assert torch.equal(layer.weight, before)
