"""Ready-made texts in a model's own numbers: its tokens rather than those of the set."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from zoo.data.dataset import Dataset, Split, Windows
from zoo.data.spec import UNKNOWN
from zoo.data.text.spec import TextSpec
from zoo.data.text.tokenizer import token_ids
from zoo.exceptions import ZooError


def translate(dataset: Dataset, spec: TextSpec) -> Dataset:
    """Return a data set whose rows a model of ``spec`` reads, as it is where both have one vocabulary.

    Raises:
        ZooError: the model's texts are cut into other tokens.
    """
    source = dataset.spec
    assert isinstance(source, TextSpec)
    if source.vocabulary == spec.vocabulary:
        return dataset
    if source.tokenizer != spec.tokenizer:
        raise ZooError(f"{source.name}: is cut into {source.tokenizer}; the model reads {spec.tokenizer}")
    known = token_ids(spec.vocabulary)
    table = torch.tensor([known.get(token, UNKNOWN) for token in source.vocabulary], dtype=torch.int32)
    parts = [_text(getattr(dataset, part), table, spec) for part in ("train", "val", "test")]
    texts = replace(source, vocabulary=spec.vocabulary, input_shape=spec.input_shape)
    return replace(dataset, spec=texts, train=parts[0], val=parts[1], test=parts[2])


def _text(split: Split, table: Tensor, spec: TextSpec) -> Split:
    """Return a split's tokens in other numbers; labeled texts are cut to the model's length."""
    if all(isinstance(value, Windows) for value in split.values()):
        windows: dict[str, Any] = dict(split)
        return {
            key: Windows(table[value.base.long()], value.length, first=value.first, drop=value.drop)
            for key, value in windows.items()
        }
    x, lengths = split["x"], split["lengths"]
    assert isinstance(x, Tensor)
    assert isinstance(lengths, Tensor)
    longest = spec.input_shape[0]
    return {**split, "x": table[x].long()[:, :longest], "lengths": lengths.clamp(max=longest)}
