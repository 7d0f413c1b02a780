"""A run's folder and its end: signals, a disk that takes no more, what to remove after a failure, how to go on."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from zoo.config.run_config import RunConfig
from zoo.exceptions import Stopped, TrainingError

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interrupt(BaseException):
    """A signal that ends the work at once. It is no KeyboardInterrupt, which Lightning turns into exit code 1."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class Signals:
    """Listens to both signals from entering to leaving, in the main thread alone.

    While someone looks at ``number`` after each batch (between ``wait`` and ``check``), a first signal is only noted
    there. At any other time, and where it is the second one, it raises Interrupt.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._noted: Callable[[], None] | None = None
        self._before: dict[int, Any] = {}
        self._process = os.getpid()

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            before = {number: signal.getsignal(number) for number in SIGNALS}
            self._before = {number: handler for number, handler in before.items() if handler is not None}
        self.listen()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def listen(self) -> None:
        """Take the signals, also where another library has put a handler of its own in front."""
        for number in self._before:
            signal.signal(number, self._handle)

    def wait(self, noted: Callable[[], None] = lambda: None) -> None:
        """Note a first signal, and call ``noted``, instead of raising: someone looks after each batch."""
        self.listen()
        self._noted = noted

    def check(self) -> None:
        """Raise signals again, first of all one that was noted and that nobody looked at."""
        self._noted = None
        if self.number is not None:
            raise Interrupt(self.number)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # forked from the run, such as an environment's: it ends with the run
            if number == signal.SIGTERM:
                os._exit(128 + number)
            return
        again, self.number = self.number is not None, number
        if again or self._noted is None:
            raise Interrupt(number)
        self._noted()


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
