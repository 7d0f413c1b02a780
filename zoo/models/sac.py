"""Soft actor-critic: as much reward as can be had, by a policy that is as random as that allows.

    y = r + γ (min_i Qᵢ⁻(s', a') − α log π(a'|s')),   a' ~ π(·|s')
    critics      ½ Σᵢ (Qᵢ(s, a) − y)²
    actor        α log π(ã|s) − min_i Qᵢ(s, ã),   ã = tanh(μ(s) + σ(s) ε)
    temperature  −log α · (log π(ã|s) + H),   H = −numbers of an action by default

Haarnoja et al.: Soft actor-critic algorithms and applications, 2018. All three are learnt in each step, each network by
its own loss alone.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.config.schema import check_number
from zoo.data.dataset import Batch
from zoo.data.environment.spec import PENDULUM
from zoo.data.spec import DataSpec
from zoo.layers.blocks import frozen
from zoo.layers.policy import body, check_body
from zoo.models.rl_base import OffPolicyModule
from zoo.registry import register
from zoo.tasks.control import scaled
from zoo.utils.random import PerSampleGenerator

LEAST, MOST = -5.0, 2.0  # of log σ


class Critics(nn.Module):
    """Two judges of an action (B, numbers) in [−1, 1] where (B, *input_shape) is seen: flat observations alone."""

    def __init__(self, spec: Any, **sizes: Any) -> None:
        super().__init__()
        inputs = math.prod(spec.input_shape) + spec.outputs
        self.both = nn.ModuleList(body(spec, **sizes, inputs=inputs, outputs=1, gain=1.0) for _ in range(2))

    def forward(self, x: Tensor, action: Tensor) -> Tensor:
        """Return what both say (2, B)."""
        seen = torch.cat([x.flatten(1), action], 1)
        return torch.stack([one(seen).float().squeeze(1) for one in self.both])


def squashed(mean: Tensor, log_std: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Return tanh(μ + σ ε) (B, numbers) and its log density (B,), which the tanh narrows."""
    u = mean + log_std.exp() * noise
    normal = -0.5 * noise.square() - log_std - 0.5 * math.log(2 * math.pi)
    narrowed = 2 * (math.log(2) - u - F.softplus(-2 * u))  # log(1 − tanh² u)
    return u.tanh(), (normal - narrowed).sum(1)


@register("sac")
class SAC(OffPolicyModule):
    """An actor, two critics and a temperature α, for actions that are numbers; dense networks of ``widths``.

    α begins at ``temperature`` and keeps the policy's entropy near ``entropy`` (None: minus the numbers of an action).
    The critics' targets follow by the share ``follow`` in each step. The critics learn at the learning rate, the actor
    and the temperature at the shares ``actor_lr`` and ``temperature_lr`` of it.

    Raises:
        ZooError: an option outside its limits.
    """

    modalities = ("environment",)
    action_spaces = ("continuous",)
    derived_modules: ClassVar[Mapping[str, str]] = {"target": "critics"}

    def __init__(
        self,
        *,
        spec: DataSpec | dict[str, Any] = PENDULUM,
        widths: Sequence[int] = (256, 256),
        activation: str = "relu",
        temperature: float = 1.0,
        entropy: float | None = None,
        follow: float = 0.005,
        actor_lr: float = 1.0,
        temperature_lr: float = 1.0,
        replay_ratio: float = 1.0,
        **shared: Any,
    ) -> None:
        super().__init__(spec=spec, replay_ratio=replay_ratio, **shared)
        check_body(self.spec, network="dense", widths=widths, channels=())
        check_number("model.temperature", temperature, above=0)
        check_number("model.entropy", entropy, optional=True)
        check_number("model.follow", follow, above=0, high=1)
        for name, share in (("actor_lr", actor_lr), ("temperature_lr", temperature_lr)):
            check_number(f"model.{name}", share, above=0)
        self.rates = actor_lr, temperature_lr
        numbers = self.spec.outputs
        self.entropy, self.follow = -float(numbers) if entropy is None else entropy, follow
        sizes: dict[str, Any] = {"network": "dense", "widths": widths, "channels": (), "activation": activation}
        self.actor = body(self.spec, **sizes, outputs=2 * numbers, gain=0.01)
        self.critics = Critics(self.spec, **sizes)
        self.target = copy.deepcopy(self.critics).requires_grad_(False)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)))

    def forward(self, x: Tensor) -> Tensor:
        """Return the likeliest actions (B, numbers), before they are squashed to [−1, 1]: tanh of the mean."""
        return self.distribution(x)[0].tanh()

    def parameter_groups(self) -> list[tuple[list[nn.Parameter], float]]:
        """Return the parameters of critics, actor and temperature, each clipped by themselves, with their rates."""
        actor_lr, temperature_lr = self.rates
        groups = [(list(self.critics.parameters()), 1.0), (list(self.actor.parameters()), actor_lr)]
        return [*groups, ([self.log_temperature], temperature_lr)]

    def distribution(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return μ and log σ (B, numbers) of the policy before the tanh."""
        mean, log_std = self.actor(self.normalize(x)).float().chunk(2, 1)
        return mean, LEAST + (MOST - LEAST) / 2 * (log_std.tanh() + 1)

    def act(self, x: Tensor, *, greedy: bool = False, draws: PerSampleGenerator | None = None) -> dict[str, Tensor]:
        """Return ``action`` in the environment's units and ``taken`` in [−1, 1]; evenly drawn ones in the warm-up."""
        mean, log_std = self.distribution(x)
        if greedy:
            taken = mean.tanh()
        elif draws is None and self.warming:
            taken = 2 * torch.rand_like(mean) - 1
        else:
            noise = torch.randn_like(mean) if draws is None else draws.normal(mean.shape[1]).to(mean)
            taken = squashed(mean, log_std, noise)[0]
        return {"action": scaled(taken, self.low, self.high), "taken": taken}

    def loss_of(self, steps: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the sum of the losses of remembered steps (B,), of which each part has a gradient from its own."""
        x, after, alpha = self.normalize(steps["x"]), self.normalize(steps["next"]), self.log_temperature.detach().exp()
        with torch.no_grad():
            action, log_density = squashed(*self.distribution(steps["next"]), torch.randn_like(steps["taken"]))
            future = self.target(after, action).amin(0) - alpha * log_density
            wanted = steps["reward"] + steps["discount"] * future
        of_critics = 0.5 * (self.critics(x, steps["taken"]) - wanted).square().sum(0).mean()
        action, log_density = squashed(*self.distribution(steps["x"]), torch.randn_like(steps["taken"]))
        with frozen(self.critics):
            of_actor = (alpha * log_density - self.critics(x, action).amin(0)).mean()
        of_temperature = -self.log_temperature * (log_density.detach().mean() + self.entropy)
        said = {"critic_loss": of_critics.detach(), "entropy": -log_density.detach().mean(), "temperature": alpha}
        return of_critics + of_actor + of_temperature, said

    @torch.no_grad()
    def optimizer_step(self) -> None:
        """Step, and have the targets follow."""
        super().optimizer_step()
        torch._foreach_lerp_(list(self.target.parameters()), list(self.critics.parameters()), self.follow)
