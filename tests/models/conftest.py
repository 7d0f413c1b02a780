"""What tests of models share."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture
def transitions():
    """Return a function from a model that acts to random transitions."""

    def sample(model, rows=6):
        torch.manual_seed(1)
        action = torch.randint(2, (rows,)) if model.spec.classes else torch.rand(rows, model.spec.outputs) * 2 - 1
        shape = model.spec.input_shape
        steps = {"x": torch.randn(rows, *shape), "next_x": torch.randn(rows, *shape), "action": action}
        return {**steps, "reward": torch.randn(rows), "discount": torch.rand(rows)}

    return sample
