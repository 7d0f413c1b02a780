"""Specs of image datasets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from zoo.data.spec import DataSpec


@dataclass(frozen=True)
class ImageReading:
    """How image files and arrays are read. ``resize_mode`` (crop or resize) sets how files are resized.

    ``labels`` are the label values of an array archive, in class order, if the classes were renamed. ``integer_range``
    and ``float_range`` are the values that map to black and white in training files of more than 8 bits. They are None
    if there were no such files (see ``zoo.data.image.bit_depth``).
    """

    resize_mode: str = "crop"
    labels: tuple[str, ...] = ()
    integer_range: tuple[float, float] | None = None
    float_range: tuple[float, float] | None = None


@dataclass(frozen=True)
class ImageSpec(DataSpec):
    """Images. ``input_shape`` is (C, H, W), with values in [0, 1]."""

    modality: ClassVar[str] = "image"
    spatial: ClassVar[bool] = True
    bounded: ClassVar[bool] = True

    reading: ImageReading = ImageReading()


# Default spec of a model built without one: scikit-learn's digits, the default dataset.
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
