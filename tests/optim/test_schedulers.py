"""Learning-rate schedules against torch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from zoo.config.schema import Scheduler
from zoo.optim.schedulers import PlateauScheduler, lr_factor


def test_lr_factor_cosine_and_one_cycle_equal_torch():
    w = [nn.Parameter(torch.zeros(1))]
    sgd = torch.optim.SGD(w, lr=1.0)
    reference = torch.optim.lr_scheduler.CosineAnnealingLR(sgd, T_max=49, eta_min=0.1)
    ours = Scheduler(name="cosine", end_factor=0.1)
    for step in range(50):
        assert lr_factor(ours, step, 50) == pytest.approx(reference.get_last_lr()[0], abs=1e-9)
        sgd.step()
        reference.step()
    sgd = torch.optim.SGD(w, lr=1.0)
    reference = torch.optim.lr_scheduler.OneCycleLR(
        sgd,
        1.0,
        total_steps=101,
        pct_start=0.25 + 0.75 / 101,
        div_factor=25,
        final_div_factor=1e9,
        cycle_momentum=False,
    )
    ours = Scheduler(name="one_cycle", warmup_ratio=0.25, start_factor=0.04)
    for step in range(101):
        assert lr_factor(ours, step, 101) == pytest.approx(reference.get_last_lr()[0], abs=1e-3)
        sgd.step()
        if step < 100:
            reference.step()


def test_lr_factor_step_milestones_and_linear_warmup():
    factors = [lr_factor(Scheduler(name="step", milestones=(0.5, 0.75), gamma=0.1), s, 100) for s in range(100)]
    assert factors == [1.0] * 50 + [0.1] * 25 + [pytest.approx(0.01)] * 25
    warm = [lr_factor(Scheduler(name="constant", warmup_ratio=0.5, start_factor=0.2), s, 101) for s in range(101)]
    assert warm[0] == pytest.approx(0.2)
    assert warm[25] == pytest.approx(0.6)
    assert warm[50:] == [1.0] * 51


@pytest.mark.parametrize("mode", ["min", "max"])
def test_plateau_scheduler_equals_torch_and_resumes(mode):
    sgd = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = torch.optim.lr_scheduler.ReduceLROnPlateau(sgd, mode=mode, factor=0.5, patience=2, threshold=0)
    ours = PlateauScheduler(Scheduler(name="plateau", factor=0.5, patience=2), mode=mode)
    metrics = np.random.default_rng(0).normal(size=40).tolist()
    for index, metric in enumerate(metrics):
        reference.step(metric)
        ours.step(metric)
        assert ours.scale == pytest.approx(sgd.param_groups[0]["lr"])
        if index == 20:
            state = ours.state_dict()
            ours = PlateauScheduler(Scheduler(name="plateau", factor=0.5, patience=2), mode=mode)
            ours.load_state_dict(state)
    assert ours.scale < 0.1
