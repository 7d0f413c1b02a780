"""The zoo's own classifiers, by which generated images are measured: weights that come with it, as ``evaluator/mnist``."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.data.spec import DataSpec
from zoo.hub import list_weights, load

CONFIDENT = 0.9  # probability above which the evaluator counts as confident


def has_evaluator(spec: DataSpec) -> bool:
    """Tell whether there is an evaluator of such data."""
    return f"evaluator/{spec.name}" in list_weights()


class Evaluator:
    """A classifier of the zoo and its last hidden layer, which images are compared by. It is no part of a model."""

    def __init__(self, spec: DataSpec) -> None:
        self.model = load(f"evaluator/{spec.name}").requires_grad_(False)
        *_, last = (m for m in self.model.modules() if isinstance(m, nn.Linear))
        last.register_forward_pre_hook(self._keep)
        self._features = torch.empty(0)

    def _keep(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._features = inputs[0]

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        """Return ``features`` (B, K) of images (B, C, H, W), ``label``, and ``confidence``, its probability (B,)."""
        probability = self.model.to(images.device).eval()(images).float().softmax(1)
        confidence, label = probability.max(1)
        return {"features": self._features.float(), "label": label, "confidence": confidence}


def load_evaluator(spec: DataSpec) -> Evaluator | None:
    """Return the evaluator of such data; None where there is none."""
    return Evaluator(spec) if has_evaluator(spec) else None
