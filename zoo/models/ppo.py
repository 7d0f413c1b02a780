"""Proximal policy optimization (Schulman et al. 2017, https://arxiv.org/abs/1707.06347), Algorithm 1.

    for each iteration:
        run π_old in N environments for T steps                            collect_rollout in rl_base.py
        compute advantages Â₁ … Â_T                                        gae in rl_base.py
        for K epochs, in minibatches of M ≤ NT steps:
            L = mean[min(ρ Â, clip(ρ, 1 − ε, 1 + ε) Â)] − c₁ mean[(V(s) − R)²] + c₂ mean[H(π(·|s))]
            step on −L                                                     ρ = π(a|s) / π_old(a|s),   R = Â + V_old(s)

Numbers in comments are those of Huang et al. 2022, The 37 implementation details of proximal policy optimization,
https://iclr-blog-track.github.io/2022/03/25/ppo-implementation-details/. Details that lie elsewhere: 1 vectorized
environments (zoo/data/environment), 2 orthogonal weights (zoo/layers/policy.py), 5 generalized advantage estimation,
6 a new order in each epoch, 7 advantages normalized per rollout and 13 networks of their own (rl_base.py), 3 Adam's ε of 1e-5, 4 a learning rate
that falls to 0 and 11 gradients clipped at a norm of 0.5 (conf/model/ppo.yaml). 9, a clipped value loss, is left out: it
gains nothing (Andrychowicz et al. 2021).
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
    """Proximal policy optimization: several epochs on each rollout, with a clipped surrogate objective.

    Args:
        n_epochs: times that it learns from each rollout, K; minibatches have data.batch_size steps, M
        clip_range: ε, how far a probability may move from that of the rollout before its gradient is cut
        gae_lambda: λ of the advantages, between one-step ones (0) and whole returns (1)

    Raises:
        ZooError: an option outside its limits.
    """

    figures = ("value_loss", "clip_fraction")  # 12

    def __init__(
        self, *, n_epochs: Count = 10, clip_range: Positive = 0.2, gae_lambda: Probability = 0.95, **shared: Any
    ) -> None:
        super().__init__(**shared)
        self.n_epochs, self.clip_range, self.gae_lambda = n_epochs, clip_range, gae_lambda

    @property
    def num_minibatches(self) -> int:
        """Minibatches of a rollout."""
        return max(-(-self.rollouts.rows // self.rollouts.batch_size), 1)

    def loss(self, samples: Samples) -> tuple[Tensor, ...]:
        """Return the loss −L of a minibatch, the value loss, and the share of steps beyond the clip range."""
        output = self(samples.x)
        ratio = (log_prob(output, self.log_std, samples.action) - samples.log_prob).exp()
        objective = clipped_objective(ratio, samples.advantage, self.clip_range).mean()
        clip_fraction = ((ratio.detach() - 1).abs() > self.clip_range).float().mean()
        return *self.actor_critic_loss(objective, output, samples), clip_fraction  # 10: overall loss


def clipped_objective(ratio: Tensor, advantage: Tensor, clip_range: float) -> Tensor:
    """Return the clipped surrogate objective of each step (B,), equation 7 of the paper (detail 8)."""
    return torch.minimum(ratio * advantage, ratio.clamp(1 - clip_range, 1 + clip_range) * advantage)
