"""Texts as a modality."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from zoo.data.dataset import Batch
from zoo.data.input_readers import Piece
from zoo.data.modality import Modality
from zoo.data.spec import PADDING, UNKNOWN
from zoo.data.text import read
from zoo.data.text.augment import TextAugment
from zoo.data.text.spec import TextSpec
from zoo.registry import register_modality


@register_modality
class TextModality(Modality[TextSpec]):
    """Texts."""

    spec = TextSpec
    tasks = ("classification", "language_modeling")
    raw_input = "texts, a column of a data frame or a path"
    augmentation = TextAugment

    def encode(self, spec: TextSpec, raw: Any) -> Batch:
        """Return raw input as a batch."""
        return read.encode(spec, raw)

    def read(self, spec: TextSpec, path: str) -> Iterator[Piece]:
        """Yield the content of a file or folder."""
        return read.read(spec, path)

    def from_json(self, spec: TextSpec, rows: Sequence[Any]) -> Any:
        """Return the rows of a request as ``encode`` takes them."""
        return read.from_json(spec, rows)

    def unknown_values(self, spec: TextSpec, batch: Mapping[str, Any]) -> tuple[dict[str, int], int]:
        """Return how many tokens training did not have, and of how many."""
        x = batch["x"]
        count = int((x == UNKNOWN).sum())
        return {spec.tokenizer: count} if count else {}, int((x != PADDING).sum())
