"""What was played, remembered in a ring: steps of several environments side by side, drawn with what came after."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from zoo.data.dataset import Batch

KEPT = ("x", "taken", "reward", "terminated", "ended", "valid")


class Memory:
    """The last ``capacity`` steps of ``count`` environments together, kept where ``device`` is."""

    def __init__(self, capacity: int, count: int, *, device: torch.device | str = "cpu") -> None:
        self.length, self.count, self.device = max(capacity // count, 2), count, torch.device(device)
        self.written = 0  # steps of each environment so far
        self.rings: dict[str, Tensor] = {}

    def __len__(self) -> int:
        return min(self.written, self.length) * self.count

    def add(self, steps: Batch) -> None:
        """Add what was played: each of KEPT (T, count, …)."""
        total = len(steps["reward"])
        for name in KEPT:
            if name not in self.rings:
                shape = (self.length, *steps[name].shape[1:])
                self.rings[name] = torch.zeros(shape, dtype=steps[name].dtype, device=self.device)
        for name, ring in self.rings.items():
            at = torch.arange(self.written, self.written + total, device=self.device)[-self.length :] % self.length
            ring[at] = steps[name][-self.length :].to(self.device)
        self.written += total

    def ready(self, ahead: int) -> bool:
        """Tell whether there are steps with as many after them."""
        return min(self.written, self.length) > ahead

    def draw(self, rows: int, *, ahead: int, gamma: float) -> Batch:
        """Return ``rows`` steps that were drawn evenly, each with what came of it within ``ahead`` steps (Sutton 1988).

        ``x`` and ``taken`` are of the step, ``reward`` is Σ γᵏ r over the steps until the episode's end, ``next`` what
        was seen after them, and ``discount`` what its value counts: γ to the power of their number, 0 where the episode
        was lost or won by then.
        """
        held = min(self.written, self.length)
        oldest = self.written - held
        found: dict[str, Tensor] = {}
        while not found or len(found["x"]) < rows:  # steps that only began an episode are drawn again
            more = self._drawn(2 * rows, oldest, held - ahead, ahead, gamma)
            found = {name: torch.cat([found[name], value]) if found else value for name, value in more.items()}
        return {name: value[:rows] for name, value in found.items()}

    def _drawn(self, rows: int, oldest: int, spread: int, ahead: int, gamma: float) -> Batch:
        step = oldest + torch.randint(spread, (rows,), device=self.device)
        env = torch.randint(self.count, (rows,), device=self.device)
        good = self._at("valid", step, env) > 0
        step, env = step[good], env[good]
        reward = torch.zeros(len(step), device=self.device)
        discount, going = torch.ones_like(reward), torch.ones_like(reward)
        after = step.clone()
        for _ in range(ahead):
            reward += discount * going * self._at("reward", after, env)
            discount = torch.where(going > 0, discount * gamma * (1 - self._at("terminated", after, env)), discount)
            ended, after = self._at("ended", after, env), torch.where(going > 0, after + 1, after)
            going = going * (1 - ended)
        return {
            "x": self._at("x", step, env),
            "taken": self._at("taken", step, env),
            "reward": reward,
            "discount": discount,
            "next": self._at("x", after, env),
        }

    def _at(self, name: str, step: Tensor, env: Tensor) -> Tensor:
        return self.rings[name][step % self.length, env]

    def state_dict(self) -> dict[str, Any]:
        """Return all that is remembered."""
        return {"written": self.written, "rings": dict(self.rings)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Remember that."""
        self.written = state["written"]
        self.rings = {name: ring.to(self.device) for name, ring in state["rings"].items()}
