"""``zoo plot``: curves of several runs in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zoo.cli.command import PICTURES, Args, Command, Option
from zoo.exceptions import ZooError


def _run(args: Args) -> Sequence[str]:
    from zoo.reporting.plots.runs import plot_runs, read_runs
    from zoo.utils.run_paths import is_run, newest_run

    if not args.paths:
        raise ZooError("plot: takes run folders, or a folder that has some below it")
    folders = [str(newest_run()) if path == "latest" and not is_run(Path(path)) else path for path in args.paths]
    runs = read_runs(folders)
    return [f"{plot_runs(runs, args['out'], figure=args['metric'], over=args['over'])}   {len(runs)} runs"]


COMMAND = Command(
    "plot",
    "RUNS…",
    "Draw the curves of several runs in one picture. Runs that differ in their seed alone are drawn as mean and\n"
    "standard deviation. RUNS are folders of runs, or folders with runs below them.",
    _run,
    (
        Option("metric", "validation metric; without it the first that all runs have"),
        Option("over", "horizontal axis", choices=("epoch", "steps", "samples", "seconds")),
        Option("out", "picture to write", Path, "runs.png", suffixes=PICTURES),
    ),
    ("zoo plot runs/ppo-cartpole", "zoo plot runs/cnn-digits runs/fnn-digits metric=accuracy over=seconds"),
)
