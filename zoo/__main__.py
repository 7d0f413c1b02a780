"""The command line: ``zoo VERB``, or ``python -m zoo VERB``; ``python train.py`` is the short form of ``zoo train``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from zoo.errors import ZooError
from zoo.verbs import MODULES, verb


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what a verb says; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
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


if __name__ == "__main__":
    sys.exit(main())
