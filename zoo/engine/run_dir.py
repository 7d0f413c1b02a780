"""A run's folder: the results in it, a disk that takes no more, and what to remove after a failure."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zoo.exceptions import TrainingError

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # a full disk, a reached quota, a read-only file system
PERMISSION_ERRORS = (errno.EACCES, errno.EPERM)  # reading elsewhere may raise these too
RUN_FILES = ("config.yaml", "metrics.csv", "samples.txt", "samples.gif", "events.out.tfevents.*", "*.tmp")
RUN_FOLDERS = ("checkpoints", "samples", "plots")


@contextlib.contextmanager
def guard_run_dir(folder: Path) -> Iterator[None]:
    """Turn a disk that takes no more into an error that says how to resume.

    Raises:
        TrainingError: in place of an OSError of such a kind.
    """
    try:
        yield
    except OSError as error:
        within = str(error.filename or "").startswith(str(folder))
        if error.errno not in DISK_ERRORS and not (error.errno in PERMISSION_ERRORS and within):
            raise
        message = f"{folder}: cannot be written ({os.strerror(error.errno)}); {resume_hint(folder)}"
        raise TrainingError(message) from None


def resume_hint(folder: Path) -> str:
    """Return how to go on with a run that ended early."""
    if (folder / "checkpoints" / "last.ckpt").exists():
        return f"once that is mended, go on with python train.py resume={folder}"
    if (folder / "checkpoints" / "best.ckpt").exists():
        return f"last good checkpoint: {folder / 'checkpoints' / 'best.ckpt'}"
    return "no checkpoint was written yet"


def read_results(folder: Path, *, steps: int | None = None) -> dict[str, Any] | None:
    """Return the content of a run's results.json, or None without a complete one of ``steps`` training steps."""
    try:
        content = json.loads((folder / "results.json").read_text())
    except (OSError, ValueError):
        return None
    groups = [content.get(key) for key in ("metrics", "baselines")] if isinstance(content, dict) else [None]
    complete = all(isinstance(group, dict) for group in groups)
    return content if complete and steps in (None, content.get("steps")) else None


def discard_run(folder: Path) -> None:
    """Remove the files of a run without a checkpoint, and its folder unless it holds other files."""
    if any((folder / "checkpoints").glob("*.ckpt")):
        return
    for name in RUN_FOLDERS:
        shutil.rmtree(folder / name, ignore_errors=True)
    with contextlib.suppress(OSError):
        for pattern in RUN_FILES:
            for path in folder.glob(pattern):
                path.unlink()
        folder.rmdir()
