"""Built-in audio datasets as log-mel spectrograms, computed once and cached."""

from __future__ import annotations

import hashlib
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
import torch

from zoo.config.schema import check_choice, check_number
from zoo.data.dataset import Dataset, Splits, class_counts
from zoo.data.download import card, root_folder
from zoo.data.image.cache import cache_folder
from zoo.data.image.decode import is_litter
from zoo.data.sequence.read import HOP_LENGTH, N_FFT, N_MELS, load_frames
from zoo.data.sequence.spec import SequenceReading, SequenceSpec
from zoo.exceptions import ZooError
from zoo.registry import register_data
from zoo.utils.atomic_io import write_npz

MAX_FRAMES = 128  # frames read from each recording
FORMAT = 2  # version of the cache
OFFICIAL_TEST = 5  # recordings 0 to 4 of each speaker and digit


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
    """Return the Free Spoken Digit Dataset: 3,000 recordings of six speakers as log-mel frames (T, 40).

    There is a frame every 10 ms.

    Args:
        ``root``: folder of built-in datasets; null: $ZOO_DATA, otherwise data/
        ``cache_dir``: folder of computed frames; null: $ZOO_CACHE, otherwise the cache folder of the user
        ``split``: official (test: recordings 0 to 4 of each speaker and digit) | speaker (test: all of one speaker)
        ``fold``: index of the test speaker, from 0 to 5
        ``validation``: rows (10 % of the rows outside the test set) | speaker (all of the next speaker)
        ``normalize``: recording (remove loudness and microphone effects) | none
        ``split_seed``: seed of the validation split

    Raises:
        ZooError: if the recordings are missing or unreadable.
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
            raise ZooError("data.validation=speaker: leaves no speaker for training; use data.validation=rows")
    else:
        train, val = (rest[part] for part in Splits(split_seed=split_seed).cut_val(y[rest], stratify=True))
    x, sizes, labels = torch.from_numpy(frames), torch.from_numpy(lengths), torch.from_numpy(y)
    parts = [
        {"x": x[index], "y": labels[index], "lengths": sizes[index]} for index in (train, val, np.flatnonzero(tested))
    ]
    steps = torch.cat([row[:size] for row, size in zip(parts[0]["x"], parts[0]["lengths"].tolist(), strict=True)])
    spec = SequenceSpec(
        name="spoken_digits",
        task="classification",
        input_shape=tuple(x.shape[1:]),
        classes=tuple("0123456789"),
        mean=tuple(steps.double().mean(0).tolist()),
        std=tuple(steps.double().std(0).tolist()),
        class_counts=class_counts(y[train], 10),
        reading=SequenceReading(frames="log_mel", normalize=normalize),
        rows=len(train),
    )
    return Dataset(spec, parts[0], parts[1], parts[2])


def _cached(archive: Path, cache_dir: str | None, normalize: str) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return the names, frames (N, T, 40) and lengths of an archive's recordings, from the cache if available."""
    try:
        state = archive.stat()
    except OSError:
        raise ZooError(
            f"data=spoken_digits: {archive} is missing; download the recordings from {card('spoken_digits')['source']} "
            f"as a tar.gz of wav files, or set data.root or ZOO_DATA to the folder that contains fsdd/"
        ) from None
    file = f"{archive.resolve()} {state.st_size} {state.st_mtime_ns}"
    key = f"{FORMAT} {file} {N_FFT} {HOP_LENGTH} {N_MELS} {MAX_FRAMES} {normalize}"
    entry = cache_folder(cache_dir) / "audio" / f"{hashlib.sha256(key.encode()).hexdigest()[:20]}.npz"
    try:
        with np.load(entry) as cached:
            return cached["names"].tolist(), cached["frames"], cached["lengths"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):  # missing, or incomplete after a crash
        pass
    names, parts = [], []
    for name, raw in _members(archive):
        names.append(PurePosixPath(name).stem)
        parts.append(load_frames(raw, normalize=normalize, max_frames=MAX_FRAMES, where=f"{archive}: {name}"))
    if not parts:
        raise ZooError(f"{archive}: has no wav file; download it again")
    lengths = np.array([len(part) for part in parts])
    frames = np.zeros((len(parts), MAX_FRAMES, N_MELS), np.float32)
    for row, part in zip(frames, parts, strict=True):
        row[: len(part)] = part
    _write(entry, names=np.array(names), frames=frames, lengths=lengths)
    return names, frames, lengths


def _write(path: Path, **arrays: np.ndarray) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_npz(path, arrays)
    except OSError as error:
        message = f"{path.parent}: cannot be written ({error.strerror}); choose another folder with data.cache_dir="
        raise ZooError(message) from None


def _members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the name and content of each wav file in an archive, sorted by name."""
    try:
        with tarfile.open(archive) as opened:
            members = sorted((m for m in opened if m.isfile() and is_recording(m.name)), key=lambda m: m.name)
            for member in members:
                file = opened.extractfile(member)
                assert file is not None
                yield member.name, file.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ZooError(f"{archive}: is damaged ({error}); download it again") from None


def is_recording(name: str) -> bool:
    """Return whether a file name is that of a wav file, and not of a system file."""
    return name.lower().endswith(".wav") and not any(map(is_litter, PurePosixPath(name).parts))
