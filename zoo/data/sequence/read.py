"""Read sequences of numbers and audio recordings from files and arrays."""

from __future__ import annotations

import io
import os
import sys
import wave
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.data.dataset import Batch
from zoo.data.input_readers import INPUT, Piece, array
from zoo.data.sequence.spec import SequenceSpec
from zoo.exceptions import ZooError

SAMPLE_RATE = 8000  # in Hz; all recordings are resampled to it
MIN_RATE, MAX_RATE = 1000, 768_000  # of a file, in Hz
N_FFT, HOP_LENGTH = 256, 80  # samples: windows of 32 ms, every 10 ms
N_MELS, F_MIN, F_MAX = 40, 50.0, 3900.0  # mel bands and their frequency range in Hz
POWER_FLOOR = 1e-6  # added before the logarithm
LOG_RANGE = 8.0  # clipping level below the maximum, in natural logarithms of power (35 dB)
N_COSINES = 3  # cosine components over the bands, subtracted from a recording


def load_frames(raw: bytes | Path, *, normalize: str, max_frames: int, where: str | None = None) -> np.ndarray:
    """Return the first ``max_frames`` log-mel frames (T, 40) of a wav file.

    Training and prediction both use this function, so their frames are bitwise equal.

    Raises:
        ZooError: if it is not a readable wav file.
    """
    frames = log_mel(read_wav(raw, where))[:max_frames]
    if normalize == "recording":
        frames = normalize_level(torch.from_numpy(frames)[None], torch.tensor([len(frames)]))[0].numpy()
    return frames


def read_wav(raw: bytes | Path, where: str | None = None) -> np.ndarray:
    """Return the samples (N,) of a wav file in [-1, 1], averaged over channels and resampled to SAMPLE_RATE.

    Raises:
        ZooError: if the wav file is not integer PCM, empty or truncated.
    """
    name = where or str(raw)
    try:
        content = raw.read_bytes() if isinstance(raw, Path) else raw
        with wave.open(io.BytesIO(content)) as file:
            channels, width, rate, frames = file.getparams()[:4]
            samples = file.readframes(frames)
    except OSError as error:
        raise ZooError(f"{name}: cannot be read ({error.strerror})") from None
    except Exception as error:  # damaged files can raise any error
        raise ZooError(f"{name}: is not a readable wav file ({error or 'truncated'}); save it as PCM") from None
    if width > 4 or not MIN_RATE <= rate <= MAX_RATE:
        raise ZooError(f"{name}: has {rate:,} samples per second of {8 * width} bits; save it as PCM")
    if not frames or len(samples) < frames * channels * width:
        held = len(samples) // (channels * width)
        raise ZooError(f"{name}: is truncated: it has {held} of {frames} samples; download or record it again")
    if width == 1:  # 8-bit samples are unsigned
        values = (np.frombuffer(samples, np.uint8).astype(np.float32) - 128) / 128
    elif width == 3:
        parts = np.frombuffer(samples, np.uint8).reshape(-1, 3).astype(np.int32)
        values = ((parts[:, 0] << 8 | parts[:, 1] << 16 | parts[:, 2] << 24) / 2.0**31).astype(np.float32)
    else:
        values = np.frombuffer(samples, f"<i{width}").astype(np.float32) / 2.0 ** (8 * width - 1)
    values = np.asarray(values.reshape(-1, channels).mean(1))
    if rate != SAMPLE_RATE:
        from scipy.signal import resample_poly

        values = resample_poly(values, SAMPLE_RATE, rate).astype(np.float32)
    return values


def log_mel(samples: np.ndarray) -> np.ndarray:
    """Return the log-mel power (T, 40) of samples (N,), with a frame every 10 ms."""
    x = torch.from_numpy(samples)
    if len(x) < N_FFT:
        x = torch.nn.functional.pad(x, (0, N_FFT - len(x)))
    spectrum = torch.stft(x, N_FFT, HOP_LENGTH, window=torch.hann_window(N_FFT), return_complex=True).abs().square()
    frames: np.ndarray = (mel_filterbank() @ spectrum + POWER_FLOOR).log().T.contiguous().numpy()
    return frames


