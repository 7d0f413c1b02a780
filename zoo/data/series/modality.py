"""Time series as a modality."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from zoo.data.dataset import Batch
from zoo.data.input_readers import Piece
from zoo.data.modality import Modality
from zoo.data.series import read
from zoo.data.series.spec import SeriesSpec
from zoo.registry import register_modality


@register_modality
class SeriesModality(Modality[SeriesSpec]):
    """Time series."""

    spec = SeriesSpec
    tasks = ("forecasting", "reconstruction")
    raw_input = "the last steps of a series as an array, a data frame or a path"

    def encode(self, spec: SeriesSpec, raw: Any) -> Batch:
        """Return raw input as a batch."""
        return read.encode(spec, raw)

    def read(self, spec: SeriesSpec, path: str) -> Iterator[Piece]:
        """Yield the content of a file or folder."""
        return read.read(spec, path)

    def from_json(self, spec: SeriesSpec, rows: Sequence[Any]) -> Any:
        """Return the rows of a request as ``encode`` takes them."""
        return read.from_json(spec, rows)
