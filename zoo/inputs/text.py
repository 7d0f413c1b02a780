"""Texts: lines of a file, strings, symbols as numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from zoo.errors import ZooError
from zoo.inputs.base import Piece, as_tensor, opened, share_read
from zoo.spec import PADDING, DataSpec
from zoo.tokens import cut, encoded, numbers

if TYPE_CHECKING:
    from zoo.data.dataset import Batch

ROWS = 64  # that are read of a file at once


def encode(spec: DataSpec, raw: Any) -> Batch:
    """Return texts as numbers (B, T), of a classification with ``lengths``; numbers are taken as they are."""
    if isinstance(raw, str):
        raw = [raw]
    if not isinstance(raw, (list, Tensor)) and getattr(raw, "dtype", None) in (object, "str"):  # a frame's column
        raw = raw.tolist()
    if len(raw) and isinstance(raw[0], str):
        known = numbers(spec.vocabulary)
        parts = [torch.from_numpy(encoded(cut(text, spec.tokens), known)).long() for text in raw]
    else:
        parts = [as_tensor(part).long() for part in (raw if as_tensor(raw[0]).ndim else [raw])]
    for number, part in enumerate(parts):
        if not len(part):
            raise ZooError(f"{spec.name}: text {number + 1} is empty")
    whole = spec.task == "language_modeling"
    parts = parts if whole else [part[: spec.input_shape[0]] for part in parts]
    x = torch.nn.utils.rnn.pad_sequence(parts, batch_first=True, padding_value=PADDING)
    return {"x": x} if whole else {"x": x, "lengths": torch.tensor([len(part) for part in parts])}


def read(spec: DataSpec, place: str) -> Iterator[Piece]:
    """Read each line as a text."""
    names: list[str] = []
    texts: list[str] = []
    with opened(place) as file:
        for number, raw in enumerate(file, start=1):
            try:
                text = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            except UnicodeDecodeError:
                raise ZooError(f"{place}, line {number}: is not UTF-8; save it as UTF-8") from None
            if text:
                names.append(str(number))
                texts.append(text)
            if len(texts) == ROWS:
                yield Piece(names, texts, done=share_read(place, file))
                names, texts = [], []
        if texts:
            yield Piece(names, texts)


def from_json(spec: DataSpec, rows: Sequence[str]) -> Any:
    """Return texts as ``encode`` takes them."""
    return list(rows)
