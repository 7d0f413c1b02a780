"""Evaluating: a trained model's figures on test data, that of its run or another."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo.cli.base import RUN, Asked, Verb


def _evaluate(asked: Asked) -> Sequence[str]:
    from zoo.inference import uses
    from zoo.inference.evaluate import evaluate

    model, folder = uses.opened(asked.one("checkpoint or run folder"))
    rows = asked.choice("rows", ("test", "all"), "") if "rows" in asked.own else None
    measured = evaluate(model, folder, asked.words, place=asked.places[0], rows=rows)
    for note in measured.notes:
        print(f"note: {note}", file=sys.stderr)
    out = asked.out(None, ".json")
    if out is not None:
        from zoo.utils.atomic_io import atomic_write

        content: dict[str, Any] = {"model": model.name, "data": measured.name, "rows": measured.rows}
        content |= {"metrics": measured.metrics, "baselines": measured.beside, "notes": list(measured.notes)}
        atomic_write(Path(out), lambda to: to.write_text(json.dumps(content, indent=1) + "\n"))
    part = "test " if measured.part == "test" else ""
    lines = [f"{model.name} on {measured.name}, {measured.rows:,} {part}rows"]
    for name, value in sorted(measured.metrics.items()):
        others = ", ".join(f"{who} {known[name]:.4g}" for who, known in measured.beside.items() if name in known)
        lines.append(f"  {name.replace('_', ' '):<20} {value:.4g}{f'   ({others})' if others else ''}")
    return [*lines, *([f"written         {out}"] if out else [])]


VERBS = {
    "evaluate": Verb(
        "evaluate",
        RUN,
        "Measure a model on the test data of its run, or on all rows of another file, read as predict reads them.\n\n"
        "Classes, categories and columns are the model's, and so is the target unless data.target= names another.\n"
        "Beside each metric stand baselines. Values and classes that the model does not know are counted.",
        _evaluate,
        {"rows": "test|all", "out": "FILE.json"},
        (
            "zoo evaluate runs/cnn-mnist/…",
            "zoo evaluate best.ckpt data=csv data.path=newer.csv",
        ),
        data=True,
    ),
}
