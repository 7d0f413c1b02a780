"""Proximal policy optimization (Schulman et al. 2017, https://arxiv.org/abs/1707.06347), Algorithm 1.

    for each iteration:
        1. run π_old in N environments for T steps                         collect_rollout in rl_base.py
        2. compute advantages Â₁ … Â_T                                     gae in rl_base.py
        3. for K epochs, in minibatches of M ≤ NT steps:
            - L = mean[min(ρ Â, clip(ρ, 1 − ε, 1 + ε) Â)] − c₁ mean[(V(s) − R)²] + c₂ mean[H(π(·|s))]
            - step on −L                                                   ρ = π(a|s) / π_old(a|s),   R = Â + V_old(s)

Numbers in comments are those of Huang et al. 2022, The 37 implementation details of proximal policy optimization,
https://iclr-blog-track.github.io/2022/03/25/ppo-implementation-details/. These details are in other files:

- 1, vectorized environments: zoo/data/environment
- 2, orthogonal initialization: zoo/layers/policy.py
- 3, Adam's ε of 1e-5: conf/model/ppo.yaml
- 4, a learning rate that decreases to 0: conf/model/ppo.yaml
- 5, generalized advantage estimation: rl_base.py
- 6, a new order of the steps in each epoch: rl_base.py
- 7, normalized advantages, here per rollout: rl_base.py
- 11, gradients clipped at a norm of 0.5: conf/model/ppo.yaml
- 13, separate networks of actor and critic: rl_base.py

Detail 9, a clipped value loss, is omitted because it brings no gain (Andrychowicz et al. 2021).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from zoo.config.schema import Count, Positive, Probability
from zoo.layers.policy import Samples, log_prob
from zoo.models.rl_base import OnPolicyModule
from zoo.registry import register


@register("ppo")
class PPO(OnPolicyModule):
    """Proximal policy optimization (Schulman et al. 2017): several epochs on each rollout, with a clipped objective.

    The ratio ``ρ = π(a|s) / π_old(a|s)`` is clipped, so that the policy stays near the one that collected the rollout.
    The objective is ``min(ρ Â, clip(ρ, 1 − ε, 1 + ε) Â)``, with a value loss and an entropy bonus. ``forward`` maps
    observations ``(B, *input_shape)`` to action logits ``(B, actions)``, or to mean actions for continuous ones.

    Args:
        n_epochs: number of epochs K on each rollout; its minibatches have data.batch_size steps.
        clip_range: clip range ε of the ratio between the probabilities of an action under the new and the old policy.
        gae_lambda: λ of generalized advantage estimation, from one-step advantages (0) to full returns (1).

    Raises:
        ZooError: an option is outside its limits.
    """

    figures = ("value_loss", "clip_fraction")  # 12

    def __init__(
        self, *, n_epochs: Count = 10, clip_range: Positive = 0.2, gae_lambda: Probability = 0.95, **shared: Any
    ) -> None:
        super().__init__(**shared)
        self.n_epochs, self.clip_range, self.gae_lambda = n_epochs, clip_range, gae_lambda

    @property
    def num_minibatches(self) -> int:
        """Number of minibatches in a rollout."""
        return max(-(-self.rollouts.rows // self.rollouts.batch_size), 1)

    def loss(self, samples: Samples) -> tuple[Tensor, ...]:
        """Return the loss −L of a minibatch, the value loss, and the share of steps outside the clip range."""
        output = self(samples.x)
        ratio = (log_prob(output, self.log_std, samples.action) - samples.log_prob).exp()
        objective = clipped_objective(ratio, samples.advantage, self.clip_range).mean()
        clip_fraction = ((ratio.detach() - 1).abs() > self.clip_range).float().mean()
        return *self.actor_critic_loss(objective, output, samples), clip_fraction  # 10: overall loss


def clipped_objective(ratio: Tensor, advantage: Tensor, clip_range: float) -> Tensor:
    """Return the clipped surrogate objective (B,) of each step, equation 7 of the paper (detail 8)."""
    return torch.minimum(ratio * advantage, ratio.clamp(1 - clip_range, 1 + clip_range) * advantage)
