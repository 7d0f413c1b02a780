"""Images: what a data set of them says of itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from zoo.data.spec import DataSpec


@dataclass(frozen=True)
class ImageReading:
    """How image files and arrays are read: ``resize_mode`` crop or resize brings them to the model's size.

    ``labels`` are the values in an archive of arrays that stand for the classes, in their order, where these have other
    names. ``integer_range`` and ``float_range`` are the values that became black and white in training's files of more
    than 8 bits, of whole numbers and of floats (see ``zoo.data.image.bit_depth``); None where training had no such
    files.
    """

    resize_mode: str = "crop"
    labels: tuple[str, ...] = ()
    integer_range: tuple[float, float] | None = None
    float_range: tuple[float, float] | None = None


@dataclass(frozen=True)
class ImageSpec(DataSpec):
    """Images: ``input_shape`` is (C, H, W), with values in [0, 1]."""

    modality: ClassVar[str] = "image"
    spatial: ClassVar[bool] = True
    bounded: ClassVar[bool] = True

    reading: ImageReading = ImageReading()


# The default of a model that is built without a spec: scikit-learn's digits, the zoo's default data.
DIGITS = ImageSpec(
    name="digits",
    task="classification",
    input_shape=(1, 8, 8),
    classes=tuple("0123456789"),
    mean=(0.305,),
    std=(0.376,),
)
UNLABELED_DIGITS = replace(DIGITS, task="reconstruction")
REAL_DIGITS = replace(DIGITS, task="generation")
