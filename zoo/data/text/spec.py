"""Texts: what a data set of them says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from zoo.data.spec import DataSpec
from zoo.data.table.spec import Dialect


@dataclass(frozen=True)
class TextReading(Dialect):
    """How texts are read from files: ``text_column`` and ``target`` of a table, ``""`` where there is no table."""

    text_column: str = ""
    target: str = ""


@dataclass(frozen=True)
class TextSpec(DataSpec):
    """Texts of at most T tokens: ``input_shape`` is (T,).

    A token's number is its place in ``vocabulary``, whose first two are padding and whatever is not in it;
    ``tokenizer`` cuts texts into characters or words. A language model's y is x shifted by one token.
    """

    modality: ClassVar[str] = "text"
    variable_length: ClassVar[bool] = True

    vocabulary: tuple[str, ...] = ()
    tokenizer: str = "characters"
    reading: TextReading = TextReading()

    @property
    def has_lengths(self) -> bool:
        """Whether a batch has lengths: labeled texts do, a stretch of one long text has none."""
        return bool(self.classes)

    @property
    def vocab_size(self) -> int:
        """Number of different tokens."""
        return len(self.vocabulary)
