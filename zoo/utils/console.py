"""Lines for the user: progress, notes, warnings and errors; parts of a report that are attempted."""

from __future__ import annotations

import contextlib
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from zoo.exceptions import Stopped
from zoo.utils.rank import rank

LINE_LENGTH = 300  # characters of a message that another library composed


def print_progress(text: str) -> None:
    """Print a line of progress; a closed pipe does not end the work."""
    with contextlib.suppress(BrokenPipeError):
        print(text, flush=True)


def print_note(text: str) -> None:
    """Print a note, in rank zero only."""
    if rank() == 0:
        print(f"note: {text}", file=sys.stderr, flush=True)


def os_error_text(error: OSError) -> str:
    """Return the file of an error and its reason; without a file name, the error's own message."""
    if error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return error.strerror or " ".join(str(error).split()) or type(error).__name__


def exception_text(error: BaseException) -> str:
    """Return the type and the message of an exception, in one line of bounded length."""
    message = " ".join(str(error).split())
    text = f"{type(error).__name__}: {message}" if message else type(error).__name__
    return text if len(text) <= LINE_LENGTH else f"{text[: LINE_LENGTH - 1]}…"


def option_lines(rows: Sequence[tuple[str, str]], *, widest: int = 44, width: int = 118) -> Iterator[str]:
    """Yield an option a line, its description in a column of its own that begins after the ``widest`` name at most."""
    left = min(max((len(name) for name, _ in rows), default=0), widest) + 4
    for name, text in rows:
        wrapped = textwrap.wrap(text, width - left)
        begins = wrapped.pop(0) if wrapped and len(name) + 4 <= left else ""
        yield f"  {name:<{left - 2}}{begins}".rstrip()
        yield from (" " * left + line for line in wrapped)


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


def aligned(rows: Sequence[Sequence[str]], measured: Sequence[Sequence[str]] | None = None) -> list[str]:
    """Return rows as lines, each column as wide as the widest cell of the ``measured`` rows (None: of all)."""
    widths = [max(map(len, column)) for column in zip(*(measured or rows), strict=True)]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
