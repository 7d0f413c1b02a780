"""Soft actor-critic: losses and steps against the paper."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import torch

from zoo.config.schema import Learning, Optimizer, Scheduler
from zoo.models.sac import SAC, squashed


def test_squashed_gaussian_density_equals_torch():
    mean, log_std, noise = (torch.randn(9, 2, dtype=torch.float64) for _ in range(3))
    action, density = squashed(mean, log_std, noise)
    normal = torch.distributions.Normal(mean, log_std.exp())
    known = torch.distributions.TransformedDistribution(normal, torch.distributions.TanhTransform(cache_size=1))
    known.transforms[0]._cached_x_y = (mean + log_std.exp() * noise, action)  # else atanh loses digits
    torch.testing.assert_close(density, known.log_prob(action).sum(1), atol=1e-6, rtol=0)


def sac_losses(model, steps):
    """The losses of critics, actor and temperature as the paper has them, with the random numbers that sac draws."""
    alpha = model.log_alpha.exp().detach()
    after, density = squashed(*model.distribution(steps["next_x"]), torch.randn(6, 1))
    future = torch.minimum(*model.target_critics(steps["next_x"], after)) - alpha * density
    target = (steps["reward"] + steps["discount"] * future).detach()
    critics = sum(0.5 * (one - target).square().mean() for one in model.critics(steps["x"], steps["action"]))
    action, density = squashed(*model.distribution(steps["x"]), torch.randn(6, 1))
    actor = (alpha * density - torch.minimum(*model.critics(steps["x"], action))).mean()
    return critics, actor, -model.log_alpha * (density.detach().mean() - 1)


def test_sac_losses_equal_the_papers(transitions):
    torch.manual_seed(0)
    model = SAC(hidden_sizes=(8,), alpha=0.3)
    with torch.no_grad():
        for parameter in (*model.target_critics.parameters(), model.actor[-1].weight):
            parameter.add_(0.3 * torch.randn_like(parameter))
    steps = transitions(model)
    torch.manual_seed(2)
    critics, actor, temperature = sac_losses(model, steps)
    torch.manual_seed(2)
    torch.testing.assert_close(model.critic_loss(steps), critics)
    loss, log_prob = model.actor_loss(steps["x"])
    torch.testing.assert_close(loss, actor)
    torch.testing.assert_close(model.alpha_loss(log_prob), temperature)


def test_sac_steps_critics_then_actor_then_temperature(monkeypatch, transitions):
    """Two updates equal a hand-written Algorithm 1 with three optimizers, whose actor learns from stepped critics."""
    torch.manual_seed(0)
    model, rate = SAC(hidden_sizes=(8,), alpha=0.3), 1e-2
    reference = copy.deepcopy(model)
    optimizers = [
        torch.optim.Adam(part, lr=rate * share)
        for part, share in (
            (reference.critics.parameters(), 1.0),
            (reference.actor.parameters(), 0.5),
            ([reference.log_alpha], 0.1),
        )
    ]
    model.actor_lr, model.alpha_lr = 0.5, 0.1
    model.configure(Learning(optimizer=Optimizer(lr=rate, weight_decay=0.0), scheduler=Scheduler(name="constant")))
    optimizer = model.configure_optimizers()
    monkeypatch.setattr(type(model), "optimizers", lambda self, **options: optimizer)
    monkeypatch.setattr(type(model), "add_figures", lambda self, **means: None)
    monkeypatch.setattr(type(model), "trainer", SimpleNamespace(world_size=1))
    model.loop.parameters = [p for p in model.parameters() if p.requires_grad]
    model.loop.local_rows = model.loop.batch_rows = 6
    steps = transitions(model)
    torch.manual_seed(2)
    for _ in range(2):
        model.update(steps)
    assert model.steps == 2
    torch.manual_seed(2)
    for _ in range(2):
        x, losses = steps["x"], []
        for number, optimizer_of_part in enumerate(optimizers):
            if number == 0:
                loss = reference.critic_loss(steps)
            elif number == 1:
                loss, log_prob = reference.actor_loss(x)
            else:
                loss = reference.alpha_loss(log_prob)
            reference.zero_grad()
            loss.backward()
            optimizer_of_part.step()
            losses.append(loss)
        with torch.no_grad():
            for target, parameter in zip(
                reference.target_critics.parameters(), reference.critics.parameters(), strict=True
            ):
                target.lerp_(parameter, reference.tau)
    for (name, value), expected in zip(model.state_dict().items(), reference.state_dict().values(), strict=True):
        torch.testing.assert_close(value, expected, msg=name)


def test_sac_update_forgets_a_group_that_a_time_limit_cut(monkeypatch, transitions):
    model = SAC(hidden_sizes=(8,))
    steps = transitions(model)
    model.waiting_x = [torch.full_like(steps["x"], 9.0)]  # of an epoch that ended before the group was complete
    monkeypatch.setattr(model, "step_on", lambda loss: loss)
    for waiting, count in ((0, 1), (1, 2)):
        model.loop.waiting = waiting
        model.update(steps)
        assert len(model.waiting_x) == count
    assert all(torch.equal(x, steps["x"]) for x in model.waiting_x)
