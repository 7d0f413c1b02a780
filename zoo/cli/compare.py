"""``zoo compare``: each model that fits a data set, trained for the same time, in one table."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from zoo.cli.command import PICTURES, Args, Command, Option
from zoo.exceptions import Stopped, ZooError


def _run(args: Args) -> int:
    from zoo.engine.compare import best_entry, compare, picture, table, written
    from zoo.hub import load

    if args.paths or not args.overrides:
        raise ZooError("compare: needs data=, as zoo compare data=csv data.path=my.csv data.target=price")
    models = args["models"].strip("[]").split(",") if args["models"] else None
    try:
        entries, metric, folder = compare(args.overrides, minutes=args["minutes"], models=models)
    except Stopped as stopped:
        print(f"stopped; {stopped.folder.parent.parent} has the runs so far", file=sys.stderr)
        return 128 + (stopped.signal or signal.SIGTERM)
    print("\n".join(["", *table(entries, metric), ""]))
    best = best_entry(entries)
    if best is None:
        raise ZooError("compare: no model learned from this data in so little time; minutes= gives more")
    print(f"picture         {picture(entries, metric, args['out'] or folder / 'comparison.png')}")
    print(f"written         {written(entries, metric, folder)}")
    title = "best" if entries[0] is best else "best network"
    next_command = load(f"{best.folder}/checkpoints/best.ckpt").task.command.format(best.folder)
    print(f"{title:<15} {best.folder}/checkpoints/best.ckpt   ({best.name}; {next_command})")
    return 0


COMMAND = Command(
    "compare",
    "data=NAME [data.KEY=VALUE …]",
    "Train each model that fits the data for an equal share of the time, rank them on validation, and draw their\n"
    "curves. Baselines and, for tables, gradient-boosted trees are in the same table.",
    _run,
    (
        Option("models", "models to compare, separated by commas; without it all that fit"),
        Option("minutes", "time of all models together, in minutes", float, 5.0, low=0.1),
        Option("out", "picture to write; without it comparison.png in the folder of the runs", Path, suffixes=PICTURES),
    ),
    ("zoo compare data=csv data.path=houses.csv data.target=price", "zoo compare data=digits models=cnn,fnn minutes=2"),
    data=True,
)
