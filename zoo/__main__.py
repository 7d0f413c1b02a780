"""The command line: ``zoo VERB``, or ``python -m zoo VERB``; ``python train.py`` is the short form of ``zoo train``."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
from collections.abc import Sequence

from zoo import __version__
from zoo.cli import MODULES, verb
from zoo.exceptions import ZooError


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what a verb says; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if "--version" in words[:2]:
        print(f"zoo {__version__}")
        return 0
    if not words or words[0] in ("-h", "--help"):
        print("usage: zoo VERB …     (zoo VERB --help says more)\n")
        for name in MODULES:
            print(f"  {name:<9} {verb(name).about.splitlines()[0]}")
        return 0
    try:
        found = verb(words[0])
    except ZooError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return found.run(words[1:])


def run(arguments: Sequence[str] | None = None) -> None:
    """Be the command, and end once its work is done: taking torch down takes a second, and touches 100 MB more."""
    try:
        code = main(arguments)
    except BrokenPipeError:  # who reads has seen enough, as `zoo --help | head -1` has
        code = 128 + signal.SIGPIPE
    atexit._run_exitfuncs()
    with contextlib.suppress(OSError):  # nobody listens any more
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    run()
