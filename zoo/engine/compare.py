"""Comparison of all models that fit a data set, with equal training time, and of baselines without a network."""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import json
import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.config import compose as configs
from zoo.config import groups
from zoo.config.run_config import RunConfig, check_files
from zoo.engine.train import Run, run
from zoo.exceptions import TrainingError, ZooError, unknown
from zoo.metrics.names import metric_label
from zoo.utils.atomic_io import atomic_write
from zoo.utils.console import aligned

if TYPE_CHECKING:
    from zoo.data.dataset import Dataset

PROBE = 0.15  # share of a model's time for a probe run that measures the duration of an epoch
TREES = "HistGradientBoosting"
STYLES = ("--", ":", "-.")  # of the horizontal lines of baselines


@dataclass(frozen=True)
class Entry:
    """A row of the comparison.

    Attributes:
        name: name of the model or baseline.
        seconds: time used.
        val: validation metrics.
        test: test metrics.
        parameters: number of parameters of a network.
        folder: the folder of the run; None for a baseline.
        wrong: the error message of a run that failed.
    """

    name: str
    seconds: float = 0.0
    val: Mapping[str, float] | None = None
    test: Mapping[str, float] | None = None
    parameters: int | None = None
    folder: Path | None = None
    wrong: str | None = None


def candidates(words: Sequence[str]) -> list[str]:
    """Return the models that support the task of the data in ``words``.

    Raises:
        ZooError: no model supports it.
    """
    names, fitting, last_error = groups.choices("model"), [], None
    config = configs.compose([f"model={names[0]}", *words])
    for name in names:
        try:
            config.model.name = groups.recipe_class(name)
            if configs.task_of(config) in config.data.tasks:
                fitting.append(name)
        except ZooError as error:
            last_error = error
    if not fitting:
        raise last_error or ZooError("no model supports the task of this data")
    return fitting


def compare(
    words: Sequence[str],
    *,
    minutes: float,
    models: Sequence[str] | None = None,
    folder: Path | None = None,
    say: Callable[[str], None] = print,
) -> tuple[list[Entry], str, Path]:
    """Train each model on the same data for an equal share of ``minutes``.

    Each model uses its recipe and trains as many epochs as the time allows.

    Args:
        words: overrides as for ``zoo train``, such as ``data=digits``.
        minutes: total time.
        models: the models to compare; None: all that support the task.
        folder: the folder of all runs; None: runs/compare-DATA/TIME.
        say: prints a line of progress.

    Returns:
        The entries with the best validation metric first and failed runs last, the metric, and the folder.

    Raises:
        ZooError: the data cannot be read, or no model supports it.
        Stopped: a signal stopped the comparison.
    """
    from zoo.engine.build import build_data, build_model
    from zoo.tasks.baselines import baselines

    fitting = candidates(words)
    for name in models or ():
        if name not in fitting:
            raise unknown("model for this data", name, fitting)
    names = list(models or fitting)
    run_config = RunConfig.from_config(configs.compose([f"model={names[0]}", *words]), recipe=names[0])
    check_files(run_config.data)
    dataset, _ = build_data(run_config)
    task = build_model(run_config, dataset).task
    figure, sign = task.monitor, -1 if task.mode == "max" else 1
    trees = dataset.spec.tabular and not dataset.spec.multilabel
    count = len(names) + trees
    share = 60 * minutes / count
    above = folder or Path("runs") / f"compare-{run_config.data['name']}" / time.strftime("%Y-%m-%d_%H-%M-%S")
    entries = []
    for number, name in enumerate(names):
        say(f"[{number + 1} of {count}, about {share * (count - number):.0f} s left] {name}")
        entry = _trained(name, words, dataset, share, above / name)
        value = (entry.val or {}).get(figure, math.nan)
        say(f"    {entry.wrong or f'validation {metric_label(figure)} {value:.4f}'}")
        entries.append(entry)
    if trees:
        say(f"[{count} of {count}, about {share:.0f} s left] {TREES}")
        entries.append(_of_trees(dataset, figure, share))
    on_test, validated = baselines(dataset), dataset.with_val_as_test()
    on_val = on_test if validated is dataset else baselines(validated)
    entries += [Entry(name, val=on_val[name], test=figures) for name, figures in on_test.items()]
    return sorted(entries, key=lambda one: sign * (one.val or {}).get(figure, sign * math.inf)), figure, above


