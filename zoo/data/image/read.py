"""Read images from files, Pillow images or arrays, with the same code in training and prediction."""

from __future__ import annotations

import base64
import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from zoo.data.dataset import Batch
from zoo.data.image import decode as decoding
from zoo.data.image.bit_depth import Ranges
from zoo.data.image.spec import ImageSpec
from zoo.data.input_readers import INPUT, Piece, to_float
from zoo.exceptions import ZooError
from zoo.utils.console import print_note

ROWS = 64  # images read at once


# --- arrays, in training and in prediction ---


def pixel_values(x: np.ndarray, where: str) -> np.ndarray:
    """Return images as uint8, or as float32 in [0, 1].

    Integers from 0 to 255 of any type become uint8, unless their maximum of 1 makes the range ambiguous. Booleans
    become 0 and 1.

    Raises:
        ZooError: if values are out of range, NaN or not numeric. The message starts with ``where``.
    """
    kind = x.dtype.kind
    if kind not in "buif":
        raise ZooError(f"{where}: images of type {x.dtype}; must be uint8, or float in [0, 1]")
    if not x.size:
        raise ZooError(f"{where}: images of shape {x.shape} have no pixels; must have at least one")
    if x.dtype == np.uint8:
        return x
    low, high = x.min(), x.max()
    if kind in "iu" and low >= 0 and high <= 255 and high != 1:
        return x.astype(np.uint8)
    if kind == "b" or (kind == "f" and low >= 0 and high <= 1):
        return x.astype(np.float32)
    if kind == "f" and not np.isfinite(x).all():
        raise ZooError(f"{where}: images with NaN or infinity; must be uint8, or float in [0, 1]")
    message = f"images of {x.dtype} from {low:g} to {high:g}; must be uint8, or float in [0, 1]"
    raise ZooError(f"{where}: {message}: {_advice(x)}")


def _advice(x: np.ndarray) -> str:
    if x.dtype.kind in "iu" and x.min() >= 0 and x.max() == 1:
        return "convert them to uint8 if their range is 0 to 255, or to float if it is 0 to 1"
    if x.min() < 0:
        return "shift and scale all images by the same amounts"
    return f"divide all images by {255 if x.max() <= 255 else 'the largest possible value'}"


def channels_first(x: np.ndarray) -> np.ndarray:
    """Return images (N, H, W), (N, C, H, W) or (N, H, W, C) as (N, C, H, W).

    The second axis has the channels if its size is 1 or 3, otherwise the smaller of the second and the last axis. Two
    or four channels on the last axis include alpha, like Pillow's LA and RGBA. Transparent pixels become white.
    """
    if x.ndim == 3:
        return x[:, None]
    if x.shape[1] in (1, 3) or x.shape[1] <= x.shape[3]:
        return x
    return _to_channels_first(on_white(x) if x.shape[3] in (2, 4) else x)


def _to_channels_first(x: np.ndarray) -> np.ndarray:
    return x.transpose(0, 3, 1, 2)


def on_white(x: np.ndarray) -> np.ndarray:
    """Composite images (N, H, W, C + 1) with a final alpha channel on white, and return (N, H, W, C)."""
    if x.dtype != np.uint8:
        return np.asarray(x[..., :-1] * x[..., -1:] + (1 - x[..., -1:]))
    count, height, width, channels = x.shape
    tall = Image.fromarray(np.ascontiguousarray(x).reshape(count * height, width, channels))
    opaque = np.asarray(decoding.on_white(tall).convert("L" if channels == 2 else "RGB"))
    return opaque.reshape(count, height, width, channels - 1)


# --- prediction ---


def encode(spec: ImageSpec, raw: Any) -> Batch:
    """Return images as ``x`` float (B, C, H, W) in [0, 1].

    ``raw`` is a path, a Pillow image or a list of them, resized like the training files. It may also be an array (B,
    C, H, W) or (B, H, W, C) of the model's size. B may be missing for one image, and C for grayscale. Arrays are
    uint8, integers from 0 to 255, or float in [0, 1]. A final alpha channel is composited on white.

    Raises:
        ZooError: if the size or the values are invalid, or a file cannot be read.
    """
    images = _decoded(spec, raw)
    if images is None:
        images = _as_batch(spec, pixel_values(_array(spec, raw), spec.name))
    return {"x": to_float(torch.from_numpy(np.array(images, order="C")))}


def _decoded(spec: ImageSpec, raw: Any) -> np.ndarray | None:
    """Decode paths and Pillow images to (B, C, H, W). Return None for other input."""
    many = list(raw) if isinstance(raw, (list, tuple)) else [raw]
    if not any(isinstance(one, (str, os.PathLike)) or hasattr(one, "getexif") for one in many):
        return None
    return np.stack([_one_decoded(spec, one) for one in many])


def _one_decoded(spec: ImageSpec, one: Any) -> np.ndarray:
    opened = hasattr(one, "getexif")
    if not opened and not isinstance(one, (str, os.PathLike)):
        raise ZooError(
            f"{spec.name}: a {type(one).__name__} in a list of files; must be only paths and images, or one array"
        )
    name, options = "an image" if opened else os.fspath(one), _options(spec)
    try:
        return decoding.decode_opened(one, **options) if opened else decoding.decode(one, **options)
    except Exception as error:  # damaged files can raise any error
        raise ZooError(f"{name}: is not a readable image ({decoding.error_text(error)})") from None


