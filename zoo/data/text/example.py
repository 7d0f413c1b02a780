"""Generated texts: an order of two tokens, and a language whose tokens say which one follows."""

from __future__ import annotations

import numpy as np
import torch

from zoo import registry
from zoo.data.dataset import Dataset, Windows
from zoo.data.example import ROWS, TRAIN, VAL, WINDOW, row_dataset
from zoo.data.spec import UNKNOWN
from zoo.data.text.spec import TextSpec
from zoo.data.text.tokenizer import SPECIAL

LETTERS = "abcdefgh"


def example(task: str) -> Dataset:
    """Return one long text for a language model, else short texts with a class."""
    return _language() if registry.task_entry(task).target == "next_symbol" else _orders(task)


def _orders(task: str) -> Dataset:
    """Return texts of 4 to 12 tokens with one of two among them, whose turn decides."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(4, 13, ROWS)
    first = rng.integers(0, 2, ROWS)
    x = rng.integers(UNKNOWN + 3, UNKNOWN + 1 + len(LETTERS), (ROWS, 12))
    for row, length in enumerate(lengths):
        early, late = np.sort(rng.choice(length, 2, replace=False))
        x[row, early], x[row, late] = UNKNOWN + 1 + first[row], UNKNOWN + 2 - first[row]
        x[row, length:] = 0
    return row_dataset(TextSpec, task, x, first, lengths, vocabulary=(*SPECIAL, *LETTERS))


def _language() -> Dataset:
    """Return a text in which most tokens say which one follows."""
    rng = np.random.default_rng(0)
    parts = []
    for count in (TRAIN * WINDOW + WINDOW, VAL * WINDOW + 1, VAL * WINDOW + 1):
        text, surprise = [0], rng.random(count) < 0.1
        for is_random in surprise[1:]:
            text.append(int(rng.integers(len(LETTERS))) if is_random else (3 * text[-1] + 1) % len(LETTERS))
        parts.append(torch.tensor(text, dtype=torch.int32) + len(SPECIAL))
    spec = TextSpec(
        name="generated text",
        task="language_modeling",
        input_shape=(WINDOW,),
        vocabulary=(*SPECIAL, *LETTERS),
        rows=TRAIN,
    )
    train, val, test = ({"x": Windows(p, WINDOW, drop=1), "y": Windows(p, WINDOW, first=1)} for p in parts)
    return Dataset(spec, train, val, test, stride=WINDOW)
