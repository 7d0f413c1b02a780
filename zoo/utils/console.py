"""Console output: progress, notes, warnings, error texts, aligned tables, and a guard for optional work."""

from __future__ import annotations

import contextlib
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from zoo.exceptions import Stopped
from zoo.utils.rank import rank

LINE_LENGTH = 300  # maximum number of characters of a message from another library


def print_progress(text: str) -> None:
    """Print a line of progress. A closed pipe raises no error."""
    with contextlib.suppress(BrokenPipeError):
        print(text, flush=True)


def print_note(text: str) -> None:
    """Print a note to stderr on rank zero."""
    if rank() == 0:
        print(f"note: {text}", file=sys.stderr, flush=True)


def os_error_text(error: OSError) -> str:
    """Return the file name and the reason of an error, or its message if it has no file name."""
    if error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return error.strerror or " ".join(str(error).split()) or type(error).__name__


def exception_text(error: BaseException) -> str:
    """Return the type and the message of an exception as one line of at most LINE_LENGTH characters."""
    message = " ".join(str(error).split())
    text = f"{type(error).__name__}: {message}" if message else type(error).__name__
    return text if len(text) <= LINE_LENGTH else f"{text[: LINE_LENGTH - 1]}…"


def option_lines(rows: Sequence[tuple[str, str]], *, widest: int = 44, width: int = 118) -> Iterator[str]:
    """Yield the help lines of options (name, description) in two columns.

    The names take at most ``widest`` characters; longer names have their description on the next line.
    """
    left = min(max((len(name) for name, _ in rows), default=0), widest) + 4
    for name, text in rows:
        wrapped = textwrap.wrap(text, width - left)
        begins = wrapped.pop(0) if wrapped and len(name) + 4 <= left else ""
        yield f"  {name:<{left - 2}}{begins}".rstrip()
        yield from (" " * left + line for line in wrapped)


Attempt = Callable[[str, Callable[[], Any], Any], Any]  # (part, work, default) → the result of the work


def direct(part: str, work: Callable[[], Any], default: Any) -> Any:
    """Return the result of ``work``; exceptions propagate."""
    return work()


class Guard:
    """A guard for optional work whose failure must not end a run. ``missing`` lists the failed parts in order.

    Stopped is not a failure and propagates.
    """

    def __init__(self) -> None:
        self.missing: list[str] = []

    def attempt(self, part: str, work: Callable[[], Any], default: Any) -> Any:
        """Return the result of ``work``. If it raises, print a warning with the exception and return ``default``."""
        try:
            return work()
        except Stopped:
            raise
        except Exception as error:
            self.missing.append(part)
            print(f"warning: {part}: skipped ({exception_text(error)})", file=sys.stderr, flush=True)
            return default


def aligned(rows: Sequence[Sequence[str]], measured: Sequence[Sequence[str]] | None = None) -> list[str]:
    """Return rows as aligned lines. The widest cell in the ``measured`` rows (None: all) sets the width of a column."""
    widths = [max(map(len, column)) for column in zip(*(measured or rows), strict=True)]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
