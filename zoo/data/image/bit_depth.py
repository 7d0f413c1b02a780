"""Images of more than 8 bits a channel: their values, and the ranges of values that become black to white.

A file does not say which range its values come from: 12 bits are kept in files of 16. One range holds for a whole set
of files, and for all files that a model reads later. Imports neither torch nor the rest of the zoo.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageOps

Range = tuple[float, float]  # the values that become 0 and 1
INTEGER, FLOAT = "integer", "float"
COLORS = ("RGB", "RGBA", "RGBX", "LA")  # of files with 16 bits a channel; Pillow itself keeps the upper 8
SWAPPED = {";16B": ";16L", ";16L": ";16B", ";16N": ";16B" if np.little_endian else ";16L"}


@dataclass(frozen=True)
class Ranges:
    """The range of the deep files of a set, by the type of their values; None where the set has no such files."""

    integer: Range | None = None
    float: Range | None = None

    @property
    def deep(self) -> bool:
        """Whether the set has deep files, so that its images are floats."""
        return self.integer is not None or self.float is not None

    def of(self, kind: str) -> Range:
        """Return the range for a file; where the set has none such, that of 16 bits, or of floats in [0, 1]."""
        return (self.integer or (0.0, 65535.0)) if kind == INTEGER else (self.float or (0.0, 1.0))


EIGHT_BITS = Ranges()


def ranges_of(extremes: Iterable[tuple[str, float, float]]) -> Ranges:
    """Return the ranges for files with these (type, least value, greatest value).

    Whole numbers are of the fewest bits that hold all of them, at least 8; floats are in [0, 1], or reach to the next
    power of two.
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
    """Return the bytes of the file of an image that Pillow has opened and not decoded yet, else None."""
    file = getattr(image, "fp", None)
    if not getattr(image, "tile", None) or file is None or image.tell() != 0:
        return None
    place = file.tell()
    file.seek(0)
    content = io.BytesIO(file.read())
    file.seek(place)
    return content


def depth_of(image: Image.Image) -> str | None:
    """Return the type of an image's values, integer or float, where they have more than 8 bits; else None."""
    if image.mode == "F":
        return FLOAT
    return INTEGER if image.mode.startswith("I") or _layout(image) else None


def refuse_planes(image: Image.Image) -> None:
    """Reject a file of more than 8 bits whose channels lie in planes of their own, which Pillow takes for 8 bits.

    Raises:
        ValueError: it is one.
    """
    bits = image.tag_v2.get(ExifTags.Base.BitsPerSample, (8,)) if image.format == "TIFF" else (8,)  # type: ignore[attr-defined]
    if max(bits) > 8 and any(_raw_mode(tile) in tuple("RGBA") for tile in image.tile):  # type: ignore[attr-defined]
        raise ValueError("its channels of more than 8 bits lie in separate planes; save them interleaved")


def is_gray(image: Image.Image) -> bool:
    """Return whether an image that has been opened has no colors."""
    return image.mode in ("1", "L", "LA", "La", "F") or image.mode.startswith("I") or _layout(image).startswith("LA;")


def _layout(image: Image.Image) -> str:
    """Return how a file that is not decoded yet holds colors of 16 bits, such as RGB;16B; "" for all others."""
    layouts = {_raw_mode(tile) for tile in getattr(image, "tile", None) or []}
    layout = layouts.pop() if len(layouts) == 1 else ""
    return layout if layout.partition(";")[0] in COLORS and layout[-4:] in SWAPPED else ""


def _raw_mode(tile: tuple[Any, ...]) -> str:
    raw = tile[3][0] if isinstance(tile[3], tuple) and tile[3] else tile[3]
    return raw if isinstance(raw, str) else ""


@dataclass(frozen=True)
class Deep:
    """An image's values (H, W, C), without its alpha channel, and its opacity (H, W) in [0, 1] where it has one."""

    values: np.ndarray
    opacity: np.ndarray | None
    kind: str

    @property
    def extremes(self) -> tuple[str, float, float]:
        """The type of the values, the least and the greatest of them."""
        return self.kind, float(self.values.min()), float(self.values.max())

    def unit(self, ranges: Ranges) -> np.ndarray:
        """Return the image (H, W, C) as float32 in [0, 1], on white.

        Raises:
            ValueError: values outside of the range, or, where the set has no such files, of fewer than 16 bits: their
                range is not known.
        """
        low, high = ranges.of(self.kind)
        _, least, greatest = self.extremes
        if self.kind == INTEGER and ranges.integer is None and 0 < greatest < 2**15:
            raise ValueError(f"its values end at {greatest:g} of 65535, and training had 8 bits; convert it to 8 bits")
        if least < low or greatest > high:
            raise ValueError(f"its values are from {least:g} to {greatest:g}; must be from {low:g} to {high:g}")
        unit = (self.values - low) / (high - low)
        if self.opacity is not None:
            opacity = self.opacity[..., None]
            unit = unit * opacity + (1 - opacity)
        return unit.astype(np.float32)


def read_deep(image: Image.Image) -> Deep:
    """Return an image for which ``depth_of`` says a type, turned as its EXIF says.

    Raises:
        ValueError: values that are no numbers.
    """
    kind = depth_of(image) or INTEGER
    if layout := _layout(image):
        values = _colors(image, layout)
        opacity = values[..., -1] / 65535 if layout.startswith(("RGBA", "LA")) else None
        return Deep(values[..., : 1 if layout.startswith("LA") else 3], opacity, kind)
    clear = image.info.get("transparency")  # the gray that is transparent
    values = np.asarray(ImageOps.exif_transpose(image), dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError("holds values that are no numbers")
    opacity = (values != clear).astype(np.float64) if isinstance(clear, int) else None
    return Deep(values[..., None], opacity, kind)


def _colors(image: Image.Image, layout: str) -> np.ndarray:
    """Return all 16 bits of colors (H, W, C): Pillow's upper bytes, and the lower ones as it reads them swapped."""
    source = source_of(image)
    if source is None:
        raise ValueError("its 16 bits can be read from a file alone")
    mode, _, _ = layout.partition(";")
    if mode == "LA":  # four bytes a pixel: those of RGBA
        raw = np.asarray(_as_if(source, "RGBA", "RGBA"), dtype=np.float64)
        return raw[..., 0::2] * 256 + raw[..., 1::2]
    upper = np.asarray(ImageOps.exif_transpose(image), dtype=np.float64)
    lower = np.asarray(_as_if(source, image.mode, layout[:-4] + SWAPPED[layout[-4:]]), dtype=np.float64)
    return upper * 256 + lower


def _as_if(source: io.BytesIO, mode: str, layout: str) -> Image.Image:
    """Return a file's image as if its bytes were laid out in another way."""
    image = Image.open(source)
    image._mode = mode
    image.tile = [
        tile._replace(args=(layout, *tile.args[1:]) if isinstance(tile.args, tuple) else layout) for tile in image.tile
    ]
    return ImageOps.exif_transpose(image)
