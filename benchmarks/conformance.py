"""The suite ``conformance``: conformance checks of all models, and runs that are stopped or killed and resumed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.arguments import take_budget, take_flag, take_nothing_else
from benchmarks.jobs import Job, timed
from benchmarks.rows import of_this_commit
from zoo.registry import entry, list_models

STEPS, EPOCHS = 100_000, 100  # of the long run
MOST = 0.02  # maximum growth of its memory, as a fraction
MEMORY = f"memory over {STEPS:,} steps of fnn"
POINTS = {"quick": 3, "full": 20}


def jobs(args: dict[str, str], earlier: Sequence[dict[str, Any]]) -> list[Job]:
    """Return a job for the checks, the stops and the kills of each model, and one for the memory of a long run.

    Rows of this commit are not measured again, unless ``fresh=true``.
    """
    budget, model, fresh = take_budget(args), args.pop("model", None), take_flag(args, "fresh")
    take_nothing_else(args, "conformance")
    names, points = [model] if model else list_models(), POINTS[budget]
    for name in names:
        entry(name)  # reject unknown names before the first measurement
    works: dict[str, Callable[[str, str], Iterator[dict[str, Any]]]] = {
        "checks": _checks,
        "stopped": partial(_stops, points=points),
        "killed": partial(_stops, points=points),
    }
    selected = [("fnn", "memory", _memory)] if model in (None, "fnn") else []
    selected += [(name, how, work) for name in names for how, work in works.items()]
    took = timed(earlier, lambda row: (row["model"], row["how"]), "seconds")
    done = (
        set()
        if fresh
        else {(r["model"], r["how"], len(r.get("points", "x" * points))) for r in of_this_commit(earlier)}
    )
    return [
        Job(f"{name}: {how}", partial(work, name, how), took.get((name, how)))
        for name, how, work in selected
        if (name, how, points) not in done
    ]


def _checks(name: str, how: str) -> Iterator[dict[str, Any]]:
    """Yield the row of a model's checks: the number of passed checks, and of those with two processes."""
    words = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", f"--zoo-model={name}"]
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
        seconds = time.perf_counter() - started
    passed = re.findall(r"test_conformance\[(\S+)\] PASSED", done.stdout)
    row = {"model": name, "how": how, "passed": len(passed), "seconds": round(seconds, 1)} | _provenance()
    row |= {"processes": sum(one.endswith("-processes") for one in passed)}
    if done.returncode or not passed:
        row["failed"] = re.findall(r"^FAILED.*", done.stdout, re.MULTILINE) or ["pytest failed"]
    print(f"    {len(passed)} passed, {row.get('failed', '')} {seconds:.1f} s", flush=True)
    yield row


def _stops(name: str, how: str, *, points: int) -> Iterator[dict[str, Any]]:
    from benchmarks.kills import check_kills
    from zoo.testing import ConformanceError
    from zoo.testing.runs import check_stops
    from zoo.testing.subject import subjects

    row: dict[str, Any] = {"model": name, "how": how, "points": points}
    started = time.perf_counter()
    try:
        row["points"] = (check_stops if how == "stopped" else check_kills)(subjects(name)[0], points)
        row["equal"] = points
    except ConformanceError as error:
        row["failed"] = [str(error)]
    row |= {"seconds": round(time.perf_counter() - started, 1)} | _provenance()
    print(f"    {row.get('failed', f'bit-equal after {points}')}", flush=True)
    yield row


def _memory(name: str, how: str) -> Iterator[dict[str, Any]]:
    """Yield the row of the memory of a long run after its warm-up and at its end."""
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
        args = {
            "trainer": trainer,
            "model_kwargs": {"hidden_sizes": [8]},
            "run_dir": f"{above}/run",
            "data.batch_size": 16,
        }
        zoo.train("fnn", (x, (x.sum(1) > 0).astype(int)), callbacks=(Watch(),), report=False, **args)
    warm, last = held[EPOCHS // 10], held[-1]
    row = {
        "model": name,
        "how": how,
        "what": MEMORY,
        "megabytes": [round(warm, 1), round(last, 1)],
        "growth": last / warm - 1,
    }
    row |= {"seconds": round(time.perf_counter() - started, 1)} | _provenance()
    if row["growth"] > MOST:
        row["failed"] = [f"{MEMORY}: {warm:.0f} MB after a tenth of the steps, {last:.0f} MB at the end"]
    print(f"    {warm:.1f} MB after a tenth of the steps, {last:.1f} MB at the end", flush=True)
    yield row


def _provenance() -> dict[str, Any]:
    from zoo.reporting.results import origin

    return origin("cpu")
