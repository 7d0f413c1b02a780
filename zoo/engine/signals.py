"""Handling of SIGTERM and SIGINT: the first signal stops a run after its batch, a second one immediately."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interrupt(BaseException):
    """A signal that stops the work immediately.

    It does not derive from KeyboardInterrupt, because Lightning turns that into exit code 1.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class Signals:
    """Context manager that handles SIGTERM and SIGINT in the main thread and restores the earlier handlers on exit.

    Between ``wait`` and ``check`` the caller polls ``number`` after each batch, so the first signal only sets
    ``number``. At any other time, and for a second signal, the handler raises Interrupt.
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
        """Install the handler again, in case another library replaced it."""
        for number in self._before:
            signal.signal(number, self._handle)

    def wait(self, noted: Callable[[], None] = lambda: None) -> None:
        """Record the first signal and call ``noted`` instead of raising; the caller polls ``number`` after each batch."""
        self.listen()
        self._noted = noted

    def check(self) -> None:
        """Raise on signals again, first on a recorded signal that the caller has not handled.

        Raises:
            Interrupt: a signal was recorded.
        """
        self._noted = None
        if self.number is not None:
            raise Interrupt(self.number)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a child process, such as an environment's: it ends with the run
            if number == signal.SIGTERM:
                os._exit(128 + number)
            return
        again, self.number = self.number is not None, number
        if again or self._noted is None:
            raise Interrupt(number)
        self._noted()
