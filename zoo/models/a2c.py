"""Advantage actor-critic, the synchronous form of A3C (Mnih et al. 2016, https://arxiv.org/abs/1602.01783), Algorithm S3.

    run π in N environments for T steps                                    collect_rollout in rl_base.py
    compute advantages Â₁ … Â_T and returns R = Â + V(s)                   gae in rl_base.py; λ = 1 in the paper
    step once on −mean[log π(a|s) Â] + c₁ mean[(V(s) − R)²] − c₂ mean[H(π(·|s))]

This is PPO with one epoch and one minibatch, where ρ = 1 and nothing is clipped (Huang et al. 2022, A2C is a special case
of PPO, https://arxiv.org/abs/2205.09123).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from zoo.config.schema import Probability
from zoo.layers.policy import Samples, log_prob
from zoo.models.rl_base import OnPolicyModule
from zoo.registry import register


@register("a2c")
class A2C(OnPolicyModule):
    """Advantage actor-critic: one step on each rollout.

    Args:
        gae_lambda: λ of the advantages, between one-step ones (0) and whole returns (1)

    Raises:
        ZooError: an option outside its limits.
    """

    def __init__(self, *, gae_lambda: Probability = 0.95, **shared: Any) -> None:
        super().__init__(**shared)
        self.gae_lambda = gae_lambda

    def loss(self, samples: Samples) -> tuple[Tensor, ...]:
        """Return the loss of a rollout's steps, and the value loss."""
        output = self(samples.x)
        objective = (log_prob(output, self.log_std, samples.action) * samples.advantage).mean()
        return self.actor_critic_loss(objective, output, samples)
