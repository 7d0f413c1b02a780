"""Files that are written whole or not at all, also where the power goes, the disk is full, or a folder is read-only."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from zoo.errors import TrainingError

UNWRITABLE = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
)  # a full disk, a quota that is reached, a disk that takes nothing
DENIED = (errno.EACCES, errno.EPERM)  # which reading may bring too, elsewhere


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Have ``write`` make a file under another name, and give it its own once all of it is on the disk.

    Raises:
        OSError: it could not be written; what was at ``path`` is there as before, and nothing beside it.
    """
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

    write_whole(path, write)


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
        raise TrainingError(f"{folder}: cannot be written ({os.strerror(error.errno)}); {way_on(folder)}") from None


def way_on(folder: Path) -> str:
    """Return what is left of a run that ended before its time; of one that left no checkpoint, nothing stays."""
    if (folder / "checkpoints" / "last.ckpt").exists():
        return f"once that is mended, go on with python train.py resume={folder}"
    if (folder / "checkpoints" / "best.ckpt").exists():
        return f"last good checkpoint: {folder / 'checkpoints' / 'best.ckpt'}"
    shutil.rmtree(folder, ignore_errors=True)
    return "no checkpoint was written yet"
