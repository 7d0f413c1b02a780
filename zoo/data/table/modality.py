"""Tables as a modality."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from zoo.data.dataset import Batch
from zoo.data.input_readers import Piece
from zoo.data.modality import Modality
from zoo.data.table import read
from zoo.data.table.scaler import TableScaler
from zoo.data.table.spec import TableSpec
from zoo.registry import register_modality


@register_modality
class TableModality(Modality[TableSpec]):
    """Tables."""

    spec = TableSpec
    scaler = TableScaler
    tasks = ("classification", "regression", "reconstruction")
    raw_input = "rows as a data frame, dictionaries, an array of numbers or a path"

    def encode(self, spec: TableSpec, raw: Any) -> Batch:
        """Return raw input as a batch."""
        return read.encode(spec, raw)

    def read(self, spec: TableSpec, path: str) -> Iterator[Piece]:
        """Yield the content of a file or folder."""
        return read.read(spec, path)

    def from_json(self, spec: TableSpec, rows: Sequence[Any]) -> Any:
        """Return the rows of a request as ``encode`` takes them."""
        return read.from_json(spec, rows)

    def unknown_values(self, spec: TableSpec, batch: Mapping[str, Any]) -> tuple[dict[str, int], int]:
        """Return how many categories training did not have, by column, and of how many cells."""
        x = batch["x"]
        columns = [n for n, categories in enumerate(spec.categories) if categories]
        counts = {spec.columns[n]: int((x[:, n] == 0).sum()) for n in columns}
        return {name: count for name, count in counts.items() if count}, len(x) * len(columns)

    def unknown_categories(self, spec: TableSpec, raw: Any, batch: Mapping[str, Any]) -> dict[str, Counter[str]]:
        """Return the categories that training did not have, counted by column."""
        return read.unknown_categories(spec, raw, dict(batch))
