"""Learning curves of several runs in one plot; runs that differ only in the seed appear as mean ± standard deviation."""

from __future__ import annotations

import csv
import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.config.run_config import read_run_config
from zoo.exceptions import ZooError, unknown
from zoo.metrics.names import metric_label
from zoo.utils.plotting import panel, save

OVER = ("epoch", "steps", "samples", "seconds")
# Options that do not distinguish groups of runs
APART = ("seed", "run_dir", "working_dir", "recipe", "expected", "logger", "checkpoint")


@dataclass(frozen=True)
class Run:
    """A run's folder, its configuration with dotted keys, and its rows of ``metrics.csv``."""

    folder: Path
    config: dict[str, Any]
    rows: list[dict[str, str]]

    @property
    def name(self) -> str:
        """Model and data, such as ``cnn on digits``; for ``data=gym`` the environment's id replaces the data."""
        named = self.config["data.name"] == "gym" and self.config.get("data.env")
        return f"{self.config['model.name']} on {named or self.config['data.name']}"

    def values(self, column: str) -> list[float]:
        """Return the values of a column, with NaN for epochs that lack it."""
        return [float(row.get(column) or "nan") for row in self.rows]


def read_runs(places: Sequence[str]) -> list[Run]:
    """Return all runs in these folders and their subfolders.

    Raises:
        ZooError: a folder contains no run, or a run has no finished epoch.
    """
    runs = []
    for place in places:
        files = sorted(Path(place).rglob("metrics.csv"))
        if not files:
            raise ZooError(f"{place}: contains no run (no metrics.csv)")
        for file in files:
            with file.open() as open_file:
                rows = list(csv.DictReader(open_file))
            config = file.parent / "config.yaml"
            if not rows or not config.is_file():
                raise ZooError(f"{file.parent}: has no {'config.yaml' if rows else 'finished epoch yet'}")
            runs.append(Run(file.parent, _flat(read_run_config(file.parent)), rows))
    return runs


def _flat(content: dict[str, Any], above: str = "") -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, dict) and value:
            values |= _flat(value, f"{above}{key}.")
        else:
            values[above + key] = value
    return values


def _groups(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Return the runs grouped by label: model, data, and the options that differ. A group differs only in the seed."""
    counted = [{k: v for k, v in run.config.items() if k.split(".")[0] not in APART} for run in runs]
    kinds: dict[str, list[Run]] = defaultdict(list)
    for run, config in zip(runs, counted, strict=True):
        alike = [other for other, beside in zip(counted, runs, strict=True) if beside.name == run.name]
        differing = [k for k, v in config.items() if any(other.get(k) != v for other in alike)]
        kinds[" ".join([run.name, *(f"{k}={config[k]}" for k in differing)])].append(run)
    return kinds


def plot_runs(runs: Sequence[Run], path: Path, *, figure: str | None = None, over: str | None = None) -> Path:
    """Draw a validation metric of several runs and return the path of the plot.

    Args:
        runs: the runs to compare.
        path: the file to write.
        figure: the metric; None: the first metric that all runs have, or the episodic return of policies.
        over: the x axis: epoch, steps, samples or seconds; None: epochs, or environment steps for policies.

    Raises:
        ZooError: unknown ``figure`` or ``over``, or not all runs have the metric.
    """
    everywhere = [name for name in runs[0].rows[0] if all(name in run.rows[0] for run in runs)]
    figures = [name.removeprefix("val/") for name in everywhere if name.startswith("val/")]
    if not figures:
        raise ZooError("these runs have no validation metric in common")
    if figure is not None and figure not in figures:
        raise unknown("metric", figure, figures)
    if over is not None and over not in OVER:
        raise unknown("x axis", over, OVER)
    acting = all(run.config.get("data.num_envs") for run in runs)
    chosen = figure or ("return" if acting and "return" in figures else figures[0])
    along = over or ("samples" if acting else "epoch")
    title = f"validation {metric_label(chosen)}, mean ± std over seeds"
    ax = panel(6.4, 4, "environment steps" if acting and along == "samples" else along, title)
    for label, kind in _groups(runs).items():
        x, mean, deviation = _mean_curve(
            [run.values(along) for run in kind], [run.values(f"val/{chosen}") for run in kind]
        )
        label = f"{label} ({len(kind)} seed{'s' * (len(kind) > 1)})"
        (line,) = ax.plot(x, mean, linewidth=1.6, label=label, marker="o" if len(x) == 1 else "")
        low, high = ([m + sign * s for m, s in zip(mean, deviation, strict=True)] for sign in (-1, 1))
        ax.fill_between(x, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
    ax.legend(frameon=False, fontsize=8)
    return save(ax.figure, path)


def _mean_curve(xs: list[list[float]], ys: list[list[float]]) -> tuple[list[float], list[float], list[float]]:
    """Return x, mean and standard deviation per row of the curves, up to the length of the shortest."""
    columns = [c for c in zip(*map(zip, xs, ys), strict=False) if all(math.isfinite(y) for _, y in c)]
    x = [statistics.mean(place for place, _ in column) for column in columns]
    mean = [statistics.mean(value for _, value in column) for column in columns]
    deviation = [statistics.stdev([value for _, value in c]) if len(c) > 1 else 0.0 for c in columns]
    return x, mean, deviation
