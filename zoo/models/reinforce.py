"""REINFORCE with a learned baseline (Williams 1992, https://doi.org/10.1007/BF00992696; Sutton and Barto 2018, 13.4).

run π in N environments for T steps                                    collect_rollout in rl_base.py
of each episode that ended, G_t = Σ_k γᵏ r_{t+k}                        gae in rl_base.py with λ = 1: Â = G − V(s)
step once on −mean[log π(a|s) (G − V(s))] + c₁ mean[(V(s) − G)²] − c₂ mean[H(π(·|s))]
"""

from __future__ import annotations

from torch import Tensor

from zoo.data.dataset import Batch
from zoo.layers.policy import Samples, log_prob
from zoo.models.rl_base import OnPolicyModule
from zoo.registry import register


@register("reinforce")
class REINFORCE(OnPolicyModule):
    """REINFORCE: one step on the whole episodes of each rollout, with a value network as baseline.

    A rollout in which no episode ends is learned from as it is; its returns go on with the value of what comes next.
    ``data.num_steps`` should be as long as an episode.

    Raises:
        ZooError: an option outside its limits.
    """

    gae_lambda = 1.0  # whole returns

    def learned_mask(self, batch: Batch) -> Tensor:
        """Return which steps (T, N) belong to an episode that ended within the rollout."""
        return super().learned_mask(batch) & (complete_episodes(batch["done"]) > 0)

    def loss(self, samples: Samples) -> tuple[Tensor, ...]:
        """Return the loss of the episodes' steps, and that of the baseline."""
        output = self(samples.x)
        objective = (log_prob(output, self.log_std, samples.action) * samples.advantage).mean()
        return self.actor_critic_loss(objective, output, samples)


def complete_episodes(done: Tensor) -> Tensor:
    """Return 1 for each step (T, N) whose episode ended within the rollout, else 0."""
    return done.flip(0).cumsum(0).flip(0).clamp(max=1)
