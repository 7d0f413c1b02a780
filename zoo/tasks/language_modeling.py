"""Language modeling: the next token of a text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from lightning import Callback
from torch import Tensor
from torchmetrics import MeanMetric

from zoo.data.dataset import Batch, Dataset
from zoo.data.spec import PADDING, DataSpec
from zoo.data.text.spec import TextSpec
from zoo.metrics.scores import Scores
from zoo.registry import register_task
from zoo.tasks.base import Baselines, EpochSamples, Example, Metrics, Task, TransformedMean
from zoo.utils.atomic_io import atomic_write
from zoo.utils.console import print_progress

CHARACTERS, WORDS = 120, 40  # length of a sample


def relative_nll(metrics: Mapping[str, float], dataset: Dataset) -> float:
    """Return the negative log-likelihood as a multiple of that of the test tokens' own frequencies."""
    y = dataset.test["y"].index_select(0, torch.arange(len(dataset.test["y"])))[:, 0]
    frequency = torch.bincount(y).double() / len(y)
    return metrics["nll"] / float(-(frequency * frequency.clamp(min=1e-12).log()).sum())


@register_task("language_modeling", target="next_symbol")
class LanguageModeling(Task):
    """Language modeling by cross-entropy: ``output`` (B, T, V) has logits, and ``y`` (B, T) the next tokens as int64.

    Padding does not count. ``nll`` is in nats per token, and perplexity is its exponential. For characters it is also
    reported in bits.
    """

    monitor, mode, monitors = "nll", "min", ("nll", "accuracy", "perplexity")
    rejected_options = dict.fromkeys(("class_weights", "threshold", "loss"), "the target is the next token")
    metric_labels: ClassVar[Mapping[str, str]] = {"nll": "nats per token", "accuracy": "next-token accuracy"}
    example = Example(relative_nll, 0.7, 0.6, "nll {:.3f} times that of the token frequencies is above")
    collects_outputs = False  # their size would be that of the text times that of the vocabulary
    demo = "generate"
    command = "zoo generate {}"

    def __init__(self, spec: TextSpec) -> None:
        super().__init__()
        self.spec = spec
        self.vocabulary, self.characters = spec.vocabulary, spec.tokenizer == "characters"

    @classmethod
    def output_shape(cls, spec: DataSpec) -> tuple[int, ...]:
        """Return (T, V), logits of the next token at each step."""
        return (*spec.input_shape, spec.vocab_size)

    @classmethod
    def output_size(cls, spec: DataSpec) -> int:
        """Return the size of the vocabulary."""
        return spec.vocab_size

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the mean cross-entropy, a scalar."""
        logits, y = output.flatten(0, 1), batch["y"].flatten()
        return F.cross_entropy(logits.float(), y, ignore_index=PADDING, label_smoothing=self.label_smoothing)

    def metrics(self, stage: str) -> Metrics:
        """Return nll, perplexity, accuracy and, for characters, bits per character."""
        metrics = {"nll": MeanMetric(), "perplexity": TransformedMean(torch.exp), "accuracy": MeanMetric()}
        if self.characters:
            metrics["bits_per_character"] = TransformedMean(lambda nll: nll / math.log(2))
        return Metrics(metrics)

    def update(self, metrics: Metrics, output: Tensor, batch: Batch) -> None:
        """Update the metrics with a batch; all tokens have the same weight."""
        logits, correct = output.float().transpose(1, 2), (output.argmax(2) == batch["y"]).float()
        nll = F.cross_entropy(logits, batch["y"], ignore_index=PADDING, reduction="none")  # (B, T), 0 in padding
        inside = (batch["y"] != PADDING).float()
        pair = (nll, inside)
        metrics.feed(nll=pair, perplexity=pair, bits_per_character=pair, accuracy=(correct, inside))

    def predictions(self, output: Tensor) -> dict[str, Tensor]:
        """Return the ``probability`` (B, T, V) of each next token."""
        return {"probability": output.float().softmax(2)}

    def postprocess(self, predictions: dict[str, Tensor]) -> dict[str, Any]:
        """Return the likeliest next token ``label`` of each text, and the ``probability`` (B, V) of all next tokens."""
        probability = predictions["probability"][:, -1]
        return {"label": [self.vocabulary[i] for i in probability.argmax(1).tolist()], "probability": probability}

    def baselines(self, dataset: Dataset, options: Mapping[str, Any]) -> Baselines:
        """Return the ``frequencies`` of single tokens, and a ``5-gram`` model."""
        return {name: partial(ngram_scores, dataset, order) for name, order in (("frequencies", 1), ("5-gram", 5))}

    def callbacks(self, model: Any, folder: Path) -> list[Callback]:
        """Return a callback that writes a sample after each epoch, if the model generates text."""
        return [TextSamples(folder / "samples.txt")] if hasattr(model, "generate") else []

    @classmethod
    def data_options(cls, spec: Any) -> dict[str, Any]:
        """Return the block size and the tokenizer."""
        return {"data.block_size": spec.input_shape[0], "data.tokenizer": spec.tokenizer}


def ngram_scores(dataset: Dataset, order: int) -> Scores:
    """Return the test scores of an n-gram model with n = ``order``, counted in the training text."""
    spec: Any = dataset.spec
    train, test = (split["x"].base.numpy().astype(np.int64) for split in (dataset.train, dataset.test))  # type: ignore[union-attr]
    test = test[test != PADDING]
    nll = float(-np.log(ngram(train, test, order, spec.vocab_size)[1:]).mean())
    scores = {"nll": nll, "perplexity": float(np.exp(nll))}
    return scores | ({"bits_per_character": nll / float(np.log(2))} if spec.tokenizer == "characters" else {})


def ngram(train: np.ndarray, test: np.ndarray, order: int, symbols: int) -> np.ndarray:
    """Return the probability of each test token given the ``order`` - 1 tokens before it, with backoff.

    Witten & Bell 1991: p(w | h) = (c(h w) + t(h) · p(w | h')) / (c(h) + t(h)). Here c counts occurrences in training,
    and t(h) is the number of different tokens seen after the context h. The shorter context h' is h without its first
    token.
    """
    p = np.full(len(test), 1 / symbols)
    for size in range(1, order + 1):  # length of h w
        if len(test) < size:
            break
        known, test_grams = (np.lib.stride_tricks.sliding_window_view(part, size) for part in (train, test))
        grams, code = np.unique(np.concatenate([known, test_grams]), axis=0, return_inverse=True)
        contexts, context_of = np.unique(grams[:, :-1], axis=0, return_inverse=True)
        code, context_of = code.reshape(-1), context_of.reshape(-1)
        count = np.bincount(code[: len(known)], minlength=len(grams))
        total = np.bincount(context_of, weights=count, minlength=len(contexts))
        continuations = np.bincount(context_of, weights=count > 0, minlength=len(contexts))
        test_code = code[len(known) :]
        c, n, t = count[test_code], total[context_of[test_code]], continuations[context_of[test_code]]
        lower = p[size - 1 :]
        p[size - 1 :] = np.where(n > 0, (c + t * lower) / np.maximum(n + t, 1), lower)
    return p


class TextSamples(EpochSamples):
    """Appends a sample to ``samples.txt`` after each epoch and prints it in one line, with the same seed each time."""

    written = ""

    def state_dict(self) -> dict[str, Any]:
        """Return the samples so far."""
        return {"written": self.written}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the samples so far."""
        self.written = state["written"]

    def write(self, model: Any) -> None:
        """Write a sample."""
        length = CHARACTERS if model.spec.tokenizer == "characters" else WORDS
        text = model.generate(length=length, temperature=0.8)
        self.written += f"--- epoch {model.loop.epochs + 1} ---\n{text}\n"
        atomic_write(self.path, lambda to: to.write_text(self.written))
        print_progress(f"  sample: {' '.join(text.split())}")
