"""Run the commands whose output README and docs show, and write it: ``python -m benchmarks.transcripts``.

The marks ``<!-- transcript: COMMAND -->`` and ``<!-- end -->`` enclose a transcript. It keeps the last of the lines that
rewrite each other on a terminal, and leaves out the time in the name of a folder.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.report import pages

MARK = re.compile(r"(<!-- transcript: (.*?) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def transcript(command: str) -> str:
    """Return the block that shows a command of the zoo and its output.

    Raises:
        RuntimeError: the command failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        args = [sys.executable, "-m", *command.split()]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
        done = subprocess.run(args, cwd=folder, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stderr}")
    lines = [line.rpartition("\r")[2].rstrip() for line in done.stdout.split("\n")]
    epochs = [n for n, line in enumerate(lines) if line.startswith("epoch ")]
    lines = [line for n, line in enumerate(lines) if n not in epochs[:-1]]
    text = re.sub(r"/\d{4}-\d\d-\d\d_[\d-]+", "/…", "\n".join(lines)).strip()
    return f"```console\n$ {command}\n{text}\n```\n"


def main() -> None:
    """Write every transcript anew."""
    for page in pages():
        old = page.read_text()
        new = MARK.sub(lambda m: f"{m[1]}{transcript(m[2])}{m[4]}", old)
        if new != old:
            page.write_text(new)


if __name__ == "__main__":
    main()
