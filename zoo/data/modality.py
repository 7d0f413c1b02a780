"""The base class of modalities: how one kind of data is read, described, augmented and generated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from zoo.data.dataset import Batch
from zoo.data.input_readers import Piece
from zoo.data.scaler import Scaler
from zoo.data.spec import DataSpec
from zoo.exceptions import ZooError

SpecT = TypeVar("SpecT", bound=DataSpec)


class Modality(Generic[SpecT]):
    """A kind of data; there is one object of each, ``zoo.registry.get_modality(name)``.

    A subclass names its ``spec`` class (whose ``modality`` is its name) and the built-in ``tasks`` that its data can
    be for. Nothing else that knows the modality lies outside of its folder.
    """

    spec: ClassVar[type[Any]]
    tasks: ClassVar[tuple[str, ...]] = ()
    raw_input: ClassVar[str] = "arrays"  # what ``encode`` takes, for errors
    scaler: ClassVar[type[Any]] = Scaler  # of reconstructions
    augmentation: ClassVar[type[Any] | None] = None  # dataclass of the options of data.augment

    def encode(self, spec: SpecT, raw: Any) -> Batch:
        """Return ``raw``, a batch or one sample of it, as a batch: ``x`` (B, *input_shape), ``lengths`` of sequences."""
        raise NotImplementedError

    def read(self, spec: SpecT, path: str) -> Iterator[Piece]:
        """Yield the content of a file or folder in pieces that ``encode`` takes."""
        raise ZooError(f"{path}: {self.spec.modality} data cannot be read from files")

    def from_json(self, spec: SpecT, rows: Sequence[Any]) -> Any:
        """Return the rows of a request as ``encode`` takes them."""
        return rows

    def unknown_values(self, spec: SpecT, batch: Mapping[str, Any]) -> tuple[dict[str, int], int]:
        """Return how many values of a batch training did not have, by column or kind, and of how many in all."""
        return {}, 0

    def unknown_categories(self, spec: SpecT, raw: Any, batch: Mapping[str, Any]) -> dict[str, Counter[str]]:
        """Return the categories of ``raw`` that training did not have, counted by column."""
        return {}