def normalize_level(x: Tensor, lengths: Tensor) -> Tensor:
    """Remove the effect of loudness, microphone and room from log power (N, T, bands). Padding becomes 0.

    Power is clipped at LOG_RANGE below the maximum of the recording. Then the first N_COSINES cosine components over
    the bands of its mean are subtracted: level, slope and curvature. Subtracting the full mean (cepstral mean
    normalization, Atal 1974) would also remove the vowel of a short word.
    """
    inside = (torch.arange(x.shape[1]) < lengths[:, None]).unsqueeze(2)
    x = x.maximum(x.masked_fill(~inside, -torch.inf).amax((1, 2), keepdim=True) - LOG_RANGE) * inside
    band, bands = torch.arange(x.shape[2]), x.shape[2]
    cosines = torch.cos(torch.pi / bands * (band[:, None] + 0.5) * torch.arange(N_COSINES))  # (bands, SMOOTH)
    cosines = cosines / cosines.norm(dim=0)
    mean = x.sum(1, keepdim=True) / lengths.view(-1, 1, 1)
    normalized: Tensor = (x - mean @ cosines @ cosines.T) * inside
    return normalized


def mel_filterbank() -> Tensor:
    """Return triangular mel filters (40, 129), spaced evenly on the mel scale (O'Shaughnessy 1987).

    The mel scale is 2595 · log₁₀(1 + f/700), with f in Hz.
    """
    low, high = (2595 * np.log10(1 + f / 700) for f in (F_MIN, F_MAX))
    edge = 700 * (10 ** (np.linspace(low, high, N_MELS + 2) / 2595) - 1)
    frequency = np.linspace(0, SAMPLE_RATE / 2, N_FFT // 2 + 1)
    up = (frequency - edge[:-2, None]) / (edge[1:-1] - edge[:-2])[:, None]
    down = (edge[2:, None] - frequency) / (edge[2:] - edge[1:-1])[:, None]
    return torch.from_numpy(np.minimum(up, down).clip(min=0).astype(np.float32))


def encode(spec: SequenceSpec, raw: Any) -> Batch:
    """Return sequences as ``x`` (B, T, C), padded, with ``lengths``.

    ``raw`` is an array (T, C) or (B, T, C), a list of arrays (T, C), a file or a list of files.

    Raises:
        ZooError: if the shape is wrong, a sequence is longer than in training, or a value is not finite.
    """
    many = list(raw) if _is_list(raw) else raw if getattr(raw, "ndim", 0) == 3 else [raw]
    parts = [_steps(spec, part) for part in many]
    if not parts:
        raise ZooError(f"{spec.name}: no sequences; must be at least one")
    lengths = torch.tensor([len(part) for part in parts])
    return {"x": torch.nn.utils.rnn.pad_sequence(parts, batch_first=True), "lengths": lengths}


def _is_list(raw: Any) -> bool:
    """Return whether ``raw`` is a list of sequences, rather than one sequence given as a list of steps."""
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
        raise ZooError(f"{spec.name}: a sequence has NaN, infinity or a number beyond float32 in step {step + 1}")
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
    """Yield wav files, or .npy arrays (T, C) for models of other sequences."""
    folder = Path(path)
    files = _files(folder, ".wav" if spec.reading.frames else ".npy") if folder.is_dir() else [folder]
    for number, file in enumerate(files, start=1):
        try:
            yield Piece([str(file)], [_frames(spec, file)], done=number / len(files))
        except ZooError as error:
            yield Piece([str(file)], wrong=str(error), done=number / len(files))


def _files(folder: Path, ending: str) -> list[Path]:
    """Return the files of a folder with this extension. Print a note on the others."""
    from zoo.data.image.decode import listing
    from zoo.utils.console import print_note

    names = [name for name, _, _ in listing(folder)]
    files = [folder / name for name in names if name.lower().endswith(ending)]
    others = [name for name in names if not name.lower().endswith(ending)]
    if not files:
        raise ZooError(f"{folder}: has no {ending} files")
    if others:
        count = (
            f"1 file that is not a {ending} file"
            if len(others) == 1
            else f"{len(others):,} files that are not {ending} files"
        )
        print_note(f"{folder}: left out {count}: {', '.join(others[:3])}{', …' if len(others) > 3 else ''}")
    return files


def _frames(spec: SequenceSpec, path: Path) -> np.ndarray:
    reading = spec.reading
    if not reading.frames:
        try:
            steps: np.ndarray = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise ZooError(f"{path}: is not a readable array ({error})") from None
        return steps
    from zoo.data.sequence.read import load_frames

    raw = path if str(path) != INPUT else sys.stdin.buffer.read()
    return load_frames(raw, normalize=reading.normalize, max_frames=spec.input_shape[0])


def from_json(spec: SequenceSpec, rows: Sequence[Any]) -> Any:
    """Convert sequences of steps to input for ``encode``."""
    return [array(one) for one in rows]
