"""Images as a modality."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from zoo.data.dataset import Batch
from zoo.data.image import read
from zoo.data.image.augment import ImageAugment
from zoo.data.image.spec import ImageSpec
from zoo.data.input_readers import Piece
from zoo.data.modality import Modality
from zoo.data.scaler import BoundedScaler
from zoo.registry import register_modality


@register_modality
class ImageModality(Modality[ImageSpec]):
    """Images."""

    spec = ImageSpec
    scaler = BoundedScaler
    tasks = ("classification", "regression", "reconstruction", "generation")
    raw_input = "images as arrays, Pillow's images or paths"
    augmentation = ImageAugment

    def encode(self, spec: ImageSpec, raw: Any) -> Batch:
        """Return raw input as a batch."""
        return read.encode(spec, raw)

    def read(self, spec: ImageSpec, path: str) -> Iterator[Piece]:
        """Yield the content of a file or folder."""
        return read.read(spec, path)

    def from_json(self, spec: ImageSpec, rows: Sequence[Any]) -> Any:
        """Return the rows of a request as ``encode`` takes them."""
        return read.from_json(spec, rows)
