"""Lines for the user that are no result: on standard error, once per run."""

from __future__ import annotations

import os
import sys


def note(text: str) -> None:
    """Print a note, from the first process where several share a run."""
    if os.environ.get("LOCAL_RANK", "0") == "0":
        print(f"note: {text}", file=sys.stderr, flush=True)
