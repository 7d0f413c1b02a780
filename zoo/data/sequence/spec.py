"""Sequences of numbers: what a data set of them says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from zoo.data.spec import DataSpec


@dataclass(frozen=True)
class SequenceReading:
    """How sequences are read: ``frames`` is log_mel for recordings, ``""`` for arrays of numbers.

    ``normalize`` is recording where each recording's own level is taken off (see ``zoo.data.sequence.read.normalize_level``).
    """

    frames: str = ""
    normalize: str = "none"


@dataclass(frozen=True)
class SequenceSpec(DataSpec):
    """Sequences: ``input_shape`` is (T, C), at most T steps; shorter ones are padded and have ``lengths``."""

    modality: ClassVar[str] = "sequence"
    variable_length: ClassVar[bool] = True

    reading: SequenceReading = SequenceReading()

    @property
    def has_lengths(self) -> bool:
        """Whether a batch has lengths."""
        return True
