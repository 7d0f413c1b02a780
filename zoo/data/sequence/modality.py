"""Sequences of numbers as a modality."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from zoo.data.dataset import Batch
from zoo.data.input_readers import Piece
from zoo.data.modality import Modality
from zoo.data.sequence import read
from zoo.data.sequence.augment import SequenceAugment
from zoo.data.sequence.spec import SequenceSpec
from zoo.registry import register_modality


@register_modality
class SequenceModality(Modality[SequenceSpec]):
    """Sequences of numbers."""

    spec = SequenceSpec
    tasks = ("classification", "regression")
    raw_input = "sequences of steps as arrays, or paths"
    augmentation = SequenceAugment

    def encode(self, spec: SequenceSpec, raw: Any) -> Batch:
        """Return raw input as a batch."""
        return read.encode(spec, raw)

    def read(self, spec: SequenceSpec, path: str) -> Iterator[Piece]:
        """Yield the content of a file or folder."""
        return read.read(spec, path)

    def from_json(self, spec: SequenceSpec, rows: Sequence[Any]) -> Any:
        """Return the rows of a request as ``encode`` takes them."""
        return read.from_json(spec, rows)
