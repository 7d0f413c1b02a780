"""The suite ``quality``: each recipe with several seeds, and with each fold if the data has folds."""

from __future__ import annotations

import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from benchmarks.arguments import take_budget, take_flag, take_number
from benchmarks.jobs import Job, timed
from zoo.config import compose as configs
from zoo.config import groups
from zoo.exceptions import ZooError, unknown

ROOT = Path(__file__).resolve().parent.parent
POINTS = 60  # maximum number of points of a stored curve
FILES = Path(__file__).parent / "files.yaml"


@dataclass(frozen=True)
class Case:
    """A case of the suite: model, data, further options in ``words``, and the expected metric.

    For data with folds, ``folds`` of the expected metric is the number of folds to run (None: all), and ``each`` is the
    option that selects a fold.
    """

    model: str
    data: str
    words: tuple[str, ...] = ()
    expected: Mapping[str, Any] | None = None
    name: str | None = None

    @property
    def typed(self) -> list[str]:
        """The options of the train.py command."""
        return [f"model={self.model}", f"data={self.data}", *self.words]

    def composed(self, *extra: str) -> Any:
        """Return the composed configuration of a run."""
        return configs.compose([*self.typed, *extra])

    def plan(self, *extra: str) -> Any:
        """Return the validated configuration of a run, with environment variables expanded."""
        from zoo.config.run_config import RunConfig

        config = configs.compose([*(os.path.expandvars(word) for word in self.typed), *extra])
        return RunConfig.from_config(config, recipe=self.model, command="")

    @property
    def each(self) -> str:
        """The option that selects a fold, with ``{}`` in place of its index."""
        return str((self.expected or {}).get("each", "data.fold={}"))

    def folds(self, budget: str) -> Sequence[int | None]:
        """Return the folds to run, or [None] for data without folds or with a separate test set."""
        counted = (self.expected or {}).get("folds", self.composed().data.get("folds"))
        if not counted:
            return [None]
        return range(counted if budget == "full" else 1)


@cache
def cases() -> tuple[Case, ...]:
    """Return each recipe with an expected metric, then the runs on files of ``files.yaml``."""
    listed = []
    for path in sorted((groups.conf_dir() / "recipe").glob("*.yaml")):
        model, _, data = path.stem.partition("-")
        expected = configs.compose([f"model={model}", f"data={data}"]).expected
        if expected:
            listed.append(Case(model, data, expected=OmegaConf.to_container(expected)))
    for name, about in OmegaConf.to_container(OmegaConf.load(FILES)).items():
        pair = dict(word.split("=", 1) for word in about["words"][:2])
        listed.append(Case(pair["model"], pair["data"], tuple(about["words"][2:]), about["expected"], name))
    return tuple(listed)


def chosen(args: dict[str, str]) -> list[Case]:
    """Remove ``case=``, ``model=`` and ``data=`` from the arguments, and return the matching cases.

    Raises:
        ZooError: no case matches.
    """
    case, model, data = args.pop("case", None), args.pop("model", None), args.pop("data", None)
    known = cases()
    if case is not None:
        named = [c for c in known if c.name == case]
        if not named:
            raise unknown("case", case, [c.name for c in known if c.name])
        return named
    has_overrides = bool(args)  # further options, which exclude the cases on files
    matches = [
        c for c in known if model in (None, c.model) and data in (None, c.data) and not (has_overrides and c.name)
    ]
    if not matches and model and data:
        matches = [Case(model, data)]
    if not matches:
        raise ZooError(f"no recipe with an expected metric for model={model} data={data}. Set both for any pair.")
    return matches


def jobs(args: dict[str, str], earlier: Sequence[dict[str, Any]]) -> list[Job]:
    """Return a job for each run, and one for each case with an expected metric.

    The row of a run is its results.json and the wall time in seconds, including imports. Failed runs are also rows.
    Runs whose configuration hash is in the ``earlier`` rows are skipped, unless ``fresh=true``.
    """
    from zoo.reporting.results import config_hash

    budget, fresh = take_budget(args), take_flag(args, "fresh")
    seeds = take_number(args, "seeds", 3 if budget == "full" else 1)
    named = {"case", "model", "data"} & set(args)
    cases = [case for case in chosen(args) if budget == "full" or named or (case.expected or {}).get("quick")]
    known = {} if fresh else {(row["config_hash"], tuple(row["overrides"])): row for row in earlier}
    took = timed(earlier, lambda row: (row["model"], row["data"], tuple(row["overrides"])), "wall_seconds")
    extra = [f"{key}={value}" for key, value in args.items()]
    selected = []
    for case in cases:
        if "$ZOO_DATA" in " ".join(case.words) and not os.environ.get("ZOO_DATA"):
            raise ZooError(f"case={case.name}: needs the environment variable ZOO_DATA, the folder of its files")
        earlier_rows: list[dict[str, Any]] = []
        seconds = took.get((case.model, case.data, (*case.words, *extra)))
        for seed in range(seeds):
            for fold in case.folds(budget):
                at = [f"seed={seed}", *extra, *([case.each.format(fold)] if fold is not None else [])]
                row = known.get((config_hash(case.plan(*at).values), (*case.words, *extra)))
                if row is not None:
                    earlier_rows.append(row)
                else:
                    what = command_of([*case.typed, *at])
                    selected.append(Job(what, partial(_trained, earlier_rows, case, at, fold, extra), seconds))
        if case.expected and not extra:
            selected.append(Job("", partial(missed, earlier_rows, case), 0.0))
    return selected


