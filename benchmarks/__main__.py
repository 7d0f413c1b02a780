"""Run a benchmark suite and append its rows to ``benchmarks/results/``.

- ``python -m benchmarks suite=all [budget=quick|full] [fresh=true]``
- ``python -m benchmarks suite=quality [model=cnn] [data=mnist] [seeds=3] [budget=quick|full] [option=value …]``
- ``python -m benchmarks suite=quality case=pneumonia [seeds=3]``
- ``python -m benchmarks suite=third_party [model=fnn] [data=adult] [seeds=3]``
- ``python -m benchmarks suite=speed [model=gan] [repeats=5]``
- ``python -m benchmarks suite=scaling [axis=rows] [repeats=3]``
- ``python -m benchmarks suite=families [model=lstm] [data=shakespeare] [seconds=60] [seeds=3]``
- ``python -m benchmarks suite=samples [data=mnist] [seeds=3]``
- ``python -m benchmarks suite=conformance [model=cnn] [budget=quick|full]``
- ``python -m benchmarks suite=files [reader=npz] [budget=quick|full]``
- ``python -m benchmarks suite=use_cases [model=gan]``
- ``python -m benchmarks suite=serving [clients=200] [seconds=60]``
- ``python -m benchmarks suite=cuda [model=gan] [repeats=2]``
- ``python -m benchmarks suite=replay [kills=3]``

Suites:

- quality: train each recipe that has an expected metric. Each run is a train.py command in a new process. Unknown
  options are passed to train.py. ``case=`` selects a run on files from ``benchmarks/files.yaml``.
- third_party: train other libraries on the same data, such as scikit-learn and stable-baselines3.
- speed: compare a training step with plain PyTorch, and measure throughput, inference and start-up.
- scaling: measure the training time by rows, batch size, width, length, environments and processes.
- families: train related models on the same data for the same time.
- samples: train a classifier on images that a cgan generated.
- conformance: run the conformance checks of each model, then stop and kill its runs at random moments.
- files: read damaged files of each format.
- use_cases: train each model for up to a minute, predict from files, and export to ONNX Runtime.
- serving: send requests of many clients to a server.
- cuda: run all checks that need a GPU, in at most eight minutes.
- replay: fill a replay buffer of the default size with images, and kill runs that have a full buffer.
- all: quality, third_party, speed and scaling.

``budget=full`` runs three seeds, all folds and 20 stops. ``budget=quick`` runs one seed, the first fold and one or two
recipes per model. Existing rows are kept, so a stopped suite continues with the rest. ``fresh=true`` repeats all rows.
``out=`` is another folder for the rows. Failed runs and missed expected metrics are also rows, and the exit code is 1.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import (
    conformance,
    cuda,
    damaged_files,
    families,
    quality,
    replay,
    samples,
    scaling,
    serving,
    speed,
    third_party,
    use_cases,
)
from benchmarks.jobs import Job, done
from benchmarks.rows import RESULTS, read
from zoo.engine.signals import Interrupt, Signals
from zoo.exceptions import Stopped, ZooError, unknown

Rows = list[dict[str, Any]]
SUITES: dict[str, Callable[[dict[str, str], Rows], list[Job]]] = {
    "quality": quality.jobs,
    "third_party": third_party.jobs,
    "families": families.jobs,
    "samples": samples.jobs,
    "conformance": conformance.jobs,
    "files": damaged_files.jobs,
    "speed": speed.jobs,
    "scaling": scaling.jobs,
    "use_cases": use_cases.jobs,
    "serving": serving.jobs,
    "cuda": cuda.jobs,
    "replay": replay.jobs,
}
ALL = ("quality", "third_party", "speed", "scaling")  # the suites of suite=all


def main(words: list[str]) -> int:
    """Run the suite of the arguments and return the exit code.

    The code is 0 for success, 1 for a failed row or a missed expected metric, and 2 for invalid arguments. For a suite
    that a signal stopped, it is 128 plus the number of the signal.
    """
    args: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or key.startswith("-"):
            print(__doc__)
            return 0 if word in ("-h", "--help") else 2
        args[key] = value
    try:
        with Signals():
            return 1 if _appended(args) else 0
    except ZooError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (Interrupt, Stopped) as stop:
        number = stop.number if isinstance(stop, Interrupt) else stop.signal
        name = signal.Signals(number).name if number else "itself"
        print(f"stopped by {name}. Repeat the command to continue.", file=sys.stderr)
        return 128 + (number or 0)


def _appended(args: dict[str, str]) -> int:
    """Run a suite, append its rows to a file, and return the number of failed rows."""
    suite, out = args.pop("suite", "quality"), Path(args.pop("out", RESULTS))
    if suite not in (*SUITES, "all"):
        raise unknown("suite", suite, [*SUITES, "all"])
    failed = 0
    for name in ALL if suite == "all" else [suite]:
        path = out / f"{name}.jsonl"
        for row in done(SUITES[name](dict(args), read(path))):
            failed += bool(row.get("failed"))
            _append(path, row)
    return failed


def _append(path: Path, row: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")
        file.flush()
        os.fsync(file.fileno())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
