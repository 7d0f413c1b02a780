"""Curves of several runs in one picture; those that differ in their seed alone are drawn as their mean and spread."""

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
# Options that tell no two kinds of runs apart
APART = ("seed", "run_dir", "working_dir", "recipe", "expected", "logger", "checkpoint")


@dataclass(frozen=True)
class Run:
    """A run's folder as it stands: its configuration, flat, and its rows of ``metrics.csv``."""

    folder: Path
    config: dict[str, Any]
    rows: list[dict[str, str]]

    @property
    def name(self) -> str:
        """Model and data, of environments by their id the id itself."""
        named = self.config["data.name"] == "gym" and self.config.get("data.env")
        return f"{self.config['model.name']} on {named or self.config['data.name']}"

    def values(self, column: str) -> list[float]:
        """Return a column; NaN where it was not measured."""
        return [float(row.get(column) or "nan") for row in self.rows]


def read_runs(places: Sequence[str]) -> list[Run]:
    """Return the runs that are, or lie anywhere below, these folders.

    Raises:
        ZooError: there is none below one of them, or one has no rows yet.
    """
    runs = []
    for place in places:
        files = sorted(Path(place).rglob("metrics.csv"))
        if not files:
            raise ZooError(f"{place}: is no run's folder, and there is none below it")
        for file in files:
            with file.open() as open_file:
                rows = list(csv.DictReader(open_file))
            config = file.parent / "config.yaml"
            if not rows or not config.is_file():
                raise ZooError(f"{file.parent}: has no {'config.yaml' if rows else 'epoch behind it'}")
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
    """Return runs that differ in their seed alone, by what names them: model, data, and options that are not alike."""
    counted = [{k: v for k, v in run.config.items() if k.split(".")[0] not in APART} for run in runs]
    kinds: dict[str, list[Run]] = defaultdict(list)
    for run, config in zip(runs, counted, strict=True):
        alike = [other for other, beside in zip(counted, runs, strict=True) if beside.name == run.name]
        differing = [k for k, v in config.items() if any(other.get(k) != v for other in alike)]
        kinds[" ".join([run.name, *(f"{k}={config[k]}" for k in differing)])].append(run)
    return kinds


def plot_runs(runs: Sequence[Run], path: Path, *, figure: str | None = None, over: str | None = None) -> Path:
    """Draw a ``figure`` of validation over ``over``.

    None draws the first figure that all have over epochs, of policies the return of episodes over environment steps.

    Raises:
        ZooError: not all runs have it.
    """
    everywhere = [name for name in runs[0].rows[0] if all(name in run.rows[0] for run in runs)]
    figures = [name.removeprefix("val/") for name in everywhere if name.startswith("val/")]
    if not figures:
        raise ZooError("these runs have no figure of validation in common")
    if figure is not None and figure not in figures:
        raise unknown("figure", figure, figures)
    if over is not None and over not in OVER:
        raise unknown("over", over, OVER)
    acting = all(run.config.get("data.num_envs") for run in runs)
    chosen = figure or ("return" if acting and "return" in figures else figures[0])
    along = over or ("samples" if acting else "epoch")
    title = f"{metric_label(chosen)} on validation, mean ± std over seeds"
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
    """Return x, mean and standard deviation of curves, row by row as far as the shortest goes."""
    columns = [c for c in zip(*map(zip, xs, ys), strict=False) if all(math.isfinite(y) for _, y in c)]
    x = [statistics.mean(place for place, _ in column) for column in columns]
    mean = [statistics.mean(value for _, value in column) for column in columns]
    deviation = [statistics.stdev([value for _, value in c]) if len(c) > 1 else 0.0 for c in columns]
    return x, mean, deviation
