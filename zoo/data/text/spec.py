"""Specs of text datasets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from zoo.data.spec import DataSpec
from zoo.data.table.spec import Dialect


@dataclass(frozen=True)
class TextReading(Dialect):
    """How texts are read from files: the ``text_column`` and ``target`` of a table, ``""`` for other files."""

    text_column: str = ""
    target: str = ""


@dataclass(frozen=True)
class TextSpec(DataSpec):
    """Texts of at most T tokens. ``input_shape`` is (T,).

    A token id is an index into ``vocabulary``, where 0 is padding and 1 is the unknown token. ``tokenizer`` splits
    texts into characters or words. In language modeling, y is x shifted by one token.
    """

    modality: ClassVar[str] = "text"
    variable_length: ClassVar[bool] = True

    vocabulary: tuple[str, ...] = ()
    tokenizer: str = "characters"
    reading: TextReading = TextReading()

    @property
    def has_lengths(self) -> bool:
        """Whether batches have ``lengths``: true for labeled texts, false for windows of a long text."""
        return bool(self.classes)

    @property
    def vocab_size(self) -> int:
        """Number of tokens in the vocabulary."""
        return len(self.vocabulary)
