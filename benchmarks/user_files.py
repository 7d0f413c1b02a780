"""User files: ``zoo compare`` on files without a recipe, and ``zoo predict`` on a file of 1 GB."""

from __future__ import annotations

import gzip
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.runs import called
from zoo.exceptions import ZooError

GIGABYTE = 1_000_000_000
CONTESTS: dict[str, Sequence[str]] = {
    "photos of cars and lorries": [
        "data=image_folder",
        "data.path=$ZOO_DATA/cifar10_jpeg/cifar10_jpeg_q75.tar.xz",
        "data.classes=[automobile,truck]",
        "minutes=6",
    ],
    "a CSV of wines": [
        "data=csv",
        "data.path=$ZOO_DATA/tabular/winequality-red.csv",
        "data.target=-1",
        "minutes=2",
    ],
    "a text of captions": ["data=text_file", "data.path=captions.txt", "minutes=6"],
    "a series of sunspots": ["data=series", "data.path=$ZOO_DATA/tabular/monthly-sunspots.csv", "minutes=4"],
}


def compared(words: Sequence[str], folder: Path) -> dict[str, Any]:
    """Run ``zoo compare`` in ``folder`` and return its table, with the best validation metric first.

    Raises:
        ZooError: the command failed.
    """
    if "data.path=captions.txt" in words:
        source = Path(os.path.expandvars("$ZOO_DATA/multi30k/train.en.gz"))
        (folder / "captions.txt").write_bytes(gzip.decompress(source.read_bytes()))
    called(["-m", "zoo", "compare", *words], folder)
    content: dict[str, Any] = json.loads(next(folder.rglob("comparison.json")).read_text())
    return content


def predicted(folder: Path, size: int = GIGABYTE) -> dict[str, Any]:
    """Return the number of rows of a CSV of ``size`` bytes, and the peak memory and the time of ``zoo predict``.

    Raises:
        ZooError: the command failed, or a row has no prediction.
    """
    from sklearn.datasets import load_wine

    path, out = folder / "wines.csv", folder / "answers.csv"
    wines = load_wine(as_frame=True).data * (1 + 1e-9)  # numbers with all digits
    head, body = wines.to_csv(index=False).split("\n", 1)
    times = -(-size // len(body))
    with path.open("w") as file:
        file.write(f"{head}\n")
        for _ in range(times):
            file.write(body)
    rows = len(wines) * times
    started = time.perf_counter()
    _, used = called(["-m", "zoo", "predict", "fnn/wine", str(path), "format=csv", f"out={out}"])
    seconds = time.perf_counter() - started
    with out.open() as file:
        answered = sum(1 for _ in file) - 1
    if answered != rows:
        raise ZooError(f"predict: {answered:,} predictions for {rows:,} rows")
    return {"rows": rows, "bytes": path.stat().st_size, "megabytes": round(used, 1), "took": round(seconds, 1)}
