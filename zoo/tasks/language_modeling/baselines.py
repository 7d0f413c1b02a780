"""Baselines of language models: n-grams of the training text."""

from __future__ import annotations

import numpy as np

from zoo.data.dataset import Dataset
from zoo.data.spec import PADDING
from zoo.tasks.base import Scores


def ngram_scores(dataset: Dataset, order: int) -> Scores:
    """Return the test scores of ``order`` symbols in a row, counted in the training text."""
    train, test = (split["x"].base.numpy().astype(np.int64) for split in (dataset.train, dataset.test))  # type: ignore[union-attr]
    test = test[test != PADDING]
    nll = float(-np.log(ngram(train, test, order, dataset.spec.vocab_size)[1:]).mean())
    scores = {"nll": nll, "perplexity": float(np.exp(nll))}
    return scores | ({"bits_per_character": nll / float(np.log(2))} if dataset.spec.tokenizer == "characters" else {})


def ngram(train: np.ndarray, test: np.ndarray, order: int, symbols: int) -> np.ndarray:
    """Return the probability of each test symbol after the ``order`` - 1 before it, backing off to fewer.

    Witten & Bell 1991: p(w | h) = (c(h w) + t(h) · p(w | h')) / (c(h) + t(h)), c being counts in training, t(h) how
    many different symbols were seen after h, and h' being h without its first symbol.
    """
    p = np.full(len(test), 1 / symbols)
    for size in range(1, order + 1):  # of h w
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
