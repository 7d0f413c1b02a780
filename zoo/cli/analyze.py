"""The commands ``zoo evaluate``, ``zoo compare`` and ``zoo plot``: metrics of models and runs."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo.cli.command import Args
from zoo.exceptions import Stopped, ZooError
from zoo.metrics.names import metric_label


def run_evaluate(args: Args) -> Sequence[str]:
    """Evaluate a model on the test set of its run, or on other data."""
    from zoo.inference.evaluate import evaluate

    (model, folder), out = args.opened, args["out"]
    evaluation = evaluate(model, folder, args.overrides, place=args.path(), rows=args["rows"])
    for note in evaluation.notes:
        print(f"note: {note}", file=sys.stderr)
    if out is not None:
        from zoo.utils.atomic_io import atomic_write

        content: dict[str, Any] = {"model": model.name, "data": evaluation.name, "rows": evaluation.rows}
        content |= {"metrics": evaluation.metrics, "baselines": evaluation.baselines, "notes": list(evaluation.notes)}
        atomic_write(out, lambda to: to.write_text(json.dumps(content, indent=1) + "\n"))
    split = "test " if evaluation.split == "test" else ""
    lines = [f"{model.name} on {evaluation.name}, {evaluation.rows:,} {split}rows"]
    for name, value in sorted(evaluation.metrics.items()):
        others = ", ".join(
            f"{baseline} {metrics[name]:.4g}" for baseline, metrics in evaluation.baselines.items() if name in metrics
        )
        lines.append(
            f"  {metric_label(name, model.task.metric_labels):<20} {value:.4g}{f'   ({others})' if others else ''}"
        )
    return [*lines, *([f"results         {out}"] if out else [])]


def run_compare(args: Args) -> int:
    """Train every compatible model on a dataset for the same time and rank them."""
    from zoo.engine.compare import compare, plot_comparison, table, write_comparison
    from zoo.hub import load

    if args.paths or not args.overrides:
        raise ZooError("compare: data= is missing. Example: zoo compare data=csv data.path=my.csv data.target=price")
    models = args["models"].strip("[]").split(",") if args["models"] else None
    try:
        entries, metric, folder = compare(args.overrides, minutes=args["minutes"], models=models)
    except Stopped as stopped:
        print(f"stopped. Finished runs are in {stopped.folder.parent.parent}", file=sys.stderr)
        return 128 + (stopped.signal or signal.SIGTERM)
    print("\n".join(["", *table(entries, metric), ""]))
    best = next((entry for entry in entries if entry.folder is not None), None)
    if best is None:
        raise ZooError("compare: no model finished training in time. Increase minutes=.")
    print(f"plot            {plot_comparison(entries, metric, args['out'] or folder / 'comparison.png')}")
    print(f"results         {write_comparison(entries, metric, folder)}")
    title = "best" if entries[0] is best else "best network"
    next_command = load(f"{best.folder}/checkpoints/best.ckpt").task.command.format(best.folder)
    print(f"{title:<15} {best.folder}/checkpoints/best.ckpt   ({best.name}; {next_command})")
    return 0


def run_plot(args: Args) -> Sequence[str]:
    """Plot the learning curves of several runs."""
    from zoo.reporting.plots.runs import plot_runs, read_runs
    from zoo.utils.run_paths import is_run, newest_run

    if not args.paths:
        raise ZooError("plot: run folders are missing. Example: zoo plot runs/cnn-digits runs/fnn-digits")
    folders = [str(newest_run()) if path == "latest" and not is_run(Path(path)) else path for path in args.paths]
    runs = read_runs(folders)
    return [f"{plot_runs(runs, args['out'], figure=args['metric'], over=args['over'])}   {len(runs)} runs"]
