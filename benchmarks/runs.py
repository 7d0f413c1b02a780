"""Runs that suites make: ``train.py`` and the verbs, by the words that a user would type, each a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo.errors import ZooError

ROOT = Path(__file__).resolve().parent.parent


def trained(words: Sequence[str], folder: Path) -> dict[str, Any]:
    """Return results.json of ``train.py`` with these words, in ``folder``.

    Raises:
        ZooError: it failed.
    """
    called([str(ROOT / "train.py"), *words, f"run_dir={folder}"])
    content: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return content


def called(words: Sequence[str]) -> None:
    """Have this Python do what ``words`` say; ``$ZOO_DATA`` in them is what a shell makes of it.

    Raises:
        ZooError: it failed.
    """
    typed = [os.path.expandvars(word) for word in words]
    done = subprocess.run([sys.executable, *typed], capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise ZooError(f"{' '.join(words)}: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
