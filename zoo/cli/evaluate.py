"""``zoo evaluate``: a trained model's metrics on the test data of its run, or on other data."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo.cli.command import RUN, Args, Command, Option
from zoo.metrics.names import metric_label


def _run(args: Args) -> Sequence[str]:
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
    return [*lines, *([f"written         {out}"] if out else [])]


COMMAND = Command(
    "evaluate",
    RUN,
    "Measure a model on the test data of its run, or on all rows of another file, read as predict reads them.\n\n"
    "Classes, categories and columns are the model's, and so is the target unless data.target= names another.\n"
    "Baselines stand in parentheses. Values and classes that the model does not know are counted.",
    _run,
    (
        Option(
            "rows",
            "rows to measure; without it test rows of the run's data, all rows of another file",
            choices=("test", "all"),
        ),
        Option("out", "file of metrics and baselines", Path, suffixes=(".json",)),
    ),
    ("zoo evaluate runs/cnn-mnist", "zoo evaluate latest", "zoo evaluate best.ckpt data=csv data.path=newer.csv"),
    data=True,
)
