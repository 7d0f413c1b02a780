"""Speech: recordings as log-mel spectrograms, computed once and cached."""

from __future__ import annotations

import hashlib
import io
import tarfile
import wave
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from torch import Tensor

from zoo.config.schema import check_choice, check_number
from zoo.data.dataset import Card, Dataset, Splits, class_counts
from zoo.data.download import root_folder
from zoo.data.image.cache import cache_folder
from zoo.data.image.decode import is_litter
from zoo.data.sequence.spec import SequenceReading, SequenceSpec
from zoo.exceptions import ZooError
from zoo.registry import register_data
from zoo.utils.atomic_io import write_npz

FSDD = Card(
    source="https://github.com/Jakobovski/free-spoken-digit-dataset",
    licence="CC BY-SA 4.0",
    citation="Jackson et al.: Free Spoken Digit Dataset, 2018",
)
RATE = 8000  # samples a second that everything is brought to
SLOWEST, FASTEST = 1000, 768_000  # of a file
WINDOW, HOP = 256, 80  # samples: 32 ms, every 10 ms
BANDS, LOWEST, HIGHEST = 40, 50.0, 3900.0  # mel bands and their range in Hz
FLOOR = 1e-6  # power that silence counts as
LONGEST = 128  # frames that are read of each recording
FORMAT = 2  # of the cache
OFFICIAL_TEST = 5  # recordings 0 to 4 of each speaker and digit
RANGE = 8.0  # natural logarithms of power (35 dB) below a recording's loudest that are told apart
SMOOTH = 3  # cosines over the bands by which a recording's own sound is taken off


@register_data("spoken_digits", tasks=("classification",), modality="sequence")
def spoken_digits(
    *,
    root: str | None = None,
    cache_dir: str | None = None,
    split: str = "official",
    fold: int = 0,
    validation: str = "rows",
    normalize: str = "recording",
    split_seed: int = 0,
) -> Dataset:
    """Return 3,000 spoken digits of six speakers as log-mel frames (T, 40), one every 10 ms.

    ``split`` official: recordings 0 to 4 of each speaker and digit are test (300). ``speaker``: all of speaker number
    ``fold``, from 0, is test. ``validation`` is a tenth of the other rows or all of the next speaker, by whom a recipe
    for voices that it has not heard is chosen. ``normalize`` recording takes from each its own level (``levelled``).

    Raises:
        ZooError: the recordings are not there, or one of them cannot be read.
    """
    check_choice("data.split", split, ("official", "speaker"))
    check_choice("data.validation", validation, ("rows", "speaker"))
    check_choice("data.normalize", normalize, ("none", "recording"))
    check_number("data.fold", fold, low=0, integer=True)
    archive = root_folder(root) / "fsdd" / "fsdd_recordings.tar.gz"
    names, frames, lengths = _cached(archive, cache_dir, normalize)
    digit, speaker, number = (np.array(part) for part in zip(*(name.split("_") for name in names), strict=True))
    speakers = sorted(set(speaker))
    check_number(f"data.fold (of {len(speakers)} speakers)", fold, high=len(speakers) - 1, integer=True)
    tested = number.astype(int) < OFFICIAL_TEST if split == "official" else speaker == speakers[fold]
    y = digit.astype(np.int64)
    rest = np.flatnonzero(~tested)
    if validation == "speaker":
        after = speaker == speakers[(fold + 1) % len(speakers)]
        train, val = rest[~after[rest]], rest[after[rest]]
        if not len(train):
            raise ZooError(f"data.validation=speaker: leaves none of {len(speakers)} speakers to learn from; set rows")
    else:
        train, val = (rest[part] for part in Splits(split_seed=split_seed).cut_val(y[rest], stratify=True))
    x, sizes, labels = torch.from_numpy(frames), torch.from_numpy(lengths), torch.from_numpy(y)
    parts = [
        {"x": x[index], "y": labels[index], "lengths": sizes[index]} for index in (train, val, np.flatnonzero(tested))
    ]
    seen = torch.cat([row[:size] for row, size in zip(parts[0]["x"], parts[0]["lengths"].tolist(), strict=True)])
    spec = SequenceSpec(
        name="spoken_digits",
        task="classification",
        input_shape=tuple(x.shape[1:]),
        classes=tuple("0123456789"),
        mean=tuple(seen.double().mean(0).tolist()),
        std=tuple(seen.double().std(0).tolist()),
        class_counts=class_counts(y[train], 10),
        reading=SequenceReading(frames="log_mel", normalize=normalize),
        rows=len(train),
    )
    return Dataset(spec, *parts, FSDD)


