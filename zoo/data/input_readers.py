"""Helpers for reading raw input, shared by all modalities."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.data.spec import DataSpec
from zoo.exceptions import ZooError

INPUT = "-"  # standard input


@dataclass(frozen=True)
class Piece:
    """Rows of input: their names and the raw batch for ``predict``.

    ``wrong`` is the error message if a file cannot be read. ``done`` is the fraction of the input read so far, if
    known. ``times`` are the time stamps of the forecast steps.
    """

    names: Sequence[str]
    raw: Any = None
    wrong: str | None = None
    done: float | None = None
    times: Sequence[str] = ()


def to_float(x: Tensor) -> Tensor:
    """Scale uint8 images to float in [0, 1]. Return other tensors unchanged."""
    return x * (1 / 255) if x.dtype == torch.uint8 else x


def as_tensor(raw: Any) -> Tensor:
    """Convert an array, a list of numbers or a tensor to a tensor."""
    return raw if isinstance(raw, Tensor) else torch.from_numpy(np.array(raw))


def as_floats(raw: Any) -> Tensor:
    """Convert an array, a list of numbers or a tensor to a float32 tensor."""
    return as_tensor(raw).float()


def read_bytes(path: Path) -> bytes:
    """Return the content of a file.

    Raises:
        ZooError: if the file cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ZooError(f"{path}: cannot be read ({error.strerror})") from None


def decode(path: Path, content: bytes, encoding: str = "utf-8-sig") -> str:
    """Decode the content of a text file.

    Raises:
        ZooError: if the file is empty or has another encoding.
    """
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line, name = content[: error.start].count(b"\n") + 1, encoding.removesuffix("-sig").upper()
        raise ZooError(f"{path}, line {line}: byte {error.start + 1:,} is not {name} text; save it as UTF-8") from None
    if not text.strip():
        raise ZooError(f"{path}: is empty")
    return text


@contextlib.contextmanager
def opened(place: str) -> Iterator[io.BufferedReader]:
    """Open a file or standard input for reading bytes."""
    if place == INPUT:
        yield sys.stdin.buffer  # type: ignore[misc]
        return
    try:
        with Path(place).open("rb") as file:
            yield file
    except OSError as error:
        raise ZooError(f"{place}: cannot be read ({error.strerror})") from None


def share_read(place: str, file: io.BufferedReader) -> float | None:
    """Return the fraction of a file that has been read, None for standard input."""
    return None if place == INPUT else file.tell() / max(Path(place).stat().st_size, 1)


def batched(spec: DataSpec, x: Tensor) -> Tensor:
    """Return ``x`` as (B, *input_shape). Add the batch dimension to a single sample.

    Raises:
        ZooError: if the shape does not match.
    """
    shape = spec.input_shape
    if tuple(x.shape) == shape:
        x = x.unsqueeze(0)
    if tuple(x.shape[1:]) != shape:
        raise ZooError(f"{spec.name}: input of shape {tuple(x.shape)}; must be (batch, {', '.join(map(str, shape))})")
    return x


def array(rows: Any) -> np.ndarray:
    """Convert a sequence of steps to a float32 array.

    Raises:
        ZooError: if the steps have different lengths.
    """
    try:
        with np.errstate(over="ignore"):  # the check for finite values rejects infinity later
            return np.array(rows, np.float32)
    except ValueError:
        raise ZooError("x: its steps have different lengths") from None
