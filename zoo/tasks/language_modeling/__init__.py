"""The next symbol of a text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import MeanMetric

from zoo.config.schema import ObjectiveOptions
from zoo.data.dataset import Batch, Dataset
from zoo.data.spec import PADDING, DataSpec
from zoo.registry import register_task
from zoo.tasks.base import Baselines, Example, Metrics, Task, TransformedMean, reject_options

if TYPE_CHECKING:
    from lightning import Callback


@register_task("language_modeling", target="next_symbol")
class LanguageModeling(Task):
    """Cross-entropy of each next symbol. ``output`` (B, T, V) logits, ``y`` (B, T) int64; padding does not count.

    ``nll`` is in nats per symbol; perplexity is its exponential, and where symbols are characters it is given in bits
    too.
    """

    monitor, mode = "nll", "min"
    metric_labels: ClassVar[Mapping[str, str]] = {"nll": "nats per token", "accuracy": "next-token accuracy"}
    example = Example(
        lambda metrics, dataset: metrics["nll"] / unigram_nll(dataset),
        0.7,
        0.6,
        "nll {:.3f} times that of single symbols' frequencies is above",
    )
    collects_outputs = False  # of the size of the text times that of the vocabulary
    demo = "generate"
    command = "zoo generate {}"

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.spec = spec
        self.vocabulary, self.characters = spec.vocabulary, spec.tokenizer == "characters"
        self.label_smoothing = 0.0

    @classmethod
    def output_shape(cls, spec: DataSpec) -> tuple[int, ...]:
        """Return (T, V), logits of the next symbol after each."""
        return (*spec.input_shape, spec.vocab_size)

    @classmethod
    def output_size(cls, spec: DataSpec) -> int:
        """Return the size of the vocabulary."""
        return spec.vocab_size

    def configure(self, options: ObjectiveOptions, *, label_smoothing: float) -> None:
        """Take up a run's options."""
        self.label_smoothing = label_smoothing
        self.select_monitor(options.monitor, ("nll", "accuracy", "perplexity"))
        reject_options(options, "the target is the next symbol", "class_weights", "threshold", "loss")

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the mean cross-entropy, a scalar."""
        logits, y = output.flatten(0, 1), batch["y"].flatten()
        return F.cross_entropy(logits.float(), y, ignore_index=PADDING, label_smoothing=self.label_smoothing)

    def metrics(self, stage: str) -> Metrics:
        """Return nll, perplexity, accuracy and, of characters, bits per character."""
        metrics = {"nll": MeanMetric(), "perplexity": TransformedMean(torch.exp), "accuracy": MeanMetric()}
        if self.characters:
            metrics["bits_per_character"] = TransformedMean(lambda nll: nll / math.log(2))
        return Metrics(metrics)

    def update(self, metrics: Metrics, output: Tensor, batch: Batch) -> None:
        """Add a batch: each symbol counts alike."""
        nll, correct = self.token_nll(output, batch), (output.argmax(2) == batch["y"]).float()
        inside = (batch["y"] != PADDING).float()
        pair = (nll, inside)
        metrics.feed(nll=pair, perplexity=pair, bits_per_character=pair, accuracy=(correct, inside))

    def token_nll(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the nats of each next symbol (B, T), 0 where it is padding."""
        logits = output.float().transpose(1, 2)
        return F.cross_entropy(logits, batch["y"], ignore_index=PADDING, reduction="none")

    def predictions(self, output: Tensor) -> dict[str, Tensor]:
        """Return ``probability`` (B, T, V) of each symbol to come next."""
        return {"probability": output.float().softmax(2)}

    def postprocess(self, predictions: dict[str, Tensor]) -> dict[str, Any]:
        """Return the likeliest next ``label`` of each text and ``probability`` (B, V) of what follows its end."""
        probability = predictions["probability"][:, -1]
        return {"label": [self.vocabulary[i] for i in probability.argmax(1).tolist()], "probability": probability}

    def baselines(self, dataset: Dataset, options: Mapping[str, Any]) -> Baselines:
        """Return the ``frequencies`` of single symbols, and a ``5-gram``."""
        from zoo.tasks.language_modeling.baselines import ngram_scores

        return {name: partial(ngram_scores, dataset, order) for name, order in (("frequencies", 1), ("5-gram", 5))}

    def callbacks(self, model: Any, folder: Path) -> list[Callback]:
        """Return what writes a sample after each epoch, where the model generates."""
        from zoo.tasks.language_modeling.callbacks import TextSamples

        return [TextSamples(folder / "samples.txt")] if hasattr(model, "generate") else []

    @classmethod
    def data_options(cls, spec: DataSpec) -> dict[str, Any]:
        """Return the block size and the kind of tokens."""
        return {"data.block_size": spec.input_shape[0], "data.tokenizer": spec.tokenizer}


def unigram_nll(dataset: Dataset) -> float:
    """Return the nats of a test symbol by its frequency there."""
    y = dataset.test["y"].index_select(0, torch.arange(len(dataset.test["y"])))[:, 0]
    frequency = torch.bincount(y).double() / len(y)
    return float(-(frequency * frequency.clamp(min=1e-12).log()).sum())
