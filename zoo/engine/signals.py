"""SIGTERM and SIGINT: a run ends at its next batch, a second signal ends it at once, and handlers are given back."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

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
