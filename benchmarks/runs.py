"""Runs that suites make: ``train.py`` and the verbs, by the words that a user would type, each a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo.exceptions import ZooError

ROOT = Path(__file__).resolve().parent.parent


def trained(words: Sequence[str], folder: Path) -> dict[str, Any]:
    """Return results.json of ``train.py`` with these words, in ``folder``.

    Raises:
        ZooError: it failed.
    """
    called([str(ROOT / "train.py"), *words, f"run_dir={folder}"])
    content: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return content


def called(words: Sequence[str], folder: Path = ROOT) -> tuple[str, float]:
    """Have this Python do what ``words`` say in ``folder``; ``$ZOO_DATA`` in them is what a shell makes of it.

    Returns what it printed, and the most memory that it held, in MB.

    Raises:
        ZooError: it failed.
    """
    typed = [sys.executable, *map(os.path.expandvars, words)]
    known = {**os.environ, "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as wrong:
        process = subprocess.Popen(typed, cwd=folder, env=known, stdout=out, stderr=wrong)
        try:
            _, status, used = os.wait4(process.pid, 0)
        except BaseException:  # a signal: what was begun ends too
            process.kill()
            process.wait()
            raise
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        wrong.seek(0)
        if process.returncode:
            raise ZooError(f"{' '.join(words)}: {(wrong.read().strip().splitlines() or ['no message'])[-1]}")
        return out.read(), used.ru_maxrss * 1024 / 1e6
