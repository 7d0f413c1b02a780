"""Decoupled weight decay and penalties."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from zoo.config.schema import Optimizer, Regularization
from zoo.optim.optimizers import build_optimizer
from zoo.optim.weights import add_penalties, decay_weights


def parameters_with_gradients(seed: int = 0) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    parameters = [
        nn.Parameter(torch.randn(3, 4, generator=generator)),
        nn.Parameter(torch.randn(3, generator=generator)),
    ]
    for p in parameters:
        p.grad = torch.randn(p.shape, generator=generator)
    return parameters


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (Regularization(l1=0.3), lambda w: 0.3 * w.sign()),
        (Regularization(l2=0.2), lambda w: 0.2 * w),
        (Regularization(l1=0.3, l2=0.2), lambda w: 0.3 * w.sign() + 0.2 * w),
    ],
)
def test_penalties_add_their_derivative_to_weight_gradients_only(options, expected):
    weight, bias = parameters_with_gradients()
    before = weight.grad.clone(), bias.grad.clone()
    add_penalties([weight], options)
    assert torch.allclose(weight.grad - before[0], expected(weight.detach()), atol=1e-7)
    assert torch.equal(bias.grad, before[1])


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "rmsprop"])
def test_weight_decay_is_decoupled_for_every_optimizer(name):
    weight, bias = parameters_with_gradients()
    plain, decayed = ([nn.Parameter(p.detach().clone()) for p in (weight, bias)] for _ in range(2))
    for group, decay in ((plain, 0.0), (decayed, 0.1)):
        for new, old in zip(group, (weight, bias), strict=True):
            new.grad = old.grad.clone()
        decay_weights(group[:1], 0.05 * decay)
        build_optimizer([(group, 1.0)], Optimizer(name=name, lr=0.05, weight_decay=decay)).step()
    # lr · decay · w is taken off, whatever the optimizer made of the gradient
    assert torch.allclose(plain[0] - decayed[0], 0.05 * 0.1 * weight, atol=1e-6)
    assert torch.equal(plain[1], decayed[1])
