"""Atomic writes: a file is complete or absent, even after a power loss or on a full disk."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def atomic_write(path: Path, write: Callable[[Path], object]) -> None:
    """Call ``write`` with a temporary path, sync the file to disk, and rename it to ``path``.

    For a symbolic link, the target is replaced. For a device or a pipe, ``write`` receives ``path`` itself.

    Raises:
        OSError: the write failed. The file at ``path`` is unchanged and the temporary file is removed.
    """
    path = path.resolve() if path.is_symlink() else path
    if path.exists() and not path.is_file():
        write(path)
        return
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")  # unique to this process
    try:
        write(temporary)
        fsync(temporary)
        os.replace(temporary, path)
        fsync(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def write_npz(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write NumPy arrays as a compressed ``.npz``, atomically.

    Raises:
        OSError: the write failed.
    """
    import numpy as np

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:  # NumPy appends .npz to a path that does not end in it
            np.savez_compressed(file, **arrays)

    atomic_write(path, write)


def fsync(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
