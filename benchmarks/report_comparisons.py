"""The tables of suite=families and suite=samples: models at equal cost, and training on generated images."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.report_format import count, direction, figures, interval, label, threads
from benchmarks.report_results import SAMPLES, Rows, is_generated, printed, sample_cell, task_of, values_of
from benchmarks.rows import RESULTS, read


def families_table() -> str:
    """Return the tables of suite=families, of each kind one: cases by models, with time alike."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    latest = {(row["data"], row["model"], row["seed"]): row for row in read(RESULTS / "families.jsonl")}
    for (data, model, _), row in latest.items():
        groups[data, model].append(row)
    kinds: dict[tuple[str, ...], list[str]] = defaultdict(list)  # cases that the same models were on
    for data in dict.fromkeys(data for data, _ in groups):
        kinds[tuple(model for case, model in groups if case == data)].append(data)
    return "\n\n".join(_of_a_kind(models, cases, groups) for models, cases in kinds.items())


def _of_a_kind(models: Sequence[str], cases: Sequence[str], groups: Mapping[tuple[str, str], Rows]) -> str:
    lines = [f"| data | metric | {' | '.join(models)} | parameters | training |", "|---" * (len(models) + 4) + "|"]
    for data in cases:
        every = [row for model in models for row in groups[data, model]]
        task = task_of(every)
        metric = printed(every, every[0]["figure"])
        cells = [figures(metric, values_of(groups[data, m], metric)) for m in models]
        low, high = (f(row["params"] for row in every) for f in (min, max))
        seconds = [row["train_seconds"] for row in every]
        lines.append(
            f"| {data.replace('_', ' ')} ({count(len(groups[data, models[0]]), 'seed')}) | {label(task, metric)} "
            f"{direction(task, metric)} | {' | '.join(cells)} | {low:,} to {high:,} | "
            f"{min(seconds):.0f} to {max(seconds):.0f} s |"
        )
    return "\n".join(lines)


TRAINED_ON = {  # rows of suite=samples
    "generated": "20,000 images of a cgan that saw all labels (classification accuracy score)",
    "few": "100 real images",
    "few and generated of few": "these 100, and 20,000 images of a cgan that saw only these 100",
    "both": "these 100, and 20,000 images of a cgan that saw all labels",
}


def samples_table() -> str:
    """Return the tables of suite=samples: a classifier's accuracy on real images, and the metrics of its training images."""
    lines = ["| data | training images | test accuracy ↑ | gain over the 100, 95 % interval |", "|---|---|---|---|"]
    rows = {(row["data"], row["what"], row["seed"]): row for row in read(RESULTS / "samples.jsonl")}
    for data in dict.fromkeys(data for data, _, _ in rows):
        groups = {
            what: {s: row["metrics"]["test/accuracy"] for (d, w, s), row in rows.items() if (d, w) == (data, what)}
            for what in TRAINED_ON
        }
        for what, words in TRAINED_ON.items():
            values = groups[what]
            gains = [values[seed] - groups["few"][seed] for seed in values if seed in groups["few"]]
            gain = interval(gains) if what not in ("few", "generated") else ""
            seeds = count(len(values), "seed")
            lines.append(f"| {data} | {words} | {figures('accuracy', list(values.values()))} ({seeds}) | {gain} |")
    return "\n".join(lines) + "\n\n" + _of_cgans(list(rows.values()))


def _of_cgans(rows: Rows) -> str:
    """Return the table of the cgan's images themselves."""
    rows = [row for row in rows if is_generated([row])]
    measured = [metric for metric in SAMPLES if any(f"test/{metric}" in row["metrics"] for row in rows)]
    names = [f"{label(task_of(rows), metric)} {direction(task_of(rows), metric)}" for metric in measured]
    lines = [f"| data | images of | {' | '.join(names)} | training |", "|---" * (len(names) + 3) + "|"]
    who = {"cgan": "a cgan that saw all labels", "cgan of few": "a cgan that saw 100 images"}
    for data, what in dict.fromkeys((row["data"], row["what"]) for row in rows if row["what"] in who):
        group = [row for row in rows if (row["data"], row["what"]) == (data, what)]
        cells = " | ".join(sample_cell(group, metric, {}) for metric in measured)
        seconds = statistics.median(row["train_seconds"] for row in group)
        lines.append(
            f"| {data} | {who[what]} ({count(len(group), 'seed')}) | {cells} | {seconds:.0f} s ({threads(group)}) |"
        )
    return "\n".join(lines)
