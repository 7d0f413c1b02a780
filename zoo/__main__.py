"""The command line: ``zoo COMMAND`` or ``python -m zoo COMMAND``. ``python train.py`` is an alias of ``zoo train``."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
from collections.abc import Sequence

from zoo import __version__
from zoo.cli import COMMANDS, find_command
from zoo.exceptions import ZooError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    args = list(sys.argv[1:] if arguments is None else arguments)
    if "--version" in args[:2]:
        print(f"zoo {__version__}")
        return 0
    if not args or args[0] in ("-h", "--help"):
        print("usage: zoo COMMAND …     (zoo COMMAND --help lists the options of a command)\n")
        for name, description in COMMANDS.items():
            print(f"  {name:<13}{description}")
        return 0
    try:
        chosen = find_command(args[0])
    except ZooError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return chosen.main(args[1:])


def run(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit the process at once. A regular shutdown of torch takes a second and 100 MB of memory."""
    try:
        code = main(arguments)
    except BrokenPipeError:  # the reader closed the pipe, as in `zoo --help | head -1`
        code = 128 + signal.SIGPIPE
    atexit._run_exitfuncs()
    with contextlib.suppress(OSError):  # the other end of the pipe is closed
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    run()
