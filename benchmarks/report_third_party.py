"""The tables of other libraries: the same rows with the same time, and the same environments."""

from __future__ import annotations

import statistics
from collections import defaultdict
from typing import Any

from benchmarks.quality import each_of
from benchmarks.report_format import count, direction, figures, interquartile_mean, label
from benchmarks.report_results import Key, expected_metrics, latest, metric_of, name_of, results, task_of, values_of
from benchmarks.rows import RESULTS, read


def third_party_rows() -> dict[tuple[Key, str], list[dict[str, Any]]]:
    """Return the rows of third-party libraries by case and name; those of policies have a table of their own."""
    rows = [row for row in read(RESULTS / "third_party.jsonl") if "by" not in row]
    names = dict.fromkeys(row["library"] for row in rows)
    groups = {
        (key, name): group for name in names for key, group in latest(r for r in rows if r["library"] == name).items()
    }
    return dict(sorted(groups.items()))


def third_party_table() -> str:
    """Return the table of third-party libraries: metrics on the same rows, with the same time."""
    lines = [
        "| data | metric | zoo | library | training: zoo | library | settings that it tried |",
        "|---|---|---|---|---|---|---|",
    ]
    expected_by_case, groups = expected_metrics(), results()
    for (key, library), rows in third_party_rows().items():
        ours = groups.get(key)
        if not ours:
            continue
        selected, task = each_of(expected_by_case.get(key, {})), task_of(ours)
        metric = name_of(selected[0]) if selected else metric_of(ours[0])
        tried, seconds = (statistics.median(row[k] for row in rows) for k in ("tried", "seconds"))
        data = next((word.rpartition("/")[2] for word in key[2] if word.startswith("data.path=")), key[1])
        zoo, other = (figures(metric, values_of(group, metric)) for group in (ours, rows))
        zoo_seconds = statistics.median(row["train_seconds"] for row in ours)
        lines.append(
            f"| {data} | {label(task, metric)} {direction(task, metric)} | {key[0]} {zoo} | {library} {other} | "
            f"{zoo_seconds:.0f} s | {seconds:.0f} s | {tried:.0f} |"
        )
    return "\n".join(lines)


def third_party_rl_table() -> str:
    """Return the table of policies: returns, pace and steps to a goal, the zoo's and those of stable-baselines3."""
    lines = [
        "| environment, algorithm | by | mean episodic return ↑ | IQM, 95 % interval | steps per second ↑ | goal | "
        "steps to the goal ↓ | all steps |",
        "|---|---|---|---|---|---|---|---|",
    ]
    groups: dict[tuple[str, str, str], dict[int, dict[str, Any]]] = defaultdict(dict)
    for row in read(RESULTS / "third_party.jsonl"):
        if "by" in row:
            groups[row["model"], row["data"], row["by"]][row["seed"]] = row
    for (model, data, by), seeds in sorted(groups.items(), key=lambda one: one[0][:2]):
        rows = list(seeds.values())
        reached = sorted(row["steps_to"] for row in rows if row["steps_to"])
        first = f"{statistics.median(reached):,.0f} (median)" if reached else "never"
        first += f" in {len(reached)} of {len(rows)}" if len(reached) < len(rows) else ""
        pace, seconds = (statistics.median(row[k] for row in rows) for k in ("steps_per_second", "train_seconds"))
        values = [row["metrics"]["test/return"] for row in rows]
        lines.append(
            f"| {data.replace('_', ' ')}, {model} | {by} | {figures('return', values)} ({count(len(rows), 'seed')}) | "
            f"{interquartile_mean(values)} | {pace:,.0f} | {rows[0]['goal']:g} | {first} | {rows[0]['steps']:,} in {seconds:.0f} s |"
        )
    return "\n".join(lines)
