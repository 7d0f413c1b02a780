"""The contract: how long it takes over all models, and runs that are stopped or killed at random and go on."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.jobs import Job, timed
from benchmarks.words import take_budget, take_nothing_else
from zoo.registry import entry, list_models

STEPS, EPOCHS = 100_000, 100  # of the long run
MOST = 0.02  # by which its memory may grow
MEMORY = f"memory over {STEPS:,} steps of fnn"
POINTS = {"quick": 3, "full": 20}


def jobs(asked: dict[str, str], earlier: Sequence[dict[str, Any]]) -> list[Job]:
    """Return a job for the whole contract over the models, and per model one for its stops, one for its kills."""
    budget, model = take_budget(asked), asked.pop("model", None)
    take_nothing_else(asked, "contract")
    names = [model] if model else list_models()
    for name in names:
        entry(name)  # an unknown one is refused before anything is measured
    took = timed(earlier, lambda row: row["what"], "seconds")
    whole = f"the contract of {' and '.join(names)}"
    found = [Job(whole, partial(_whole, whole, names), took.get(whole))]
    found.append(Job(MEMORY, _memory, took.get(MEMORY)))
    for name in names:
        for how in ("stopped", "killed"):
            what = f"{name} {how} and resumed"
            found.append(Job(what, partial(_stops, what, how, name, POINTS[budget]), took.get(what)))
    return found


def _whole(what: str, names: list[str]) -> Iterator[dict[str, Any]]:
    words = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *(f"--zoo-model={name}" for name in names)]
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
        seconds = time.perf_counter() - started
    found = {what: int(count) for count, what in re.findall(r"(\d+) (passed|failed|error)", done.stdout)}
    row = {"what": what, "checks": found, "seconds": round(seconds, 1)} | _made()
    row |= (
        {"failed": re.findall(r"^FAILED.*", done.stdout, re.MULTILINE) or ["pytest failed"]} if done.returncode else {}
    )
    print(f"    {found}, {seconds:.1f} s", flush=True)
    yield row


def _stops(what: str, how: str, name: str, points: int) -> Iterator[dict[str, Any]]:
    from zoo.contract import ContractError
    from zoo.contract.runs import check_kills, check_stops
    from zoo.contract.subject import subjects

    row: dict[str, Any] = {"what": what, "model": name, "points": points}
    started = time.perf_counter()
    try:
        row["points"] = (check_stops if how == "stopped" else check_kills)(subjects(name)[0], points)
        row["equal"] = points
    except ContractError as error:
        row["failed"] = [str(error)]
    row |= {"seconds": round(time.perf_counter() - started, 1)} | _made()
    print(f"    {row.get('failed', f'bit-equal after {points}')}", flush=True)
    yield row


def _memory() -> Iterator[dict[str, Any]]:
    """Yield the row of the memory that a long run has once it is warm, and at its end."""
    import contextlib
    import io

    import lightning as L
    import numpy as np

    import zoo

    held: list[float] = []

    class Watch(L.Callback):
        def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
            held.append(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20)

    x = np.random.default_rng(0).normal(size=(512, 8))
    trainer = {"max_epochs": EPOCHS, "steps_per_epoch": STEPS // EPOCHS, "accelerator": "cpu"}
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as above, contextlib.redirect_stdout(io.StringIO()):
        asked = {"trainer": trainer, "options": {"widths": [8]}, "run_dir": f"{above}/run", "data.batch_size": 16}
        zoo.train("fnn", (x, (x.sum(1) > 0).astype(int)), callbacks=(Watch(),), report=False, **asked)
    warm, last = held[EPOCHS // 10], held[-1]
    row = {"what": MEMORY, "megabytes": [round(warm, 1), round(last, 1)], "growth": last / warm - 1}
    row |= {"seconds": round(time.perf_counter() - started, 1)} | _made()
    if row["growth"] > MOST:
        row["failed"] = [f"{MEMORY}: {warm:.0f} MB after a tenth of them, {last:.0f} MB at the end"]
    print(f"    {warm:.1f} MB after a tenth of them, {last:.1f} MB at the end", flush=True)
    yield row


def _made() -> dict[str, Any]:
    from zoo.report import origin

    return origin("cpu")
