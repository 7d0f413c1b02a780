"""Labeled texts, and long ones, of the user's own as a trained model reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from zoo.data.inputs import encode
from zoo.data.labeled import Labeled, chosen_options, with_classes
from zoo.data.spec import UNKNOWN
from zoo.data.text.datasets import windows
from zoo.data.text.files import read_labeled, read_text
from zoo.data.text.spec import TextSpec
from zoo.data.text.tokenizer import to_ids, token_ids, tokenize
from zoo.exceptions import ZooError


def labeled_texts(spec: TextSpec, data: Mapping[str, Any], part: str | None) -> Labeled:
    """Return the texts of a table, or of a folder with a folder of texts per class."""
    reading = spec.reading
    reading = replace(reading, **chosen_options(data, "delimiter", "quoting", "header"))
    column = data.get("text_column") if data.get("text_column") is not None else reading.text_column or None
    target = data.get("target") if data.get("target") is not None else reading.target or None
    content = read_labeled(Path(data["path"]), column, target, reading)
    return with_classes(spec, dict(encode(spec, list(content.texts))), content.labels, [])


def labeled_stretch(spec: TextSpec, data: Mapping[str, Any], part: str | None) -> Labeled:
    """Return the windows of a text, all of it."""
    tokens = to_ids(tokenize(read_text(Path(data["path"])), spec.tokenizer), token_ids(spec.vocabulary))
    if len(tokens) < 2:
        raise ZooError(f"{data['path']}: holds one token; there must be a next one to predict")
    window = spec.input_shape[0]
    count = int((tokens == UNKNOWN).sum())
    unknown = {spec.tokenizer: count} if count else {}
    split = windows(torch.from_numpy(tokens), window, pad=True)
    return Labeled(split, unknown=unknown, values=len(tokens), stride=window)
