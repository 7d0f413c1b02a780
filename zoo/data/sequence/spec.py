"""Specs of sequence datasets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from zoo.data.spec import DataSpec


@dataclass(frozen=True)
class SequenceReading:
    """How sequences are read. ``frames`` is log_mel for recordings, ``""`` for numeric arrays.

    ``normalize`` is recording if the level of each recording is removed (see
    ``zoo.data.sequence.read.normalize_level``), otherwise none.
    """

    frames: str = ""
    normalize: str = "none"


@dataclass(frozen=True)
class SequenceSpec(DataSpec):
    """Sequences. ``input_shape`` is (T, C) for at most T steps. Shorter ones are padded and have ``lengths``."""

    modality: ClassVar[str] = "sequence"
    variable_length: ClassVar[bool] = True

    reading: SequenceReading = SequenceReading()

    @property
    def has_lengths(self) -> bool:
        """Whether batches have ``lengths``, always true."""
        return True
