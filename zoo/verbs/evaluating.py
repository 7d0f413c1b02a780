"""Evaluating: a trained model's figures on test data, that of its run or another."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo.errors import ZooError
from zoo.verbs.base import RUN, Asked, Verb


def _evaluate(asked: Asked) -> Sequence[str]:
    from zoo import uses

    model, folder = uses.opened(asked.one("checkpoint or run folder"))
    dataset = uses.data_for(model, folder, asked.words, place=asked.places[0])
    whole = asked.choice("rows", ("test", "all"), "test") == "all"
    if whole and dataset.spec.task == "control":
        raise ZooError("rows=all: is for data with rows; an environment is played")
    figures, _ = uses.measured(model, dataset, parts=("train", "val", "test") if whole else ("test",))
    figures |= {} if whole else model.figures(dataset)
    beside = {} if whole else uses.others(model, dataset)
    rows = sum(dataset.sizes) if whole else dataset.sizes[2]
    out = asked.out(None, ".json")
    if out is not None:
        from zoo.files import write_whole

        content: dict[str, Any] = {"model": model.name, "data": dataset.spec.name}
        content |= {"rows": rows, "metrics": figures, "baselines": beside}
        write_whole(Path(out), lambda to: to.write_text(json.dumps(content, indent=1) + "\n"))
    lines = [f"{model.name} on {dataset.spec.name}, {rows:,} {'' if whole else 'test '}rows"]
    for name, value in sorted(figures.items()):
        others = ", ".join(f"{who} {known[name]:.4g}" for who, known in beside.items() if name in known)
        lines.append(f"  {name.replace('_', ' '):<20} {value:.4g}{f'   ({others})' if others else ''}")
    return [*lines, *([f"written         {out}"] if out else [])]


VERBS = {
    "evaluate": Verb(
        "evaluate",
        RUN,
        "Measure a model on test data, of its own run or another: each figure beside what stands without a network.",
        _evaluate,
        {"rows": "test|all", "out": "FILE.json"},
        (
            "zoo evaluate runs/cnn-mnist/…",
            "zoo evaluate best.ckpt data=csv data.path=newer.csv data.target=price rows=all",
        ),
        data=True,
    ),
}
