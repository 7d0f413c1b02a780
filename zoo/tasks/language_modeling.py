"""The next symbol of a text."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import MeanMetric, MetricCollection

from zoo.config.schema import ObjectiveOptions
from zoo.data.dataset import Batch
from zoo.data.spec import PADDING, DataSpec
from zoo.registry import register_task
from zoo.tasks.base import Metrics, Scaled, Task, refuse, watched


@register_task("language_modeling")
class LanguageModeling(Task):
    """Cross-entropy of each next symbol. ``output`` (B, T, V) logits, ``y`` (B, T) int64; padding does not count.

    ``nll`` is in nats per symbol; perplexity is its exponential, and where symbols are characters it is given in bits
    too.
    """

    monitor, mode = "nll", "min"

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.vocabulary, self.characters = spec.vocabulary, spec.tokenizer == "characters"
        self.label_smoothing = 0.0

    def configure(self, options: ObjectiveOptions, *, label_smoothing: float) -> None:
        """Take up a run's options."""
        self.label_smoothing = label_smoothing
        self.monitor, self.mode = watched(options.monitor, "nll", ("nll", "accuracy", "perplexity"))
        refuse(options, "the target is the next symbol", "class_weights", "threshold", "loss")

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the mean cross-entropy, a scalar."""
        logits, y = output.flatten(0, 1), batch["y"].flatten()
        return F.cross_entropy(logits.float(), y, ignore_index=PADDING, label_smoothing=self.label_smoothing)

    def metrics(self, stage: str) -> MetricCollection:
        """Return nll, perplexity, accuracy and, of characters, bits per character."""
        found: dict[str, Any] = {"nll": MeanMetric(), "perplexity": Scaled(torch.exp), "accuracy": MeanMetric()}
        if self.characters:
            found["bits_per_character"] = Scaled(lambda nll: nll / math.log(2))
        return Metrics(found, compute_groups=False)

    def update(self, metrics: MetricCollection, output: Tensor, batch: Batch) -> None:
        """Add a batch: each symbol counts alike."""
        assert isinstance(metrics, Metrics)
        nll, right = self.surprise(output, batch), (output.argmax(2) == batch["y"]).float()
        inside = (batch["y"] != PADDING).float()
        pair = (nll, inside)
        metrics.feed(nll=pair, perplexity=pair, bits_per_character=pair, accuracy=(right, inside))

    def surprise(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the nats of each next symbol (B, T), 0 where it is padding."""
        logits = output.float().transpose(1, 2)
        return F.cross_entropy(logits, batch["y"], ignore_index=PADDING, reduction="none")

    def predictions(self, output: Tensor) -> dict[str, Tensor]:
        """Return ``probability`` (B, T, V) of each symbol to come next."""
        return {"probability": output.float().softmax(2)}

    def collect(self, output: Tensor, batch: Batch) -> Tensor | None:
        """Return nothing: a test's outputs are the size of its text times that of the vocabulary."""
        return None

    def postprocess(self, predictions: dict[str, Tensor]) -> dict[str, Any]:
        """Return the likeliest next ``label`` of each text and ``probability`` (B, V) of what follows its end."""
        probability = predictions["probability"][:, -1]
        return {"label": [self.vocabulary[i] for i in probability.argmax(1).tolist()], "probability": probability}
