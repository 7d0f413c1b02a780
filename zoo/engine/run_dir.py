"""The folder of a run: how to resume from it, errors of the disk, and cleanup after a failure."""

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
PERMISSION_ERRORS = (errno.EACCES, errno.EPERM)  # reading a file outside the folder may raise these too
RUN_FILES = ("config.yaml", "metrics.csv", "samples.txt", "samples.gif", "events.out.tfevents.*", "*.tmp")
RUN_FOLDERS = ("checkpoints", "samples", "plots")


@contextlib.contextmanager
def guard_run(run_config: RunConfig) -> Iterator[None]:
    """Convert interrupts and disk errors into errors that tell the user how to resume.

    A run that fails before its first checkpoint leaves no files.

    Raises:
        Stopped: a signal interrupted the run.
        TrainingError: the disk is full, the quota is reached, or the folder is read-only.
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
    """Return the end of a message that tells how to resume an interrupted run."""
    command = f"zoo train resume={folder}"
    if (folder / "results.json").exists():
        return f". The test metrics are in {folder / 'results.json'}. Complete the report with: {command}"
    if (folder / "checkpoints" / "last.ckpt").exists():
        return f". Resume with: {command}"
    if (folder / "config.yaml").exists():
        return f" before the first checkpoint. Start again with: {command}"
    return " before the run started"


@contextlib.contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        within = str(error.filename or "").startswith(str(folder))
        if error.errno not in DISK_ERRORS and not (error.errno in PERMISSION_ERRORS and within):
            raise
        message = f"{folder}: cannot be written ({os.strerror(error.errno)}). {resume_hint(folder)}"
        raise TrainingError(message) from None


def resume_hint(folder: Path) -> str:
    """Return a sentence that tells how to resume a run that failed."""
    if (folder / "checkpoints" / "last.ckpt").exists():
        return f"Fix the cause, then resume with: zoo train resume={folder}"
    if (folder / "checkpoints" / "best.ckpt").exists():
        return f"Last good checkpoint: {folder / 'checkpoints' / 'best.ckpt'}"
    return "The run has no checkpoint yet."


def discard_run(folder: Path) -> None:
    """Remove the files of a run that has no checkpoint, and its folder if it contains no other files."""
    if any((folder / "checkpoints").glob("*.ckpt")):
        return
    for name in RUN_FOLDERS:
        shutil.rmtree(folder / name, ignore_errors=True)
    with contextlib.suppress(OSError):
        for pattern in RUN_FILES:
            for path in folder.glob(pattern):
                path.unlink()
        folder.rmdir()
