"""Files that are written whole or not at all, also where the power goes, the disk is full, or a folder is read-only."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from zoo.exceptions import TrainingError

UNWRITABLE = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
)  # a full disk, a quota that is reached, a disk that takes nothing
DENIED = (errno.EACCES, errno.EPERM)  # which reading may bring too, elsewhere


def atomic_write(path: Path, write: Callable[[Path], object]) -> None:
    """Have ``write`` make a file under another name, and give it its own once all of it is on the disk.

    What a link points to is replaced, not the link; a device or a pipe is written to as it is.

    Raises:
        OSError: it could not be written; what was at ``path`` is there as before, and nothing beside it.
    """
    path = path.resolve() if path.is_symlink() else path
    if path.exists() and not path.is_file():
        write(path)
        return
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")  # no other process's
    try:
        write(temporary)
        synced(temporary)
        os.replace(temporary, path)
        synced(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write NumPy arrays as an ``.npz``, whole or not at all.

    Raises:
        OSError: it could not be written.
    """
    import numpy as np

    def write(to: Path) -> None:
        with to.open("wb") as file:  # of a path that does not end in .npz NumPy would make another
            np.savez_compressed(file, **arrays)

    atomic_write(path, write)


def synced(path: Path) -> None:
    """Return once a file, or the names in a folder, are on the disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@contextlib.contextmanager
def kept_whole(folder: Path) -> Iterator[None]:
    """End a run whose ``folder`` takes nothing more in one line that says what is left and how to go on.

    Raises:
        TrainingError: in place of an OSError of such a kind.
    """
    try:
        yield
    except OSError as error:
        within = str(error.filename or "").startswith(str(folder))
        if error.errno not in UNWRITABLE and not (error.errno in DENIED and within):
            raise
        raise TrainingError(
            f"{folder}: cannot be written ({os.strerror(error.errno)}); {resume_hint(folder)}"
        ) from None


def resume_hint(folder: Path) -> str:
    """Return, in words, what there is of a run that ended before its time."""
    if (folder / "checkpoints" / "last.ckpt").exists():
        return f"once that is mended, go on with python train.py resume={folder}"
    if (folder / "checkpoints" / "best.ckpt").exists():
        return f"last good checkpoint: {folder / 'checkpoints' / 'best.ckpt'}"
    return "no checkpoint was written yet"


def read_results(folder: Path, *, steps: int | None = None) -> dict[str, Any] | None:
    """Return the content of a run's results.json, of a training of ``steps``; None where there is no such one."""
    try:
        content = json.loads((folder / "results.json").read_text())
    except (OSError, ValueError):
        return None
    groups = [content.get(key) for key in ("metrics", "baselines")] if isinstance(content, dict) else [None]
    whole = all(isinstance(group, dict) for group in groups)
    return content if whole and steps in (None, content.get("steps")) else None


RUN_FILES = ("config.yaml", "metrics.csv", "samples.txt", "samples.gif", "events.out.tfevents.*", "*.tmp")
RUN_FOLDERS = ("checkpoints", "samples", "plots")


def discard(folder: Path) -> None:
    """Remove what a run without a checkpoint has written, and its folder where nothing else lies there."""
    if any((folder / "checkpoints").glob("*.ckpt")):
        return
    for name in RUN_FOLDERS:
        shutil.rmtree(folder / name, ignore_errors=True)
    with contextlib.suppress(OSError):
        for pattern in RUN_FILES:
            for path in folder.glob(pattern):
                path.unlink()
        folder.rmdir()


def described(error: OSError) -> str:
    """Return which file an error is about and what is wrong; of one without a file name what it says itself."""
    if error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return error.strerror or " ".join(str(error).split()) or type(error).__name__
