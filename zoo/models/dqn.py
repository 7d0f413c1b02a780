"""Deep Q-networks (Mnih et al. 2015, https://doi.org/10.1038/nature14236), Algorithm 1, with three extensions.

    for each step of the environments:
        1. a = argmax_a Q(s, a), or with probability ε a random action      act
        2. store (s, a, r, s') in the replay buffer                         collect_rollout in rl_base.py
    for each update, on transitions sampled from the buffer:
        3. y = r + γ max_a' Q⁻(s', a')                                      γ = 0 where the episode terminated
        4. step on huber(Q(s, a) − y)                                       td_loss
        5. every C updates: Q⁻ = Q                                          optimizer_step

The extensions are:

    - double    y = r + γ Q⁻(s', argmax_a' Q(s', a'))                       van Hasselt, Guez, Silver 2016
    - dueling   Q(s, a) = V(s) + A(s, a) − mean_a' A(s, a')                 Wang et al. 2016
    - n_step    r = Σ γᵏ r_{t+k} and γⁿ in place of γ                       Sutton 1988, Hessel et al. 2018

Differences from the paper: Adam in place of RMSprop, several environments at once, and ``replay_ratio`` updates for
each of their steps.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.config.schema import Count, Flag, Probability, Sizes, one_of
from zoo.data.dataset import Batch
from zoo.data.spec import DataSpec
from zoo.layers.policy import NETWORKS, observation_network
from zoo.models.rl_base import OffPolicyModule
from zoo.registry import register
from zoo.utils.random import PerSampleGenerator


class QNetwork(nn.Module):
    """The Q-network: observations ``(B, *input_shape)`` to the value ``(B, actions)`` of each action."""

    def __init__(self, spec: DataSpec, *, dueling: bool, **sizes: Any) -> None:
        super().__init__()
        self.advantage = observation_network(spec, **sizes, outputs=spec.outputs)
        self.state_value = observation_network(spec, **sizes, outputs=1) if dueling else None

    def forward(self, x: Tensor) -> Tensor:
        """Return Q(s, ·)."""
        advantage: Tensor = self.advantage(x).float()
        if self.state_value is None:
            return advantage  # Q(s, ·)
        value: Tensor = self.state_value(x).float()
        return value + advantage - advantage.mean(1, keepdim=True)


@register("dqn")
class DQN(OffPolicyModule):
    """A deep Q-network (Mnih et al. 2015) for discrete actions: it takes the action with the highest value.

    Q(s, a) estimates the discounted return of action a, and learns from a replay buffer towards
    ``y = r + γ max_a' Q⁻(s', a')``. Q⁻ is the target network, a copy of Q that changes every ``target_update_interval``
    steps. ``forward`` maps observations ``(B, *input_shape)`` to action values ``(B, actions)``.

    Args:
        network: auto (conv for image observations), dense or conv.
        hidden_sizes: sizes of the dense layers.
        channels: output channels of the convolutions, each of which halves the image.
        activation: activation of the hidden layers.
        double: double DQN: select the next action by Q, and evaluate it by the target network Q⁻.
        dueling: dueling network: sum a state value and the advantages of the actions.
        target_update_interval: optimizer steps between updates of the target network.
        exploration_initial_eps: initial probability ε of a random action.
        exploration_final_eps: final probability ε of a random action.
        exploration_fraction: share of the run over which ε decreases linearly.

    Raises:
        ZooError: an option is outside its limits.
    """

    action_spaces = ("discrete",)
    derived_modules: ClassVar[Mapping[str, str]] = {"target_network": "q_network"}

    def __init__(
        self,
        *,
        network: Annotated[str, one_of(NETWORKS)] = "auto",
        hidden_sizes: Sizes = (256, 256),
        channels: Sizes = (16, 32),
        activation: str = "relu",
        double: Flag = True,
        dueling: Flag = False,
        target_update_interval: Count = 128,
        exploration_initial_eps: Probability = 1.0,
        exploration_final_eps: Probability = 0.04,
        exploration_fraction: Probability = 0.16,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        self.initial_eps, self.final_eps = exploration_initial_eps, exploration_final_eps
        self.exploration_fraction = exploration_fraction
        self.double_q, self.target_update_interval = double, target_update_interval
        sizes: dict[str, Any] = {"hidden_sizes": hidden_sizes, "channels": channels, "activation": activation}
        self.q_network = QNetwork(self.spec, dueling=dueling, network=network, **sizes)
        self.target_network = copy.deepcopy(self.q_network).requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the value (B, actions) of each action."""
        q_values: Tensor = self.q_network(self.normalize(x))
        return q_values

    def value(self, x: Tensor) -> Tensor:
        """Return the value (N,) of the best action."""
        return torch.amax(self(x), 1)

    # --- collect ---

    @property
    def epsilon(self) -> float:
        """Probability ε of a random action at this step of the run."""
        initial, final = self.initial_eps, self.final_eps
        progress = self.loop.samples / max(self.exploration_fraction * self.total_samples, 1)
        return max(initial + (final - initial) * progress, final) if initial > final else final

    def act(self, x: Tensor, *, greedy: bool = False, generator: PerSampleGenerator | None = None) -> dict[str, Tensor]:
        """Return the ``action`` (N,): the best one, or a random one with probability ``epsilon`` (ε-greedy)."""
        action = self(x).argmax(1)
        if not greedy:
            uniform = torch.rand(len(x), 2, device=x.device) if generator is None else generator.uniform(2).to(x.device)
            epsilon = self.epsilon if generator is None else self.final_eps
            random_action = (uniform[:, 1] * self.spec.outputs).long()
            action = torch.where(uniform[:, 0] < epsilon, random_action, action)
        return {"action": action, "raw_action": action}

    # --- learn ---

    def update(self, transitions: Batch) -> Tensor:
        """Take an optimizer step on the loss of sampled transitions."""
        loss, q_value = self.td_loss(transitions)
        self.add_figures(q_value=q_value)
        return self.step_on(loss)

    def td_loss(self, transitions: Batch) -> tuple[Tensor, Tensor]:
        """Return the Huber loss of the temporal-difference errors of transitions (B,), and the mean Q(s, a)."""
        with torch.no_grad():
            next_values = self.target_network(self.normalize(transitions["next_x"]))
            chosen_by = self(transitions["next_x"]) if self.double_q else next_values
            next_value = next_values.gather(1, chosen_by.argmax(1, keepdim=True)).squeeze(1)
            target = transitions["reward"] + transitions["discount"] * next_value
        q_value = self(transitions["x"]).gather(1, transitions["action"][:, None]).squeeze(1)
        return F.smooth_l1_loss(q_value, target), q_value.detach().mean()

    def optimizer_step(self) -> None:  # type: ignore[override]
        """Take an optimizer step, and update the target network every ``target_update_interval`` steps."""
        super().optimizer_step()
        if self.loop.steps % self.target_update_interval == 0:
            self.target_network.load_state_dict(self.q_network.state_dict())
