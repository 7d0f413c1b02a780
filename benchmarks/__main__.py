"""Run a suite and append its rows to ``benchmarks/results/``.

    python -m benchmarks suite=all [budget=quick|full] [fresh=true]
    python -m benchmarks suite=quality [model=cnn] [data=mnist] [seeds=3] [budget=quick|full] [option=value …]
    python -m benchmarks suite=quality case=pneumonia [seeds=3]
    python -m benchmarks suite=third_party [model=fnn] [data=adult] [seeds=3]
    python -m benchmarks suite=speed [model=gan] [repeats=5]
    python -m benchmarks suite=scaling [axis=rows] [repeats=3]
    python -m benchmarks suite=families [model=lstm] [data=shakespeare] [seconds=60] [seeds=3]
    python -m benchmarks suite=samples [data=mnist] [seeds=3]
    python -m benchmarks suite=conformance [model=cnn] [budget=quick|full]
    python -m benchmarks suite=files [reader=npz] [budget=quick|full]
    python -m benchmarks suite=use_cases [model=gan]
    python -m benchmarks suite=serving [clients=200] [seconds=60]
    python -m benchmarks suite=cuda [model=gan] [repeats=2]
    python -m benchmarks suite=replay [kills=3]

quality trains each recipe with an expected metric, every run by the command that a user would type, in a process of its
own; words that are not the suite's go to ``train.py`` as they are. ``budget=full`` takes three seeds and all folds,
``quick`` one seed and the first fold, and where nothing is named a recipe or two per model; ``case=`` is one of the
runs on files that ``benchmarks/files.yaml`` lists. third_party gives scikit-learn as much time on the same rows as a run of
the zoo took, has stable-baselines3 learn in the same environments, and others (benchmarks/third_party_other.py). speed has a step
of the zoo beside one of plain PyTorch, scaling what training costs by rows, batch, width, length, environments and
processes. families gives models of a kind the same data and time. samples has a classifier learn from images that a
cgan made. conformance puts each model through its checks, and stops and kills it at random moments, 20 with ``full``.
files damages files of each format that is read. use_cases takes each model from a minute of training to predicting from
files and to ONNX Runtime, serving has many clients ask a server. cuda does in eight minutes at most what needs a GPU.
replay fills a replay buffer of the default size with images and kills runs that have one. all is quality, third_party,
speed and scaling, in turn.

What is there already is not made again unless ``fresh=true``: a suite that was stopped goes on where it was. ``out=``
is another folder for the rows. A run that fails and a missed expected metric are rows too, and the exit code is 1.
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
ALL = ("quality", "third_party", "speed", "scaling")  # what suite=all does, with budget= alone


def main(words: list[str]) -> int:
    """Return 0, or 1 where a row failed or an expected metric was missed, 2 for wrong words, 128 and its number for a signal."""
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
        print(f"stopped by {name}; the same command goes on with what is left", file=sys.stderr)
        return 128 + (number or 0)


def _appended(args: dict[str, str]) -> int:
    """Do what is asked for and append its rows; return how many of them failed."""
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