def _options(spec: ImageSpec) -> dict[str, Any]:
    """Return the options of ``zoo.data.image.decode`` for this model.

    Raises:
        ZooError: if the model reads arrays with a number of channels that files do not have.
    """
    channels, height, width = spec.input_shape
    if channels not in (1, 3):
        raise ZooError(
            f"{spec.name}: the model reads images with {channels} channels and files have 1 or 3; must be arrays"
        )
    reading = spec.reading
    ranges = Ranges(reading.integer_range, reading.float_range)
    return {"size": (height, width), "resize_mode": reading.resize_mode, "channels": channels, "ranges": ranges}


def _array(spec: ImageSpec, raw: Any) -> np.ndarray:
    """Convert a tensor, an array, or nested lists to one array."""
    if isinstance(raw, torch.Tensor):
        values = raw.detach().cpu()
        return (values.float() if values.is_floating_point() else values).numpy()
    try:
        return np.asarray([_array(spec, one) for one in raw]) if isinstance(raw, (list, tuple)) else np.asarray(raw)
    except ValueError:
        raise ZooError(f"{spec.name}: images of different shapes; must have one size") from None


def _as_batch(spec: ImageSpec, x: np.ndarray) -> np.ndarray:
    """Return an array of images, or a single image, as (B, C, H, W).

    Raises:
        ZooError: if the shape is wrong.
    """
    channels, height, width = spec.input_shape
    layouts: list[tuple[tuple[int, ...], Callable[[np.ndarray], np.ndarray]]] = [
        ((channels, height, width), lambda images: images),
        ((height, width, channels), _to_channels_first),
    ]
    if channels == 1:
        layouts.insert(1, ((height, width), lambda images: images[:, None]))
    if channels in (1, 3):
        layouts.append(((height, width, channels + 1), lambda images: _to_channels_first(on_white(images))))
    for shape, bring in layouts:
        if x.shape == shape or x.shape[1:] == shape:
            return bring(x if x.ndim > len(shape) else x[None])
    raise ZooError(
        f"{spec.name}: images of shape {x.shape}; must be (batch, {channels}, {height}, {width}); "
        f"paths and Pillow images are resized automatically"
    )


def read(spec: ImageSpec, path: str) -> Iterator[Piece]:
    """Yield the images of a file, a folder or an archive. Print a note on skipped files."""
    options = _options(spec)
    openers: Iterable[tuple[str, Callable[[], io.BytesIO | Path]]]
    files = None if path == INPUT else _files(Path(path))
    if files is not None:
        openers = ((str(Path(path) / files[n]), opener) for n, opener in decoding.contents(Path(path), files))
    elif path == INPUT:
        openers = [("standard input", lambda: io.BytesIO(sys.stdin.buffer.read()))]
    else:
        openers = [(path, lambda: Path(path))]
    total = len(files or [path])
    names: list[str] = []
    rows: list[np.ndarray] = []
    for number, (name, opener) in enumerate(openers, start=1):
        try:
            rows.append(decoding.decode(opener(), **options))
            names.append(name)
        except Exception as error:  # damaged files can raise any error
            yield Piece(
                [name],
                wrong=f"{name}: is not a readable image ({decoding.error_text(error)})",
                done=number / total,
            )
        if len(rows) == ROWS:
            yield Piece(names, np.stack(rows), done=number / total)
            names, rows = [], []
    if rows:
        yield Piece(names, np.stack(rows), done=1.0)


def _files(path: Path) -> list[str] | None:
    """Return the images of a folder or archive, None for another file.

    Raises:
        ZooError: if the archive cannot be read, or there are no images.
    """
    if not path.is_dir() and not decoding.is_archive(path):
        return None
    images, others = list_images(path)
    if not images:
        content = f": {decoding.left_out(others)}" if others else ""
        raise ZooError(f"{path}: has no readable image{content}")
    if others:
        print_note(f"{path}: {decoding.left_out(others)}")
    return [name for name, _, _ in images]


def list_images(path: Path) -> tuple[list[tuple[str, int, int]], list[str]]:
    """Return (name, size, modification time) of the images in a folder or archive, and the names of other files.

    Raises:
        ZooError: if it cannot be read.
    """
    try:
        files = decoding.listing(path)
    except OSError as error:
        raise ZooError(f"{path}: cannot be read ({error.strerror or error})") from None
    except Exception as error:  # invalid or damaged archive
        raise ZooError(f"{path}: is not a valid archive ({' '.join(str(error).split())})") from None
    images = [entry for entry in files if decoding.is_image(entry[0])]
    return images, [name for name, _, _ in files if not decoding.is_image(name)]


def from_json(spec: ImageSpec, rows: Sequence[str]) -> Any:
    """Convert base64-encoded image files to input for ``encode``."""
    options = _options(spec)
    return np.stack([_image(options, number, text) for number, text in enumerate(rows)])


def _image(options: dict[str, Any], number: int, text: str) -> np.ndarray:
    try:
        return decoding.decode(io.BytesIO(base64.b64decode(text, validate=True)), **options)
    except Exception as error:  # damaged files can raise any error
        raise ZooError(f"x[{number}]: is not a readable image ({decoding.error_text(error)})") from None