def _cached(archive: Path, cache_dir: str | None, normalize: str) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return names, frames (N, T, 40) and lengths of an archive's recordings, computed once."""
    try:
        state = archive.stat()
    except OSError:
        raise ZooError(
            f"data=spoken_digits: {archive} is not there; download the recordings of {FSDD.source} as a tar.gz of "
            f"wav files, or set data.root or ZOO_DATA to the folder that holds fsdd/"
        ) from None
    key = (
        f"{FORMAT} {archive.resolve()} {state.st_size} {state.st_mtime_ns} {WINDOW} {HOP} {BANDS} {LONGEST} {normalize}"
    )
    entry = cache_folder(cache_dir) / "audio" / f"{hashlib.sha256(key.encode()).hexdigest()[:20]}.npz"
    try:
        with np.load(entry) as kept:
            return kept["names"].tolist(), kept["frames"], kept["lengths"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):  # none, or one that a crash cut
        pass
    names, parts = [], []
    for name, raw in _members(archive):
        names.append(PurePosixPath(name).stem)
        parts.append(frames_of(raw, normalize=normalize, longest=LONGEST, where=f"{archive}: {name}"))
    if not parts:
        raise ZooError(f"{archive}: holds no wav file; fetch it again")
    lengths = np.array([len(part) for part in parts])
    frames = np.zeros((len(parts), LONGEST, BANDS), np.float32)
    for row, part in zip(frames, parts, strict=True):
        row[: len(part)] = part
    _write(entry, names=np.array(names), frames=frames, lengths=lengths)
    return names, frames, lengths


def _write(path: Path, **arrays: np.ndarray) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_npz(path, arrays)
    except OSError as error:
        said = f"{path.parent}: cannot be written ({error.strerror}); choose another with data.cache_dir="
        raise ZooError(said) from None


def _members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the wav files of an archive, by name."""
    try:
        with tarfile.open(archive) as opened:
            found = sorted((m for m in opened if m.isfile() and is_recording(m.name)), key=lambda m: m.name)
            for member in found:
                file = opened.extractfile(member)
                assert file is not None
                yield member.name, file.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ZooError(f"{archive}: is damaged ({error}); fetch it again") from None


def is_recording(name: str) -> bool:
    """Tell whether a file's name is that of a wav file, and not of one that a system leaves behind."""
    return name.lower().endswith(".wav") and not any(map(is_litter, PurePosixPath(name).parts))


def frames_of(raw: bytes | Path, *, normalize: str, longest: int, where: str | None = None) -> np.ndarray:
    """Return a wav file as a model reads it: its first ``longest`` frames (T, 40), each recording by itself.

    Training and prediction both call this, so that they read a recording the same to the last bit.

    Raises:
        ZooError: no wav that can be read.
    """
    frames = log_mel(read_wav(raw, where))[:longest]
    if normalize == "recording":
        frames = levelled(torch.from_numpy(frames)[None], torch.tensor([len(frames)]))[0].numpy()
    return frames


