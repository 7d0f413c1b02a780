"""The tables of results: test metrics of recipes by task, a line per family, and recipes with one option changed."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from benchmarks.quality import cases, command_of, each_of, measured, met
from benchmarks.report_format import SHARES, count, direction, figures, interquartile_mean, label, runs, threads
from benchmarks.rows import RESULTS, read
from zoo import registry
from zoo.config.signatures import model_options

Key = tuple[str, str, tuple[str, ...]]  # model, data, overrides
Rows = list[dict[str, Any]]
IMPORTANCE_SAMPLES = model_options("vae")["test_importance_samples"].default
REAL = "other real images"  # the baseline of generated images
SAMPLES = ("frechet_zoo_cnn", "precision", "recall", "density", "coverage", "class_accuracy")
PRINTED = {"nll": "bits_per_character"}  # the literature's metric in place of the monitored one, where a run has it
FAMILIES = {  # the recipe that the README shows of each family
    "feed-forward": ("fnn", "mnist"),
    "convolutional": ("cnn", "mnist"),
    "recurrent": ("gru", "spoken_digits"),
    "recurrent, forecasts": ("gru", "etth1"),
    "attention": ("transformer", "shakespeare"),
    "autoencoders": ("autoencoder", "mnist"),
    "variational": ("vae", "binarized_mnist"),
    "adversarial": ("cgan", "digits"),
    "on-policy": ("ppo", "lunar_lander"),
    "off-policy": ("sac", "pendulum"),
}


def latest(rows: Iterable[dict[str, Any]]) -> dict[Key, Rows]:
    """Return rows by model, data and overrides; of two runs of one seed and fold the later one counts."""
    last: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        last[row["model"], row["data"], tuple(row["overrides"]), row["seed"], row["fold"]] = row
    groups = defaultdict(list)
    for (model, data, overrides, *_), row in last.items():
        groups[model, data, overrides].append(row)
    return dict(sorted(groups.items()))


def results() -> dict[Key, Rows]:
    """Return the rows of suite=quality by case."""
    return latest(read(RESULTS / "quality.jsonl"))


def same_runs(model: str, data: str, overrides: Sequence[str]) -> Rows:
    """Return the rows of one case: the latest of each seed and fold."""
    return results().get((model, data, tuple(overrides)), [])


def task_of(rows: Rows) -> str:
    """Return the task of runs."""
    return str(rows[0].get("task", "classification"))


def metric_of(row: dict[str, Any]) -> str:
    """Return the metric that counts without an expected one: the one that the task monitors."""
    monitor: str = registry.get_task(task_of([row])).monitor
    return monitor


def values_of(rows: Rows, metric: str, stage: str = "test") -> list[float]:
    """Return a metric of each run."""
    return [row["metrics"][f"{stage}/{metric}"] for row in rows]


def name_of(expected: Mapping[str, Any]) -> str:
    """Return the metric of an expected value."""
    return str(expected["metric"]).removeprefix("test/")


def expected_metrics() -> dict[Key, Mapping[str, Any]]:
    """Return the expected metrics of each case."""
    return {(case.model, case.data, case.words): case.expected or {} for case in cases()}


def models_table() -> str:
    """Return a table of results for each task."""
    sections = []
    for task in registry.list_tasks():
        if lines := _results(lambda rows, task=task: task_of(rows) == task):
            sections.append(f"## {task.replace('_', ' ').capitalize()}\n\n{lines}")
    return "\n\n".join(sections)


def model_results(name: str) -> str:
    """Return the results of a registered model."""
    return _results(lambda rows: rows[0]["class"] == name) or "No result is published yet."


def _results(chosen: Callable[[Rows], bool]) -> str:
    """Return the tables of the chosen recipes, those of generated images and of returns in columns of their own."""
    expected_by_case = expected_metrics()
    names = {(case.model, case.data, case.words): case.name for case in cases()}
    lines: dict[tuple[str, str], list[str]] = defaultdict(list)
    for key, rows in results().items():
        if (key[2] and key not in expected_by_case) or not chosen(rows):
            continue
        expected = expected_by_case.get(key, {})
        recipe = f"`case={names[key]}`" if names.get(key) else f"`model={key[0]} data={key[1]}`"
        reference = f"{expected['reference']} ({expected['source']})" if expected.get("reference") else ""
        train, wall = (statistics.median(r[k] for r in rows) for k in ("train_seconds", "wall_seconds"))
        cost = f"{rows[0]['params']:,} | {train:,.0f} s, {wall:,.0f} s ({threads(rows)})"
        if is_generated(rows):
            cells = " | ".join(sample_cell(rows, metric, expected) for metric in SAMPLES)
            lines[header(rows)].append(f"| {recipe} ({runs(rows)}) | {cells} | {cost} |")
            continue
        for number, one in enumerate(each_of(expected) or [{"metric": f"test/{metric_of(rows[0])}"}]):
            name, result, baselines = metric_cells(rows, one)
            robust = f" | {interquartile_mean([measured(row, one) for row in rows])}" if has_returns(rows) else ""
            about = f"{reference} | {cost}" if number == 0 else " | |"
            lines[header(rows)].append(
                f"| {recipe} | {name} | {result} ({runs(rows)}){robust} | {baselines} | {about} |"
            )
    return "\n\n".join("\n".join([*head, *content]) for head, content in lines.items())


def is_generated(rows: Rows) -> bool:
    """Tell whether runs have the metrics of generated images."""
    return "test/frechet_zoo_cnn" in rows[0]["metrics"]


def has_returns(rows: Rows) -> bool:
    """Tell whether runs have the returns of a policy."""
    return "test/return" in rows[0]["metrics"]


def printed(rows: Rows, metric: str) -> str:
    """Return the metric of the literature that tables print in place of ``metric``, if the runs have it."""
    other = PRINTED.get(metric)
    return other if other is not None and f"test/{other}" in rows[0]["metrics"] else metric


def header(rows: Rows) -> tuple[str, str]:
    """Return the first two lines of the table that runs belong to."""
    task = task_of(rows)
    if is_generated(rows):
        names = [f"{label(task, metric)} {direction(task, metric)}" for metric in SAMPLES]
        columns = ["recipe", *names, "parameters", "training, whole run"]
    else:
        robust = ["IQM, 95 % interval"] if has_returns(rows) else []
        columns = ["recipe", "metric", "result", *robust, "baselines", "reference", "parameters", "training, whole run"]
    return f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"


def sample_cell(rows: Rows, metric: str, expected: Mapping[str, Any]) -> str:
    """Return a metric of generated images, and in parentheses that of other real images."""
    if not all(f"test/{metric}" in row["metrics"] for row in rows):
        return ""
    cell = figures(metric, values_of(rows, metric))
    real = rows[0]["baselines"][REAL].get(metric)
    limits = [one for one in each_of(expected) if name_of(one) == metric]
    return (
        cell
        + (f" ({figures(metric, [real])})" if real is not None else "")
        + "".join(_miss(rows, one) for one in limits)
    )


def _miss(rows: Rows, one: Mapping[str, Any]) -> str:
    if met(one, statistics.mean(measured(row, one) for row in rows)):
        return ""
    bound = "at least" if one.get("min") is not None else "at most"
    value = one["min"] if one.get("min") is not None else one["max"]
    return f", **missed: expected {bound} {f'{100 * value:g} %' if name_of(one) in SHARES else f'{value:g}'}**"


def metric_cells(rows: Rows, one: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return the name of a metric with its direction, the result of runs, and the baselines."""
    task = task_of(rows)
    metric = printed(rows, name_of(one))
    result = figures(metric, values_of(rows, metric))
    if metric != name_of(one):
        result += f" ({statistics.mean(measured(row, one) for row in rows):.3f} nats)"
    baselines = ", ".join(
        f"{name} {figures(metric, [statistics.mean(row['baselines'][name][metric] for row in rows)])}"
        for name in rows[0]["baselines"]
        if metric in rows[0]["baselines"][name]
    )
    samples = (
        f", {IMPORTANCE_SAMPLES:,} importance samples" if metric == "nll" and "test/elbo" in rows[0]["metrics"] else ""
    )
    return f"{label(task, metric)}{samples} {direction(task, metric)}", result + _miss(rows, one), baselines


