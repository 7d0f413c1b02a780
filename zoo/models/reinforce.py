"""REINFORCE with a learned baseline (Williams 1992, https://doi.org/10.1007/BF00992696; Sutton and Barto 2018, 13.4).

run π in N environments for T steps                                    collect_rollout in rl_base.py
of each episode that ended, G_t = Σ_k γᵏ r_{t+k}                        gae in rl_base.py with λ = 1: Â = G − V(s)
step once on −mean[log π(a|s) (G − V(s))] + c₁ mean[(V(s) − G)²] − c₂ mean[H(π(·|s))]
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from zoo.data.dataset import Batch
from zoo.layers.policy import entropy, log_prob
from zoo.models.rl_base import OnPolicyModule, Samples
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

    def training_step_on_batch(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Learn from one rollout: returns, loss, step."""
        samples = self.samples_of(batch)
        figures: list[Tensor] = []
        for minibatch in self.minibatches(samples, 1):  # one, of all steps
            loss, value_loss = self.loss(minibatch)
            figures += [self.step_on(loss, minibatch), value_loss]
        return self.training_figures(batch, samples, figures, ("loss", "value_loss"))

    def learned_mask(self, batch: Batch) -> Tensor:
        """Return which steps (T, N) belong to an episode that ended within the rollout."""
        return super().learned_mask(batch) & (complete_episodes(batch["done"]) > 0)

    def loss(self, samples: Samples) -> tuple[Tensor, Tensor]:
        """Return the loss of the episodes' steps, and that of the baseline."""
        output, value = self(samples.x), self.value(samples.x)
        objective = (log_prob(output, self.log_std, samples.action) * samples.advantage).mean()
        value_loss = F.mse_loss(value, samples.returns)
        loss = self.vf_coef * value_loss - objective
        if self.ent_coef:
            loss = loss - self.ent_coef * entropy(output, self.log_std).mean()
        return loss, value_loss.detach()


def complete_episodes(done: Tensor) -> Tensor:
    """Return 1 for each step (T, N) whose episode ended within the rollout, else 0."""
    return done.flip(0).cumsum(0).flip(0).clamp(max=1)