def read_wav(raw: bytes | Path, where: str | None = None) -> np.ndarray:
    """Return a wav's samples in [-1, 1], one channel (the mean of several) at RATE, resampled where it has another.

    Raises:
        ZooError: no wav of whole numbers, empty, or cut short.
    """
    said = where or str(raw)
    try:
        content = raw.read_bytes() if isinstance(raw, Path) else raw
        with wave.open(io.BytesIO(content)) as file:
            channels, width, rate, frames = file.getparams()[:4]
            samples = file.readframes(frames)
    except OSError as error:
        raise ZooError(f"{said}: cannot be read ({error.strerror})") from None
    except Exception as error:  # whatever a damaged file makes the reader say
        raise ZooError(f"{said}: is no wav that can be read ({error or 'cut short'}); save it as PCM") from None
    if width > 4 or not SLOWEST <= rate <= FASTEST:
        raise ZooError(f"{said}: has {rate:,} samples a second of {8 * width} bits; record it anew, or save it as PCM")
    if not frames or len(samples) < frames * channels * width:
        held = len(samples) // (channels * width)
        raise ZooError(f"{said}: is cut short, it holds {held} of {frames} samples; record or fetch it again")
    if width == 1:  # of these alone, zero is in the middle
        values = (np.frombuffer(samples, np.uint8).astype(np.float32) - 128) / 128
    elif width == 3:
        parts = np.frombuffer(samples, np.uint8).reshape(-1, 3).astype(np.int32)
        values = ((parts[:, 0] << 8 | parts[:, 1] << 16 | parts[:, 2] << 24) / 2.0**31).astype(np.float32)
    else:
        values = np.frombuffer(samples, f"<i{width}").astype(np.float32) / 2.0 ** (8 * width - 1)
    values = values.reshape(-1, channels).mean(1)
    if rate != RATE:
        from scipy.signal import resample_poly

        values = resample_poly(values, RATE, rate).astype(np.float32)
    return values


def log_mel(samples: np.ndarray) -> np.ndarray:
    """Return log power (T, 40) of samples (N,) in mel bands, one frame every 10 ms."""
    x = torch.from_numpy(samples)
    if len(x) < WINDOW:
        x = torch.nn.functional.pad(x, (0, WINDOW - len(x)))
    spectrum = torch.stft(x, WINDOW, HOP, window=torch.hann_window(WINDOW), return_complex=True).abs().square()
    found: np.ndarray = (mel_bands() @ spectrum + FLOOR).log().T.contiguous().numpy()
    return found


def levelled(x: Tensor, lengths: Tensor) -> Tensor:
    """Return log power (N, T, bands) without what loudness, microphone and room make of it; padding is 0.

    It is no less than RANGE below a recording's loudest, then less the SMOOTH first cosines over bands of the
    recording's own mean: its level, slope and bend. All of the mean (Atal 1974) would take a short word's vowel off.
    """
    inside = (torch.arange(x.shape[1]) < lengths[:, None]).unsqueeze(2)
    x = x.maximum(x.masked_fill(~inside, -torch.inf).amax((1, 2), keepdim=True) - RANGE) * inside
    band, bands = torch.arange(x.shape[2]), x.shape[2]
    cosines = torch.cos(torch.pi / bands * (band[:, None] + 0.5) * torch.arange(SMOOTH))  # (bands, SMOOTH)
    cosines = cosines / cosines.norm(dim=0)
    mean = x.sum(1, keepdim=True) / lengths.view(-1, 1, 1)
    return (x - mean @ cosines @ cosines.T) * inside


def mel_bands() -> Tensor:
    """Return triangles (40, 129) over frequencies, even in mel (O'Shaughnessy 1987): 2595 · log₁₀(1 + f/700)."""
    low, high = (2595 * np.log10(1 + f / 700) for f in (LOWEST, HIGHEST))
    edge = 700 * (10 ** (np.linspace(low, high, BANDS + 2) / 2595) - 1)
    frequency = np.linspace(0, RATE / 2, WINDOW // 2 + 1)
    up = (frequency - edge[:-2, None]) / (edge[1:-1] - edge[:-2])[:, None]
    down = (edge[2:, None] - frequency) / (edge[2:] - edge[1:-1])[:, None]
    return torch.from_numpy(np.minimum(up, down).clip(min=0).astype(np.float32))