def _trained(name: str, words: Sequence[str], dataset: Dataset, seconds: float, folder: Path) -> Entry:
    """Train a model for ``seconds`` and return its entry; a short probe run first estimates how many epochs fit."""
    from zoo.reporting.evaluation import evaluate_split

    def go(place: Path, **trainer: Any) -> Run:
        config = configs.compose([f"model={name}", *words])
        configs.update(config, {"trainer": trainer, "run_dir": str(place), "logger": {"name": "csv"}})
        with contextlib.redirect_stdout(io.StringIO()):  # the table shows the results
            return run(config, recipe=name, command="", report=False, overridden=[w.partition("=")[0] for w in words])

    started = time.perf_counter()
    try:
        probe = go(folder / "probe", max_minutes=PROBE * seconds / 60)
        seconds_used = probe.results["train_seconds"] + probe.results["validation_seconds"]
        left = seconds - (time.perf_counter() - started)
        if left < PROBE * seconds:  # no time for more than the probe
            done = probe
        else:
            shutil.rmtree(folder / "probe")
            fitting = {"max_epochs": int(0.9 * left / seconds_used * probe.results["epochs"])}
            if not fitting["max_epochs"]:  # a shortened epoch, so that the schedule completes
                pace = probe.results["steps"] / probe.results["train_seconds"]
                steps = int(0.9 * (left - probe.results["validation_seconds"]) * pace)
                fitting = {"max_epochs": 1, "steps_per_epoch": max(steps, 1)}
            done = go(folder / "run", max_minutes=left / 60, **fitting)
    except (ZooError, TrainingError) as error:
        return Entry(name, wrong=str(error))
    figures, _ = evaluate_split(done.model, dataset, split="val")
    test = {key.removeprefix("test/"): value for key, value in done.metrics.items()}
    return Entry(name, time.perf_counter() - started, figures, test, done.results["params"], done.folder)


def _of_trees(dataset: Dataset, figure: str, seconds: float) -> Entry:
    from zoo.tasks.baselines import draw_trees, fit_trees, tuned

    started = time.perf_counter()
    best = tuned(dataset, figure if figure != "nll" else "accuracy", seconds, 0, draw=draw_trees, fit=fit_trees)
    return Entry(f"{TREES}, {best.trials} trials", time.perf_counter() - started, best.val, best.test)


def plot_comparison(entries: Sequence[Entry], figure: str, path: Path) -> Path:
    """Plot the validation metric of each run over training time, with baselines as horizontal lines."""
    from zoo.utils.plotting import INK, panel, save

    ax = panel(7.2, 4.2, "training time (s)", f"validation {metric_label(figure)}")
    styles = itertools.cycle(STYLES)
    for entry in entries:
        value = (entry.val or {}).get(figure)
        if entry.folder is not None:
            with (entry.folder / "metrics.csv").open(newline="") as file:
                rows = [row for row in csv.DictReader(file) if row.get(f"val/{figure}")]
            x, y = ([float(row[key]) for row in rows] for key in ("seconds", f"val/{figure}"))
            ax.plot(x, y, label=entry.name, linewidth=1.6, marker="o", markersize=3)
        elif value is not None:
            ax.axhline(value, label=entry.name, color=INK, alpha=0.6, linewidth=1.2, linestyle=next(styles))
    ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return save(ax.figure, path)


def table(entries: Sequence[Entry], figure: str) -> list[str]:
    """Return the comparison as the lines of a table."""
    named = metric_label(figure)
    rows: list[tuple[str, ...]] = [("", "model", f"validation {named}", f"test {named}", "parameters", "seconds")]
    for place, entry in enumerate(entries, start=1):
        if entry.wrong:
            rows.append(("", entry.name, f"failed: {entry.wrong}", "", "", ""))
            continue
        cells = [f"{part[figure]:.4f}" if part and figure in part else "" for part in (entry.val, entry.test)]
        count = f"{entry.parameters:,}" if entry.parameters is not None else ""
        rows.append((f"{place}.", entry.name, *cells, count, f"{entry.seconds:.0f}" if entry.seconds else ""))
    return aligned(rows, [row for row in rows if not row[2].startswith("failed")])


def write_comparison(entries: Sequence[Entry], figure: str, folder: Path) -> Path:
    """Write comparison.json and return its path."""
    content = [vars(entry) | {"folder": str(entry.folder or "")} for entry in entries]
    path = folder / "comparison.json"
    atomic_write(path, lambda to: to.write_text(json.dumps({"figure": figure, "entries": content}, indent=1) + "\n"))
    return path
