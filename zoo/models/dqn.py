"""Deep Q-networks: what each action is worth is learnt from what is remembered; the best one is taken.

    y = r + γ max_a' Q⁻(s', a'),   loss = huber(Q(s, a) − y)                  Mnih et al. 2015
    double:   y = r + γ Q⁻(s', argmax_a' Q(s', a'))                           van Hasselt, Guez, Silver 2016
    dueling:  Q(s, a) = V(s) + A(s, a) − mean_a' A(s, a')                     Wang et al. 2016

γ = 0 where the episode was lost or won; with several ``n_step``s r is Σ γᵏ rₜ₊ₖ and γ is γⁿ.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.config.schema import check_flag, check_number
from zoo.data.dataset import Batch
from zoo.layers.policy import body, check_body
from zoo.models.rl_base import OffPolicyModule
from zoo.registry import register
from zoo.utils.random import PerSampleGenerator


class Values(nn.Module):
    """Observations to the worth of each action (B, actions)."""

    def __init__(self, spec: Any, *, dueling: bool, **sizes: Any) -> None:
        super().__init__()
        self.advantage = body(spec, **sizes, outputs=spec.outputs, gain=1.0)
        self.state = body(spec, **sizes, outputs=1, gain=1.0) if dueling else None

    def forward(self, x: Tensor) -> Tensor:
        """Return Q(s, ·)."""
        worth: Tensor = self.advantage(x).float()
        return worth if self.state is None else self.state(x).float() + worth - worth.mean(1, keepdim=True)


@register("dqn")
class DQN(OffPolicyModule):
    """A deep Q-network: dense (``widths``), before which images are halved by convolutions (``channels``).

    An action is drawn evenly with a probability that falls from ``epsilon_start`` to ``epsilon_end`` over the share
    ``epsilon_share`` of the run. The network ``Q⁻`` is what Q was up to ``target_every`` steps of the optimiser ago.

    Raises:
        ZooError: an option outside its limits.
    """

    modalities = ("environment",)
    action_spaces = ("discrete",)
    derived_modules: ClassVar[Mapping[str, str]] = {"target": "network"}

    def __init__(
        self,
        *,
        network: str = "auto",
        widths: Sequence[int] = (256, 256),
        channels: Sequence[int] = (16, 32),
        activation: str = "relu",
        double: bool = True,
        dueling: bool = False,
        target_every: int = 128,
        epsilon_start: float = 1.0,
        epsilon_end: float = 0.04,
        epsilon_share: float = 0.16,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        check_body(self.spec, network=network, widths=widths, channels=channels)
        check_number("model.target_every", target_every, low=1, integer=True)
        for name, flag in (("double", double), ("dueling", dueling)):
            check_flag(f"model.{name}", flag)
        for name, share in (("start", epsilon_start), ("end", epsilon_end), ("share", epsilon_share)):
            check_number(f"model.epsilon_{name}", share, low=0, high=1)
        self.double, self.target_every = double, target_every
        self.epsilons = epsilon_start, epsilon_end, epsilon_share
        sizes: dict[str, Any] = {"network": network, "widths": widths, "channels": channels, "activation": activation}
        self.network = Values(self.spec, dueling=dueling, **sizes)
        self.target = copy.deepcopy(self.network).requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the worth of each action (B, actions)."""
        out: Tensor = self.network(self.normalize(x))
        return out

    def worth(self, x: Tensor) -> Tensor:
        """Return what the best action is worth (N,)."""
        return self(x).amax(1)

    @property
    def epsilon(self) -> float:
        """The probability of an even draw at this step of the run."""
        start, end, share = self.epsilons
        done = self.loop.samples / max(share * self.total_samples, 1)
        return max(start + (end - start) * done, end) if start > end else end

    def act(self, x: Tensor, *, greedy: bool = False, draws: PerSampleGenerator | None = None) -> dict[str, Tensor]:
        """Return ``action`` and ``taken`` (N,): the best, or with the probability ``epsilon`` any."""
        taken = self(x).argmax(1)
        if not greedy:
            share = torch.rand(len(x), 2, device=x.device) if draws is None else draws.uniform(2).to(x.device)
            epsilon = self.epsilon if draws is None else self.epsilons[1]
            even = (share[:, 1] * self.spec.outputs).long()
            taken = torch.where(share[:, 0] < epsilon, even, taken)
        return {"action": taken, "taken": taken}

    def loss_of(self, steps: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of remembered steps (B,), and the mean worth of what was done."""
        with torch.no_grad():
            later = self.target(self.normalize(steps["next"]))
            best = (self(steps["next"]) if self.double else later).argmax(1, keepdim=True)
            wanted = steps["reward"] + steps["discount"] * later.gather(1, best).squeeze(1)
        worth = self(steps["x"]).gather(1, steps["taken"][:, None]).squeeze(1)
        return F.smooth_l1_loss(worth, wanted), {"worth": worth.detach().mean()}

    def optimizer_step(self) -> None:
        """Step, and now and then have the target follow."""
        super().optimizer_step()
        if self.loop.steps % self.target_every == 0:
            self.target.load_state_dict(self.network.state_dict())
