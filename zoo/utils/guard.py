"""What only decorates a result is attempted: where it fails, one line says so, and the result stays."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from typing import Any

from zoo.exceptions import Stopped

Attempt = Callable[[str, Callable[[], Any], Any], Any]  # (part, work, default) → the result of the work
LONGEST = 300  # characters of a message that another library composed


def direct(part: str, work: Callable[[], Any], default: Any) -> Any:
    """Return the result of ``work`` as it is: whatever it raises ends the caller."""
    return work()


def say(text: str) -> None:
    """Print a line of progress; where nobody reads any more, the work goes on without."""
    with contextlib.suppress(BrokenPipeError):
        print(text, flush=True)


class Guard:
    """Runs parts of which none may end a run; ``missing`` are the names of those that failed, in their order.

    A stop by a signal is no failure, and passes.
    """

    def __init__(self) -> None:
        self.missing: list[str] = []

    def attempt(self, part: str, work: Callable[[], Any], default: Any) -> Any:
        """Return the result of ``work``, or ``default`` where it raises: then one warning names part and exception."""
        try:
            return work()
        except Stopped:
            raise
        except Exception as error:
            self.missing.append(part)
            print(f"warning: {part}: is left out ({described(error)})", file=sys.stderr, flush=True)
            return default


def described(error: BaseException) -> str:
    """Return an exception in one line of bounded length: its type, then its message."""
    message = " ".join(str(error).split())
    text = f"{type(error).__name__}: {message}" if message else type(error).__name__
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
