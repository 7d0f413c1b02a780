"""Commands that suites run in new processes: ``train.py`` and ``zoo``."""

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
    """Run ``train.py`` with these options in ``folder`` and return its results.json.

    Raises:
        ZooError: the run failed.
    """
    called([str(ROOT / "train.py"), *words, f"run_dir={folder}"])
    content: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return content


def called(words: Sequence[str], folder: Path = ROOT) -> tuple[str, float]:
    """Run this Python with arguments in ``folder``, and return its output and its peak memory in MB.

    Environment variables in the arguments are expanded.

    Raises:
        ZooError: the command failed.
    """
    typed = [sys.executable, *map(os.path.expandvars, words)]
    known = {**os.environ, "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as wrong:
        process = subprocess.Popen(typed, cwd=folder, env=known, stdout=out, stderr=wrong)
        try:
            _, status, used = os.wait4(process.pid, 0)
        except BaseException:  # a signal also ends the child process
            process.kill()
            process.wait()
            raise
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        wrong.seek(0)
        if process.returncode:
            raise ZooError(f"{' '.join(words)}: {(wrong.read().strip().splitlines() or ['no message'])[-1]}")
        return out.read(), used.ru_maxrss * 1024 / 1e6
