"""Optimizers against the steps of their papers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from zoo.config.schema import Optimizer
from zoo.optim.optimizers import build_optimizer


def parameter_with_gradient() -> nn.Parameter:
    generator = torch.Generator().manual_seed(3)
    parameter = nn.Parameter(torch.randn(3, 4, generator=generator))
    parameter.grad = torch.randn(3, 4, generator=generator)
    return parameter


def test_optimizers_take_the_papers_steps():
    g = {name: parameter_with_gradient() for name in ("sgd", "adam", "rmsprop")}
    start, grad = g["sgd"].detach().clone(), g["sgd"].grad.clone()
    sgd = build_optimizer([([g["sgd"]], 1.0)], Optimizer(name="sgd", lr=0.1, momentum=0.9, nesterov=True))
    sgd.step()
    g["sgd"].grad = grad.clone()
    sgd.step()
    v1 = grad
    v2 = 0.9 * v1 + grad
    expected = start - 0.1 * (grad + 0.9 * v1) - 0.1 * (grad + 0.9 * v2)
    assert torch.allclose(g["sgd"], expected, atol=1e-6)
    build_optimizer([([g["adam"]], 1.0)], Optimizer(name="adam", lr=0.1)).step()
    assert torch.allclose(g["adam"], start - 0.1 * grad / (grad.abs() + 1e-8), atol=1e-5)
    build_optimizer([([g["rmsprop"]], 1.0)], Optimizer(name="rmsprop", lr=0.1, alpha=0.9)).step()
    assert torch.allclose(g["rmsprop"], start - 0.1 * grad / ((0.1 * grad**2).sqrt() + 1e-8), atol=1e-5)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a driver to ask")
def test_optimizer_step_does_not_query_a_missing_driver(monkeypatch):
    layer = nn.Linear(2, 2)
    optimizer = build_optimizer([(list(layer.parameters()), 1.0)], Optimizer())
    layer(torch.ones(1, 2)).sum().backward()

    def count_devices() -> int:
        raise AssertionError("a step counts devices")

    monkeypatch.setattr(torch.cuda, "device_count", count_devices)
    before = layer.weight.detach().clone()
    optimizer.step()
    assert not torch.equal(layer.weight, before)
