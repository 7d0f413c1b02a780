"""Optional parts of a report are attempted: where one fails, a warning says so, and the result stays."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from zoo.exceptions import Stopped
from zoo.utils.console import exception_text

Attempt = Callable[[str, Callable[[], Any], Any], Any]  # (part, work, default) → the result of the work


def direct(part: str, work: Callable[[], Any], default: Any) -> Any:
    """Return the result of ``work``; its exceptions pass."""
    return work()


class Guard:
    """Runs parts that must not end a run; ``missing`` lists the names of those that failed, in order.

    A stop by a signal is no failure, and passes.
    """

    def __init__(self) -> None:
        self.missing: list[str] = []

    def attempt(self, part: str, work: Callable[[], Any], default: Any) -> Any:
        """Return the result of ``work``, or ``default`` where it raises; a warning names the part and the exception."""
        try:
            return work()
        except Stopped:
            raise
        except Exception as error:
            self.missing.append(part)
            print(f"warning: {part}: is left out ({exception_text(error)})", file=sys.stderr, flush=True)
            return default
