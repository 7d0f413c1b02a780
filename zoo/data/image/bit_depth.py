"""Images with more than 8 bits per channel, and the value ranges that map to black and white.

A file does not store its value range: 12-bit data is often in 16-bit files. A dataset has one range for all of its
files, which also applies to files read later. This module imports neither torch nor the rest of the zoo.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageOps

Range = tuple[float, float]  # values that map to 0 and 1
INTEGER, FLOAT = "integer", "float"
COLORS = ("RGB", "RGBA", "RGBX", "LA")  # modes of files with 16 bits per channel; Pillow keeps only the upper 8
SWAPPED = {";16B": ";16L", ";16L": ";16B", ";16N": ";16B" if np.little_endian else ";16L"}


@dataclass(frozen=True)
class Ranges:
    """Value ranges of the high-bit-depth files of a dataset, by value type. None if it has no such files."""

    integer: Range | None = None
    float: Range | None = None

    @property
    def deep(self) -> bool:
        """Whether the dataset has high-bit-depth files, so that its images are floats."""
        return self.integer is not None or self.float is not None

    def of(self, kind: str) -> Range:
        """Return the range for a value type. The default is 16 bits for integers, and [0, 1] for floats."""
        return (self.integer or (0.0, 65535.0)) if kind == INTEGER else (self.float or (0.0, 1.0))


EIGHT_BITS = Ranges()


def ranges_of(extremes: Iterable[tuple[str, float, float]]) -> Ranges:
    """Return the ranges for files with these (type, minimum, maximum).

    Integers use the smallest number of bits that holds all values, at least 8. Floats use [0, 1], or extend to the
    next power of two.
    """
    limits: dict[str, Range] = {}
    for kind, low, high in extremes:
        least, greatest = limits.get(kind, (low, high))
        limits[kind] = min(least, low), max(greatest, high)
    integer = float_ = None
    if INTEGER in limits:
        low, high = limits[INTEGER]
        bits = max(8, int(high).bit_length(), int(-low - 1).bit_length() if low < 0 else 0)
        integer = (-(2.0**bits) if low < 0 else 0.0, 2.0**bits - 1)
    if FLOAT in limits:
        low, high = limits[FLOAT]
        reach = max(abs(low), abs(high), 1.0)
        reach = 2.0 ** math.ceil(math.log2(reach))
        float_ = (-reach if low < 0 else 0.0, reach)
    return Ranges(integer, float_)


def source_of(image: Image.Image) -> io.BytesIO | None:
    """Return the file content of an image that Pillow has opened but not decoded, otherwise None."""
    file = getattr(image, "fp", None)
    if not getattr(image, "tile", None) or file is None or image.tell() != 0:
        return None
    place = file.tell()
    file.seek(0)
    content = io.BytesIO(file.read())
    file.seek(place)
    return content


def depth_of(image: Image.Image) -> str | None:
    """Return the value type, integer or float, of an image with more than 8 bits per channel, otherwise None."""
    if image.mode == "F":
        return FLOAT
    return INTEGER if image.mode.startswith("I") or _layout(image) else None


def refuse_planes(image: Image.Image) -> None:
    """Reject a file of more than 8 bits with planar channels, which Pillow would read as 8 bits.

    Raises:
        ValueError: if it is such a file.
    """
    bits = image.tag_v2.get(ExifTags.Base.BitsPerSample, (8,)) if image.format == "TIFF" else (8,)  # type: ignore[attr-defined]
    if max(bits) > 8 and any(_raw_mode(tile) in tuple("RGBA") for tile in image.tile):  # type: ignore[attr-defined]
        raise ValueError("it has planar channels of more than 8 bits; save it with interleaved channels")


def is_gray(image: Image.Image) -> bool:
    """Return whether an opened image is grayscale."""
    return image.mode in ("1", "L", "LA", "La", "F") or image.mode.startswith("I") or _layout(image).startswith("LA;")


def _layout(image: Image.Image) -> str:
    """Return the 16-bit color layout of an undecoded file, for example ``RGB;16B``, otherwise ""."""
    layouts = {_raw_mode(tile) for tile in getattr(image, "tile", None) or []}
    layout = layouts.pop() if len(layouts) == 1 else ""
    return layout if layout.partition(";")[0] in COLORS and layout[-4:] in SWAPPED else ""


def _raw_mode(tile: tuple[Any, ...]) -> str:
    raw = tile[3][0] if isinstance(tile[3], tuple) and tile[3] else tile[3]
    return raw if isinstance(raw, str) else ""


@dataclass(frozen=True)
class Deep:
    """Values (H, W, C) of a high-bit-depth image without alpha, and its opacity (H, W) in [0, 1], if any."""

    values: np.ndarray
    opacity: np.ndarray | None
    kind: str

    @property
    def extremes(self) -> tuple[str, float, float]:
        """Type, minimum and maximum of the values."""
        return self.kind, float(self.values.min()), float(self.values.max())

    def unit(self, ranges: Ranges) -> np.ndarray:
        """Return the image (H, W, C) as float32 in [0, 1], composited on white.

        Raises:
            ValueError: if values are outside the range. Also if the dataset has no such files and the values have
                fewer than 16 bits, since their range is unknown.
        """
        low, high = ranges.of(self.kind)
        _, least, greatest = self.extremes
        if self.kind == INTEGER and ranges.integer is None and 0 < greatest < 2**15:
            raise ValueError(
                f"its maximum is {greatest:g} of 65535, and the training images had 8 bits; convert it to 8 bits"
            )
        if least < low or greatest > high:
            raise ValueError(f"its values are from {least:g} to {greatest:g}; must be from {low:g} to {high:g}")
        unit = (self.values - low) / (high - low)
        if self.opacity is not None:
            opacity = self.opacity[..., None]
            unit = unit * opacity + (1 - opacity)
        return unit.astype(np.float32)


def read_deep(image: Image.Image) -> Deep:
    """Read an image for which ``depth_of`` returns a type, with its EXIF orientation applied.

    Raises:
        ValueError: if values are not finite.
    """
    kind = depth_of(image) or INTEGER
    if layout := _layout(image):
        values = _colors(image, layout)
        opacity = values[..., -1] / 65535 if layout.startswith(("RGBA", "LA")) else None
        return Deep(values[..., : 1 if layout.startswith("LA") else 3], opacity, kind)
    clear = image.info.get("transparency")  # the transparent gray value
    values = np.asarray(ImageOps.exif_transpose(image), dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError("it has values that are not finite")
    opacity = (values != clear).astype(np.float64) if isinstance(clear, int) else None
    return Deep(values[..., None], opacity, kind)


def _colors(image: Image.Image, layout: str) -> np.ndarray:
    """Return 16-bit colors (H, W, C). Pillow decodes the upper bytes; the lower ones come from swapped bytes."""
    source = source_of(image)
    if source is None:
        raise ValueError("its 16 bits can only be read from a file")
    mode, _, _ = layout.partition(";")
    if mode == "LA":  # four bytes per pixel, like RGBA
        raw = np.asarray(_as_if(source, "RGBA", "RGBA"), dtype=np.float64)
        return raw[..., 0::2] * 256 + raw[..., 1::2]
    upper = np.asarray(ImageOps.exif_transpose(image), dtype=np.float64)
    lower = np.asarray(_as_if(source, image.mode, layout[:-4] + SWAPPED[layout[-4:]]), dtype=np.float64)
    return upper * 256 + lower


def _as_if(source: io.BytesIO, mode: str, layout: str) -> Image.Image:
    """Decode a file as if its bytes had a different layout."""
    image = Image.open(source)
    image._mode = mode
    image.tile = [
        tile._replace(args=(layout, *tile.args[1:]) if isinstance(tile.args, tuple) else layout) for tile in image.tile
    ]
    return ImageOps.exif_transpose(image)
