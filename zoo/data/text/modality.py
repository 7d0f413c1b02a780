"""The text modality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor

from zoo import registry
from zoo.config.schema import Share
from zoo.data import inputs
from zoo.data.dataset import Batch, Dataset, Split, Windows
from zoo.data.example import ROWS, TRAIN, VAL, WINDOW, row_dataset
from zoo.data.labeled import Labeled, chosen_options, with_classes
from zoo.data.modality import Modality
from zoo.data.spec import PADDING, UNKNOWN
from zoo.data.text.datasets import windows
from zoo.data.text.read import encode, read, read_labeled, read_text
from zoo.data.text.spec import TextSpec
from zoo.data.text.tokenizer import SPECIAL, to_ids, token_ids, tokenize
from zoo.data.transfer import upload
from zoo.exceptions import ZooError
from zoo.registry import register_modality

LETTERS = "abcdefgh"


@dataclass(frozen=True)
class TextAugment:
    """Augmentation of training texts (B, T).

    Args:
        ``word_dropout``: fraction of tokens replaced by the unknown token (Bowman et al. 2016).
    """

    word_dropout: Share = 0.0

    def __bool__(self) -> bool:
        return self.word_dropout > 0

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Replace random tokens in ``x`` (B, T) by the unknown token. Padding does not change."""
        x = batch["x"]
        drawn = upload(torch.rand(x.shape, generator=generator) < self.word_dropout, x.device)
        return {**batch, "x": torch.where(drawn & (x > UNKNOWN), UNKNOWN, x)}


def _orders(task: str) -> Dataset:
    """Return texts of 4 to 12 tokens. The class is the order of two marker tokens."""
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
    """Return a text in which most tokens determine the next one."""
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


def _text(split: Split, table: Tensor, spec: TextSpec) -> Split:
    """Map the token ids of a split with ``table``. Labeled texts are truncated to the model's length."""
    values: dict[str, Any] = dict(split)
    if all(isinstance(value, Windows) for value in values.values()):
        return {
            key: Windows(table[value.base.long()], value.length, first=value.first, drop=value.drop)
            for key, value in values.items()
        }
    longest = spec.input_shape[0]
    return {**values, "x": table[values["x"]].long()[:, :longest], "lengths": values["lengths"].clamp(max=longest)}


@register_modality
class TextModality(Modality[TextSpec]):
    """Labeled short texts, or one long text for language modeling."""

    spec = TextSpec
    tasks = ("classification", "language_modeling")
    raw_input = "texts, a column of a data frame or a path"
    labeled_options = {  # noqa: RUF012
        "text": ("text_column", "target", "delimiter", "quoting", "header"),
        "text_file": (),
    }
    widget = "text_box"
    augmentation = TextAugment

    encode = staticmethod(encode)
    read = staticmethod(read)

    def unknown_values(self, spec: TextSpec, batch: Mapping[str, Any]) -> tuple[dict[str, int], int]:
        """Count unknown tokens and all tokens."""
        x = batch["x"]
        count = int((x == UNKNOWN).sum())
        return {spec.tokenizer: count} if count else {}, int((x != PADDING).sum())

    def labeled(self, spec: TextSpec, data: Mapping[str, Any], part: str | None) -> Labeled:
        """Return labeled texts, or all windows of a long text."""
        if data["name"] != "text_file":
            reading = spec.reading
            reading = replace(reading, **chosen_options(data, "delimiter", "quoting", "header"))
            column = data.get("text_column") if data.get("text_column") is not None else reading.text_column or None
            target = data.get("target") if data.get("target") is not None else reading.target or None
            content = read_labeled(Path(data["path"]), column, target, reading)
            return with_classes(spec, dict(inputs.encode(spec, list(content.texts))), content.labels, [])
        tokens = to_ids(tokenize(read_text(Path(data["path"])), spec.tokenizer), token_ids(spec.vocabulary))
        if len(tokens) < 2:
            raise ZooError(f"{data['path']}: has only one token; must have at least two")
        unknown, values = self.unknown_values(spec, {"x": tokens})
        split = windows(torch.from_numpy(tokens), spec.input_shape[0], pad=True)
        return Labeled(split, unknown=unknown, values=values, stride=spec.input_shape[0])

    def labeled_data(self, spec: TextSpec, path: str) -> str:
        """Return text for labeled texts, otherwise text_file."""
        return "text" if spec.classes else "text_file"

    def request_row(self, spec: TextSpec) -> tuple[str, Any]:
        """Return the type of a text."""
        from pydantic import Field

        from zoo.data.request_types import MAX_TEXT

        about = f"Texts. The model reads the first {spec.input_shape[0]} {spec.tokenizer}."
        return about, Annotated[str, Field(min_length=1, max_length=MAX_TEXT, pattern=r"\S")]

    def request_example(self, spec: TextSpec) -> str:
        """Return an example text."""
        return "a text to classify"

    def translate(self, dataset: Dataset, spec: TextSpec) -> Dataset:
        """Re-encode a dataset with the vocabulary of ``spec``. Return it unchanged if the vocabularies are equal.

        Raises:
            ZooError: if the tokenizer differs.
        """
        source = dataset.spec
        assert isinstance(source, TextSpec)
        if source.vocabulary == spec.vocabulary:
            return dataset
        if source.tokenizer != spec.tokenizer:
            raise ZooError(f"{source.name}: is tokenized into {source.tokenizer}; the model reads {spec.tokenizer}")
        known = token_ids(spec.vocabulary)
        table = torch.tensor([known.get(token, UNKNOWN) for token in source.vocabulary], dtype=torch.int32)
        parts = [_text(getattr(dataset, part), table, spec) for part in ("train", "val", "test")]
        texts = replace(source, vocabulary=spec.vocabulary, input_shape=spec.input_shape)
        return replace(dataset, spec=texts, train=parts[0], val=parts[1], test=parts[2])

    def example(self, task: str, action_space: str = "") -> Dataset:
        """Return a long generated text for language models, otherwise short labeled texts."""
        return _language() if registry.task_entry(task).target == "next_symbol" else _orders(task)
