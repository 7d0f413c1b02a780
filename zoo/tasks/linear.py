"""Inputs of linear baselines: numbers standardized, categories one-hot, texts as the tokens that are in them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array

from zoo.data.dataset import Dataset, Values
from zoo.data.spec import DataSpec

ROWS = 5000  # training rows that the linear baseline sees at most, so that it takes seconds


def sample_of(y: np.ndarray) -> np.ndarray:
    """Return the training rows that a linear model is fitted to: some at random, and one of each class among them."""
    index = np.random.default_rng(0).permutation(len(y))[:ROWS]
    if y.ndim > 1 or y.dtype.kind == "f":
        return index
    classes, first = np.unique(y, return_index=True)
    return np.concatenate([index, first[~np.isin(classes, y[index])]])


def targets(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return y of the training and of the test rows."""
    y, test_y = (np.asarray(split["y"]) for split in (dataset.train, dataset.test))
    return y, test_y


def linear_inputs(dataset: Dataset, index: np.ndarray) -> tuple[Any, Any]:
    """Return what a linear model reads of the training rows ``index``, and of all test rows."""
    x, test_x = flat(dataset.train["x"], index), flat(dataset.test["x"], np.arange(len(dataset.test["x"])))
    if dataset.spec.vocab_size:
        return _bags(x, dataset.spec.vocab_size), _bags(test_x, dataset.spec.vocab_size)
    return prepared(dataset.spec, x, test_x)


def prepared(spec: DataSpec, x: np.ndarray, test_x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs of a linear model: numbers standardized, texts as one column each."""
    from sklearn.compose import make_column_transformer
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    text = [n for n, levels in enumerate(spec.categories) if levels]
    number = [n for n in range(x.shape[1]) if n not in set(text)]
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    columns = make_column_transformer((StandardScaler(), number), (one_hot, text)).fit(x)
    return columns.transform(x), columns.transform(test_x)


def _bags(x: np.ndarray, symbols: int) -> csr_array:
    """Return which symbols are in each text (N, symbols), as 0 and 1."""
    rows, _ = np.nonzero(x)
    coded = csr_array((np.ones(len(rows)), (rows, x[x > 0].astype(np.int64))), shape=(len(x), symbols))
    return coded.sign()


def flat(x: Values, index: np.ndarray) -> np.ndarray:
    """Return the rows ``index`` as float32 (rows, numbers)."""
    picked = x.index_select(0, torch.from_numpy(index))
    return picked.numpy().astype(np.float32).reshape(len(index), -1)
