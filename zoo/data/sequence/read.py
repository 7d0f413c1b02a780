"""Sequences of numbers: recordings, arrays (T, C)."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from zoo.data.input_readers import INPUT, Piece, array
from zoo.data.sequence.spec import SequenceSpec
from zoo.exceptions import ZooError

if TYPE_CHECKING:
    from zoo.data.dataset import Batch


def encode(spec: SequenceSpec, raw: Any) -> Batch:
    """Return sequences as ``x`` (B, T, C), padded, with ``lengths``.

    ``raw`` is an array (T, C) or (B, T, C), a list of arrays (T, C), or a file or a list of files.

    Raises:
        ZooError: another shape, more steps than training's longest, a value that is no finite number.
    """
    many = list(raw) if _is_list(raw) else raw if getattr(raw, "ndim", 0) == 3 else [raw]
    parts = [_steps(spec, part) for part in many]
    if not parts:
        raise ZooError(f"{spec.name}: no sequences; must be at least one")
    lengths = torch.tensor([len(part) for part in parts])
    return {"x": torch.nn.utils.rnn.pad_sequence(parts, batch_first=True), "lengths": lengths}


def _is_list(raw: Any) -> bool:
    """Tell a list of sequences from one sequence that is a list of steps of numbers."""
    if not isinstance(raw, (list, tuple)):
        return False
    first = raw[0] if raw else None
    return not (isinstance(first, (list, tuple)) and all(isinstance(one, (int, float)) for one in first))


def _steps(spec: SequenceSpec, part: Any) -> Tensor:
    """Return one sequence as float32 (T, C)."""
    if isinstance(part, (str, os.PathLike)):
        part = _frames(spec, Path(part))
    values = part.detach().cpu() if isinstance(part, Tensor) else _as_tensor(spec, part)
    longest, channels = spec.input_shape
    if values.ndim != 2 or values.shape[1] != channels or not len(values):
        raise ZooError(f"{spec.name}: a sequence of shape {tuple(values.shape)}; must be (T, {channels})")
    if len(values) > longest:
        raise ZooError(f"{spec.name}: a sequence of {len(values):,} steps; must be at most {longest:,}, as in training")
    values = values.float()
    if not values.isfinite().all():
        step = int((~values.isfinite()).any(1).nonzero()[0])
        raise ZooError(f"{spec.name}: a sequence holds NaN, infinity or a number too large in step {step + 1}")
    return values


def _as_tensor(spec: SequenceSpec, part: Any) -> Tensor:
    try:
        values = np.array(part)
    except ValueError:
        raise ZooError(f"{spec.name}: the steps of a sequence have different lengths") from None
    if values.dtype.kind not in "buif":
        raise ZooError(f"{spec.name}: a sequence of type {values.dtype}; must be numbers (T, {spec.input_shape[1]})")
    return torch.from_numpy(values.astype(np.float64 if values.dtype.kind != "f" else values.dtype))


def read(spec: SequenceSpec, path: str) -> Iterator[Piece]:
    """Read wav files; for a model of other sequences, arrays (T, C) of .npy files."""
    folder = Path(path)
    files = _files(folder, ".wav" if spec.reading.frames else ".npy") if folder.is_dir() else [folder]
    for number, file in enumerate(files, start=1):
        try:
            yield Piece([str(file)], [_frames(spec, file)], done=number / len(files))
        except ZooError as error:
            yield Piece([str(file)], wrong=str(error), done=number / len(files))


def _files(folder: Path, ending: str) -> list[Path]:
    """Return the files of a folder with this ending; a note says which others are left out."""
    from zoo.data.image.decode import listing
    from zoo.utils.console import print_note

    names = [name for name, _, _ in listing(folder)]
    files = [folder / name for name in names if name.lower().endswith(ending)]
    others = [name for name in names if not name.lower().endswith(ending)]
    if not files:
        raise ZooError(f"{folder}: holds no {ending} file")
    if others:
        count = (
            f"1 file that is no {ending} file"
            if len(others) == 1
            else f"{len(others):,} files that are no {ending} files"
        )
        print_note(f"{folder}: left out {count}: {', '.join(others[:3])}{', …' if len(others) > 3 else ''}")
    return files


def _frames(spec: SequenceSpec, path: Path) -> np.ndarray:
    reading = spec.reading
    if not reading.frames:
        try:
            steps: np.ndarray = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise ZooError(f"{path}: is no array that can be read ({error})") from None
        return steps
    from zoo.data.sequence.audio import load_frames

    raw = path if str(path) != INPUT else sys.stdin.buffer.read()
    return load_frames(raw, normalize=reading.normalize, max_frames=spec.input_shape[0])


def from_json(spec: SequenceSpec, rows: Sequence[Any]) -> Any:
    """Return sequences of steps as ``encode`` takes them."""
    return [array(one) for one in rows]