def _trained(
    earlier_rows: list[dict[str, Any]], case: Case, at: Sequence[str], fold: int | None, extra: Sequence[str]
) -> Any:
    """Yield the row of a run and append it to ``earlier_rows``."""
    row = _one(case, at, fold, extra)
    earlier_rows.append(row)
    yield row


def command_of(words: Sequence[str]) -> str:
    """Return the train.py command with these options, quoted for a shell where necessary."""
    return " ".join(["python train.py", *(f"'{word}'" if set(word) & set("{}[]*") else word for word in words)])


def each_of(expected: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """Return the expected metrics of a case: ``metric``, then those in ``also``."""
    return [expected, *expected.get("also", [])] if expected else []


def measured(row: Mapping[str, Any], one: Mapping[str, Any]) -> float:
    """Return the value of an expected metric in a run."""
    value: float = row["metrics"][one["metric"]]
    return value


def missed(done: Sequence[Mapping[str, Any]], case: Case) -> Iterator[Any]:
    """Yield a failed row for each expected metric whose mean over the runs ``done`` is outside its limits."""
    pair = {"model": case.model, "data": case.name or case.data}
    complete = [row for row in done if not row.get("failed")]
    for one in each_of(case.expected) if complete else []:
        mean = statistics.mean(measured(row, one) for row in complete)
        right = met(one, mean)
        message = f"{one['metric']} {mean:.4f} over {len(complete)} runs; expected {limit(one)}"
        print(f"{pair['model']} on {pair['data']}: {message}{'' if right else ' (missed)'}", flush=True)
        if not right:
            yield {**pair, "failed": [f"expected metric missed: {message}"], "commit": done[-1].get("commit")}


def met(expected: Mapping[str, Any], mean: float) -> bool:
    """Return whether a mean over runs is within the limits of the expected metric."""
    least, most = expected.get("min"), expected.get("max")
    return (least is None or mean >= least) and (most is None or mean <= most)


def limit(expected: Mapping[str, Any]) -> str:
    """Return the limit of an expected metric as text."""
    least = expected.get("min")
    return f"at least {least}" if least is not None else f"at most {expected['max']}"


def _one(case: Case, at: Sequence[str], fold: int | None, extra: Sequence[str]) -> dict[str, Any]:
    words = [*case.typed, *at]
    with tempfile.TemporaryDirectory() as above:
        folder = Path(above) / "run"
        typed = [os.path.expandvars(word) for word in words]  # like a shell
        command = [sys.executable, str(ROOT / "train.py"), *typed, f"run_dir={folder}"]
        started = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True)
        wall = time.perf_counter() - started
        row: dict[str, Any] = {"overrides": [*case.words, *extra], "fold": fold, "wall_seconds": round(wall, 2)}
        if done.returncode:
            message = done.stderr.strip().replace(os.environ.get("ZOO_DATA", "$ZOO_DATA"), "$ZOO_DATA").splitlines()
            row |= {"failed": message[-1:] or [f"exit code {done.returncode}"]}
        else:
            row = (
                json.loads((folder / "results.json").read_text()) | row | {"data": case.data}
            )  # instead of a file name
            row["curve"] = _curve(folder / "metrics.csv", case.expected)
        row["command"] = command_of(words)
    metric = case.expected["metric"] if case.expected else None
    value = row.get("metrics", {}).get(metric)
    print(f"    {metric} {value}   {wall:.0f} s   {row.get('failed', '')}", flush=True)
    return row


def _curve(path: Path, expected: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the validation curve of the expected metric over samples and seconds, with at most POINTS epochs."""
    with path.open(newline="") as file:
        epochs = list(csv.DictReader(file))
    figures = [name for name in epochs[-1] if name.startswith("val/")]
    selected = str((expected or {}).get("metric")).replace("test/", "val/")
    figure = selected if selected in figures else figures[0]
    complete = [row for row in epochs[:: -(-len(epochs) // POINTS)] if row[figure]]
    columns = {"samples": "samples", "seconds": "seconds", "values": figure}
    return {
        "figure": figure,
        **{key: [float(f"{float(row[c]):.5g}") for row in complete] for key, c in columns.items()},
    }
