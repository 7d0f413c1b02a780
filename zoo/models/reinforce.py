"""REINFORCE with a learned baseline (Williams 1992, https://doi.org/10.1007/BF00992696; Sutton and Barto 2018, 13.4).

    1. run π in N environments for T steps                                 collect_rollout in rl_base.py
    2. for each episode that ended, G_t = Σ_k γᵏ r_{t+k}                    gae in rl_base.py with λ = 1: Â = G − V(s)
    3. step once on −mean[log π(a|s) (G − V(s))] + c₁ mean[(V(s) − G)²] − c₂ mean[H(π(·|s))]

The baseline V(s) does not change the mean of the policy gradient, and reduces its variance.
"""

from __future__ import annotations

from torch import Tensor

from zoo.data.dataset import Batch
from zoo.layers.policy import Samples, log_prob
from zoo.models.rl_base import OnPolicyModule
from zoo.registry import register


@register("reinforce")
class REINFORCE(OnPolicyModule):
    """REINFORCE (Williams 1992): one optimizer step on the complete episodes of each rollout, with a learned baseline.

    The policy gradient weights ``log π(a|s)`` with the return G less a value network's estimate V(s), which reduces its
    variance. The loss is ``−mean[log π(a|s) (G − V(s))] + vf_coef mean[(V(s) − G)²] − ent_coef mean[H(π(·|s))]``.
    ``forward`` maps observations ``(B, *input_shape)`` to action logits ``(B, actions)``, or to mean actions for
    continuous ones.

    ``data.num_steps`` should be at least the length of an episode. If no episode ends in a rollout, all its steps
    count, and V of the last observation completes their returns.

    Raises:
        ZooError: an option is outside its limits.
    """

    gae_lambda = 1.0  # full returns

    def learned_mask(self, batch: Batch) -> Tensor:
        """Return a mask (T, N) of the steps whose episode ended within the rollout."""
        return super().learned_mask(batch) & (complete_episodes(batch["done"]) > 0)

    def loss(self, samples: Samples) -> tuple[Tensor, ...]:
        """Return the loss of the steps, and the value loss of the baseline."""
        output = self(samples.x)
        objective = (log_prob(output, self.log_std, samples.action) * samples.advantage).mean()
        return self.actor_critic_loss(objective, output, samples)


def complete_episodes(done: Tensor) -> Tensor:
    """Return 1 for each step (T, N) whose episode ended within the rollout, else 0."""
    return done.flip(0).cumsum(0).flip(0).clamp(max=1)
