"""A run's folder: how to go on from it, a disk that takes no more, and what to remove after a failure."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from zoo.config.run_config import RunConfig
from zoo.engine.signals import Interrupt
from zoo.exceptions import Stopped, TrainingError

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # a full disk, a reached quota, a read-only file system
PERMISSION_ERRORS = (errno.EACCES, errno.EPERM)  # reading elsewhere may raise these too
RUN_FILES = ("config.yaml", "metrics.csv", "samples.txt", "samples.gif", "events.out.tfevents.*", "*.tmp")
RUN_FOLDERS = ("checkpoints", "samples", "plots")


@contextlib.contextmanager
def guard_run(run_config: RunConfig) -> Iterator[None]:
    """Turn an interrupt, and a disk that takes no more, into an error that says how to resume.

    A run that failed without a checkpoint leaves no files.

    Raises:
        Stopped: in place of an Interrupt.
        TrainingError: in place of an OSError of such a kind.
    """
    folder = run_config.folder
    try:
        with _disk_errors(folder):
            yield
    except Interrupt as interrupt:
        raise Stopped(f"stopped by {interrupt}{_stop_hint(folder)}", folder, interrupt.number) from None
    except TrainingError:
        if not run_config.resumed:
            discard_run(folder)
        raise


def _stop_hint(folder: Path) -> str:
    """Return how to go on with a run that was interrupted."""
    command = f"python train.py resume={folder}"
    if (folder / "results.json").exists():
        return f"; its test figures are in {folder / 'results.json'}; add the rest of its report with {command}"
    if (folder / "checkpoints" / "last.ckpt").exists():
        return f"; go on with {command}"
    if (folder / "config.yaml").exists():
        return f" before its first checkpoint; begin again with {command}"
    return " before it began"


@contextlib.contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
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
