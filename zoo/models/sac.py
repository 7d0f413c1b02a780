"""Soft actor-critic (Haarnoja et al. 2018, https://arxiv.org/abs/1812.05905), Algorithm 1.

    for each step of the environments:
        - a ~ π(·|s), and store (s, a, r, s') in the replay buffer           act; collect_rollout in rl_base.py
    for each update, on transitions sampled from the buffer:
        1. critics      step on ½ Σᵢ (Qᵢ(s, a) − y)²                         equation 5
                        y = r + γ (min_i Qᵢ⁻(s', a') − α log π(a'|s')),   a' ~ π(·|s')
        2. actor        step on α log π(ã|s) − min_i Qᵢ(s, ã)                equation 9
                        ã = tanh(μ(s) + σ(s) ε),   ε ~ N(0, 1)
        3. temperature  step on −log α (log π(ã|s) + H̄)                      equation 18, for log α
        4. targets      Qᵢ⁻ ← τ Qᵢ + (1 − τ) Qᵢ⁻

γ is 0 where the episode terminated. The actor learns from the critics of the same update, after their step.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.config.schema import Positive, Sizes, number
from zoo.data.dataset import Batch
from zoo.data.environment.spec import PENDULUM
from zoo.data.spec import DataSpec
from zoo.layers.blocks import frozen
from zoo.layers.policy import observation_network
from zoo.models.rl_base import OffPolicyModule
from zoo.registry import register
from zoo.tasks.control import scaled
from zoo.utils.random import PerSampleGenerator

LOG_STD_MIN, LOG_STD_MAX = -5.0, 2.0


class Critics(nn.Module):
    """Two Q-networks: observations ``(B, *input_shape)`` and actions (B, numbers) in [−1, 1] to Q₁ and Q₂ (2, B)."""

    def __init__(self, spec: DataSpec, **sizes: Any) -> None:
        super().__init__()
        inputs = math.prod(spec.input_shape) + spec.outputs
        networks = (observation_network(spec, **sizes, inputs=inputs, outputs=1) for _ in range(2))
        self.networks = nn.ModuleList(networks)

    def forward(self, x: Tensor, action: Tensor) -> Tensor:
        """Return Q₁ and Q₂ (2, B)."""
        inputs = torch.cat([x.flatten(1), action], 1)
        return torch.stack([network(inputs).float().squeeze(1) for network in self.networks])


@register("sac")
class SAC(OffPolicyModule):
    """Soft actor-critic (Haarnoja et al. 2018) for continuous actions: it maximizes return and entropy.

    The actor maximizes ``min(Q₁, Q₂) − α log π(a|s)``. The two critics learn from a replay buffer, against target
    networks that follow them slowly. The temperature α adapts so that the entropy stays near ``target_entropy``.
    ``forward`` maps observations ``(B, *input_shape)`` to the most likely actions ``(B, numbers)`` in [−1, 1].

    Args:
        hidden_sizes: sizes of the dense layers.
        activation: activation of the hidden layers.
        alpha: initial temperature α.
        target_entropy: entropy H̄ to which the temperature adapts; null: minus the number of action dimensions.
        tau: τ of the target networks' moving average: their step towards the critics in each update.
        actor_lr: learning rate of the actor, as a multiple of optimizer.lr, which the critics use.
        alpha_lr: learning rate of the temperature, as a multiple of optimizer.lr.

    Raises:
        ZooError: an option is outside its limits.
    """

    action_spaces = ("continuous",)
    learns_in_parts = True  # critics, actor and temperature have gradients in turn
    derived_modules: ClassVar[Mapping[str, str]] = {"target_critics": "critics"}
    training_attributes = ("waiting_x",)

    def __init__(
        self,
        *,
        spec: DataSpec | dict[str, Any] = PENDULUM,
        hidden_sizes: Sizes = (256, 256),
        activation: str = "relu",
        alpha: Positive = 1.0,
        target_entropy: Annotated[float | None, number(optional=True)] = None,
        tau: Annotated[float, number(above=0, high=1)] = 0.005,
        actor_lr: Positive = 1.0,
        alpha_lr: Positive = 1.0,
        replay_ratio: float = 1.0,
        **shared: Any,
    ) -> None:
        super().__init__(spec=spec, replay_ratio=replay_ratio, **shared)
        self.actor_lr, self.alpha_lr, self.tau = actor_lr, alpha_lr, tau
        numbers = self.spec.outputs
        self.target_entropy = -float(numbers) if target_entropy is None else target_entropy
        sizes: dict[str, Any] = {"hidden_sizes": hidden_sizes, "activation": activation}
        self.actor = observation_network(self.spec, **sizes, outputs=2 * numbers, gain=0.01)
        self.critics = Critics(self.spec, **sizes)
        self.target_critics = copy.deepcopy(self.critics).requires_grad_(False)
        self.log_alpha = nn.Parameter(torch.tensor(math.log(alpha)))
        self.waiting_x: list[Tensor] = []  # observations for the actor's step, which follows the critics'

    def parameter_groups(self) -> list[tuple[list[nn.Parameter], float]]:
        """Return the parameters of critics, actor and temperature, with their factors of the learning rate."""
        groups = [(list(self.critics.parameters()), 1.0), (list(self.actor.parameters()), self.actor_lr)]
        return [*groups, ([self.log_alpha], self.alpha_lr)]

    def forward(self, x: Tensor) -> Tensor:
        """Return the most likely actions (B, numbers) in [−1, 1]: tanh of the mean."""
        return self.distribution(x)[0].tanh()

    def distribution(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return μ and log σ (B, numbers) of the policy before the tanh."""
        mean, log_std = self.actor(self.normalize(x)).float().chunk(2, 1)
        return mean, LOG_STD_MIN + (LOG_STD_MAX - LOG_STD_MIN) / 2 * (log_std.tanh() + 1)

    # --- collect ---

    def act(self, x: Tensor, *, greedy: bool = False, generator: PerSampleGenerator | None = None) -> dict[str, Tensor]:
        """Return ``action`` in the environment's units and ``raw_action`` in [−1, 1].

        Before learning starts, actions are uniform.
        """
        mean, log_std = self.distribution(x)
        if greedy:
            action = mean.tanh()
        elif generator is None and not self.learning_started:
            action = 2 * torch.rand_like(mean) - 1
        else:
            noise = torch.randn_like(mean) if generator is None else generator.normal(mean.shape[1]).to(mean)
            action = squashed(mean, log_std, noise)[0]
        return {"action": scaled(action, self.task.low, self.task.high), "raw_action": action}

    def sample_action(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return sampled actions (B, numbers) in [−1, 1], and their log π(a|s) (B,)."""
        mean, log_std = self.distribution(x)
        return squashed(mean, log_std, torch.randn_like(mean))

    # --- learn ---

    def update(self, transitions: Batch) -> Tensor:
        """Add the gradient of the critics; step once ``trainer.accumulate_grad_batches`` batches are complete."""
        if not self.loop.waiting:  # a time limit may have ended an epoch within a group
            self.waiting_x = []
        self.waiting_x.append(transitions["x"])
        return self.step_on(self.critic_loss(transitions))

    def optimizer_step(self) -> None:  # type: ignore[override]
        """Step the critics, then the actor, then the temperature, and update the target networks."""
        self.apply_gradients()  # 1. critics
        log_probs = []
        with frozen(self.critics):
            for x in self.waiting_x:
                actor_loss, log_prob = self.actor_loss(x)
                self.add_gradients(actor_loss)
                log_probs.append(log_prob)
        self.apply_gradients()  # 2. actor
        for log_prob in log_probs:
            self.add_gradients(self.alpha_loss(log_prob))
            self.add_figures(entropy=-log_prob.mean(), alpha=self.log_alpha.detach().exp())
        self.apply_gradients()  # 3. temperature
        with torch.no_grad():  # 4. targets
            torch._foreach_lerp_(list(self.target_critics.parameters()), list(self.critics.parameters()), self.tau)
        self.waiting_x.clear()
        self.count_step()

    def critic_loss(self, transitions: Batch) -> Tensor:
        """Return ½ Σᵢ (Qᵢ(s, a) − y)², averaged over transitions (B,)."""
        with torch.no_grad():
            next_action, log_prob = self.sample_action(transitions["next_x"])
            next_values = self.target_critics(self.normalize(transitions["next_x"]), next_action)
            next_value = next_values.amin(0) - self.log_alpha.exp() * log_prob
            target = transitions["reward"] + transitions["discount"] * next_value
        values: Tensor = self.critics(self.normalize(transitions["x"]), transitions["action"])
        loss: Tensor = 0.5 * (values - target).square().sum(0).mean()
        return loss

    def actor_loss(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return α log π(ã|s) − min_i Qᵢ(s, ã), averaged over observations (B, …), and the detached log π(ã|s)."""
        action, log_prob = self.sample_action(x)
        value = self.critics(self.normalize(x), action).amin(0)
        return (self.log_alpha.detach().exp() * log_prob - value).mean(), log_prob.detach()

    def alpha_loss(self, log_prob: Tensor) -> Tensor:
        """Return −log α (log π(ã|s) + H̄), averaged over log probabilities (B,)."""
        return -self.log_alpha * (log_prob.mean() + self.target_entropy)


def squashed(mean: Tensor, log_std: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Return tanh(μ + σ ε) (B, numbers) and its log density (B,), with the tanh's Jacobian (appendix C of the paper)."""
    u = mean + log_std.exp() * noise
    log_normal = -0.5 * noise.square() - log_std - 0.5 * math.log(2 * math.pi)
    log_jacobian = 2 * (math.log(2) - u - F.softplus(-2 * u))  # log(1 − tanh² u)
    return u.tanh(), (log_normal - log_jacobian).sum(1)