def readme_table() -> str:
    """Return a line per family: one recipe, its metric beside its reference, and the time of training."""
    lines = ["| family | recipe | metric | result | reference | training |", "|---|---|---|---|---|---|"]
    expected_by_case = expected_metrics()
    for family, (model, data) in FAMILIES.items():
        rows, expected = same_runs(model, data, []), expected_by_case[model, data, ()]
        displayed = {**expected, "metric": "test/frechet_zoo_cnn"} if is_generated(rows) else expected
        metric, result, baselines = metric_cells(rows, displayed)
        reference = expected["reference"] or baselines
        seconds = statistics.median(row["train_seconds"] for row in rows)
        lines.append(
            f"| [{family}](docs/models/{rows[0]['class']}.md) | `model={model} data={data}` | {metric} | "
            f"{result} ({runs(rows)}) | {reference} | {seconds:,.0f} s |"
        )
    return "\n".join(lines)


def variants_table() -> str:
    """Return the table of runs whose options differ from the recipe's: metrics of both, and training time."""
    lines = [
        "| command | metric | validation | recipe, validation | test | recipe, test | training |",
        "|---|---|---|---|---|---|---|",
    ]
    expected_by_case, groups = expected_metrics(), results()
    for (model, data, overrides), rows in groups.items():
        recipe = groups.get((model, data, ()))
        if not overrides or not recipe or (model, data, overrides) in expected_by_case:
            continue
        metric, task = metric_of(rows[0]), task_of(rows)
        cells = [
            figures(metric, values_of(group, metric, stage)) for stage in ("val", "test") for group in (rows, recipe)
        ]
        seconds = statistics.median(row["train_seconds"] for row in rows)
        command = command_of([f"model={model}", f"data={data}", *overrides])
        lines.append(
            f"| `{command}` ({count(len(rows), 'seed')}) | {label(task, metric)} {direction(task, metric)} | "
            f"{' | '.join(cells)} | {seconds:.0f} s |"
        )
    return "\n".join(lines)
