"""Images: files, PIL's, arrays."""

from __future__ import annotations

import base64
import io
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import ZooError
from zoo.inputs.base import INPUT, Piece, as_floats, as_tensor, batched, to_float
from zoo.reading import ImageReading
from zoo.spec import DataSpec

if TYPE_CHECKING:
    from zoo.data.dataset import Batch

ROWS = 64  # that are read at once


def encode(spec: DataSpec, raw: Any) -> Batch:
    """Return images as ``x`` float (B, C, H, W) in [0, 1].

    They may lack the channel where there is one, be uint8 or float in [0, 1], or PIL's, which are brought to size.
    """
    x = as_floats(to_float(as_tensor(_pictures(spec, raw))))
    shape = spec.input_shape
    if shape[0] == 1 and tuple(x.shape[-2:]) == shape[1:] and x.shape[-3:-2] != (1,):
        x = x.unsqueeze(-3)
    return {"x": batched(spec, x)}


def _pictures(spec: DataSpec, raw: Any) -> Any:
    """Return PIL's image, or a list of such, as uint8 (B, C, H, W); anything else as it is."""
    many = list(raw) if isinstance(raw, (list, tuple)) else [raw]
    if not many or not all(hasattr(image, "getexif") for image in many):
        return raw
    from zoo.decoding import fitted

    return np.stack([fitted(image, **_wanted(spec)) for image in many])


def _wanted(spec: DataSpec) -> dict[str, Any]:
    """Return what ``zoo.decoding`` makes of an image for this model."""
    channels, height, width = spec.input_shape
    return {"size": (height, width), "fit": spec.reading_as(ImageReading).resize_mode, "channels": channels}


def read(spec: DataSpec, place: str) -> Iterator[Piece]:
    """Read an image, or those of a folder or an archive."""
    from zoo.decoding import contents, decode, is_archive, is_image, listing, wrong

    path = Path(place)
    if place == INPUT:
        found: list[tuple[str, Callable[[], Any]]] = [("standard input", lambda: io.BytesIO(sys.stdin.buffer.read()))]
        total = 1
    elif path.is_dir() or is_archive(path):
        try:
            files = [name for name, _, _ in listing(path) if is_image(name)]
        except Exception as error:
            raise ZooError(f"{path}: is not a whole archive ({' '.join(str(error).split())})") from None
        if not files:
            raise ZooError(f"{path}: holds no image")
        found, total = ((str(path / files[n]), opener) for n, opener in contents(path, files)), len(files)  # type: ignore[assignment]
    else:
        found, total = [(place, lambda: path)], 1
    names: list[str] = []
    rows: list[np.ndarray] = []
    for number, (name, opener) in enumerate(found, start=1):
        try:
            rows.append(decode(opener(), **_wanted(spec)))
            names.append(name)
        except Exception as error:  # whatever a damaged file makes a decoder say
            yield Piece([name], wrong=f"{name}: is no image that can be read ({wrong(error)})", done=number / total)
        if len(rows) == ROWS:
            yield Piece(names, np.stack(rows), done=number / total)
            names, rows = [], []
    if rows:
        yield Piece(names, np.stack(rows), done=1.0)


def from_json(spec: DataSpec, rows: Sequence[str]) -> Any:
    """Return image files in base64 as ``encode`` takes them."""
    return np.stack([_image(spec, number, text) for number, text in enumerate(rows)])


def _image(spec: DataSpec, number: int, text: str) -> np.ndarray:
    from zoo.decoding import decode, wrong

    try:
        return decode(io.BytesIO(base64.b64decode(text, validate=True)), **_wanted(spec))
    except Exception as error:  # whatever a damaged file makes a decoder say
        raise ZooError(f"x[{number}]: is no image that can be read ({wrong(error)})") from None
