"""Advantage actor-critic, the synchronous form of A3C, Algorithm S3 of its paper.

Mnih et al. 2016, https://arxiv.org/abs/1602.01783

    1. run π in N environments for T steps                                 collect_rollout in rl_base.py
    2. compute advantages Â₁ … Â_T and returns R = Â + V(s)                gae in rl_base.py; λ = 1 in the paper
    3. step once on −mean[log π(a|s) Â] + c₁ mean[(V(s) − R)²] − c₂ mean[H(π(·|s))]

This is PPO with one epoch, one minibatch, ρ = 1 and no clipping (Huang et al. 2022, A2C is a special case of PPO,
https://arxiv.org/abs/2205.09123).
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
    """Advantage actor-critic (Mnih et al. 2016): one optimizer step on each rollout.

    The actor follows the policy gradient ``log π(a|s) Â``, where the critic's values V(s) give the advantages Â. The
    loss is ``−mean[log π(a|s) Â] + vf_coef mean[(V(s) − R)²] − ent_coef mean[H(π(·|s))]``. ``forward`` maps
    observations ``(B, *input_shape)`` to action logits ``(B, actions)``, or to mean actions for continuous ones.

    Args:
        gae_lambda: λ of generalized advantage estimation, from one-step advantages (0) to full returns (1).

    Raises:
        ZooError: an option is outside its limits.
    """

    def __init__(self, *, gae_lambda: Probability = 0.95, **shared: Any) -> None:
        super().__init__(**shared)
        self.gae_lambda = gae_lambda

    def loss(self, samples: Samples) -> tuple[Tensor, ...]:
        """Return the loss of the steps of a rollout, and the value loss."""
        output = self(samples.x)
        objective = (log_prob(output, self.log_std, samples.action) * samples.advantage).mean()
        return self.actor_critic_loss(objective, output, samples)
