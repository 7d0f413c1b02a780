"""Sequences of numbers: recordings, arrays (T, C)."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from zoo.errors import ZooError
from zoo.inputs.base import INPUT, Piece, array, as_floats
from zoo.reading import SequenceReading
from zoo.spec import DataSpec

if TYPE_CHECKING:
    from zoo.data.dataset import Batch


def encode(spec: DataSpec, raw: Any) -> Batch:
    """Return sequences, a list of (T, C) or one array, as ``x`` (B, T, C), padded, with ``lengths``."""
    listed = isinstance(raw, Sequence)
    parts = [as_floats(part) for part in raw] if listed else [as_floats(raw)]
    if not listed and parts[0].ndim == 3:
        parts = list(parts[0])
    for part in parts:
        if part.ndim != 2 or part.shape[1] != spec.input_shape[1] or not len(part):
            raise ZooError(f"{spec.name}: a sequence of shape {tuple(part.shape)}; must be (T, {spec.input_shape[1]})")
    lengths = torch.tensor([len(part) for part in parts])
    return {"x": torch.nn.utils.rnn.pad_sequence(parts, batch_first=True), "lengths": lengths}


def read(spec: DataSpec, place: str) -> Iterator[Piece]:
    """Read wav files; for a model of other sequences, arrays (T, C) of .npy files."""
    path = Path(place)
    ending = ".wav" if spec.reading_as(SequenceReading).frames else ".npy"
    files = sorted(path.rglob(f"*{ending}")) if path.is_dir() else [path]
    if not files:
        raise ZooError(f"{path}: holds no {ending} file")
    for number, file in enumerate(files, start=1):
        try:
            yield Piece([str(file)], [_frames(spec, file)], done=number / len(files))
        except ZooError as error:
            yield Piece([str(file)], wrong=str(error), done=number / len(files))


def _frames(spec: DataSpec, path: Path) -> np.ndarray:
    reading = spec.reading_as(SequenceReading)
    if not reading.frames:
        try:
            found: np.ndarray = np.load(path, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise ZooError(f"{path}: is no array that can be read ({error})") from None
        return found
    import torch

    from zoo.data.audio import levelled, log_mel, read_wav

    frames = log_mel(read_wav(path if str(path) != INPUT else sys.stdin.buffer.read()))[: spec.input_shape[0]]
    if reading.normalize == "recording":
        frames = levelled(torch.from_numpy(frames)[None], torch.tensor([len(frames)]))[0].numpy()
    return frames


def from_json(spec: DataSpec, rows: Sequence[Any]) -> Any:
    """Return sequences of steps as ``encode`` takes them."""
    return [array(one) for one in rows]
