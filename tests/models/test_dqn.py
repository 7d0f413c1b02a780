"""Deep Q-networks: their loss against the paper."""

from __future__ import annotations

import pytest
import torch

from zoo.models.dqn import DQN


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("dueling", [False, True])
def test_dqn_loss_equals_the_papers(double, dueling, transitions):
    torch.manual_seed(0)
    model = DQN(double=double, dueling=dueling, hidden_sizes=(8,))
    with torch.no_grad():
        for parameter in model.target_network.parameters():
            parameter.add_(torch.randn_like(parameter))
    steps, expected = transitions(model), []

    def values(net, x):
        a = net.advantage(x)[0]
        return (a - a.mean() + net.state_value(x)[0] if dueling else a).tolist()

    for row in range(6):
        x, after = steps["x"][row : row + 1], steps["next_x"][row : row + 1]
        later, here = values(model.target_network, after), values(model.q_network, after)
        best = max(range(2), key=lambda a, by=here if double else later: by[a])
        target = float(steps["reward"][row]) + float(steps["discount"][row]) * later[best]
        error = abs(values(model.q_network, x)[int(steps["action"][row])] - target)
        expected.append(0.5 * error * error if error < 1 else error - 0.5)
    assert float(model.td_loss(steps)[0].detach()) == pytest.approx(sum(expected) / 6, abs=1e-6)
