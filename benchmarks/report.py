"""Render the tables of README and docs from ``benchmarks/results/``: ``python -m benchmarks.report [check]``."""

from __future__ import annotations

import re
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.quality import cases, command_of, each_of, limit, measured, met
from benchmarks.report_costs import inference_table, scaling_table, speed_table, training_table
from benchmarks.report_deployment import serving_table, use_cases_table, user_files_table
from benchmarks.report_reliability import conformance_table, files_table
from benchmarks.rows import RESULTS, read
from zoo import registry
from zoo.config.groups import files, recipe_class
from zoo.config.help import value_text
from zoo.config.signatures import model_options as options_of
from zoo.metrics.names import metric_label

ROOT = Path(__file__).resolve().parent.parent


PLAIN = (
    "rmse",
    "mae",
    "mse",
    "sse",
    "psnr",
    "nll",
    "elbo",
    "perplexity",
    "bits_per_character",
    "frechet_pca",
    "frechet_zoo_cnn",
    "return",
)
Key = tuple[str, str, tuple[str, ...]]  # model, data, words beside them


def latest(rows: Iterable[dict[str, Any]]) -> dict[Key, list[dict[str, Any]]]:
    """Return rows by model, data and overrides; of two runs of one seed and fold the later one counts."""
    last: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        last[row["model"], row["data"], tuple(row["overrides"]), row["seed"], row["fold"]] = row
    groups = defaultdict(list)
    for (model, data, overrides, *_), row in last.items():
        groups[model, data, overrides].append(row)
    return dict(sorted(groups.items()))


def _groups() -> dict[Key, list[dict[str, Any]]]:
    return latest(read(RESULTS / "quality.jsonl"))


def same_runs(model: str, data: str, overrides: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of one case: the latest of each seed and fold."""
    return _groups().get((model, data, tuple(overrides)), [])


def _percent(values: Sequence[float]) -> str:
    """Return mean and standard deviation in percent; one value has no deviation."""
    return f"{_with_deviation([100 * value for value in values], 2)} %"


def _plain(values: Sequence[float]) -> str:
    """Return mean and standard deviation; one value has no deviation."""
    return _with_deviation(values, 2 if abs(statistics.mean(values)) >= 10 else 4)


def _with_deviation(values: Sequence[float], digits: int) -> str:
    deviation = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{deviation}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def expected_metrics() -> dict[Key, Mapping[str, Any]]:
    """Return the expected metrics of each case."""
    return {(case.model, case.data, case.words): case.expected or {} for case in cases()}


def models_table() -> str:
    """Return a table of results for each task."""
    sections = []
    for task in registry.list_tasks():
        if lines := _results(lambda rows, task=task: rows[0].get("task", "classification") == task):
            sections.append(f"## {task.replace('_', ' ').capitalize()}\n\n{lines}")
    return "\n\n".join(sections)


def model_results(name: str) -> str:
    """Return the results of a registered model."""
    return _results(lambda rows: rows[0]["class"] == name) or "No result is published yet."


def _results(chosen: Callable[[list[dict[str, Any]]], bool]) -> str:
    """Return the table of the chosen recipes: metric, result, baselines, reference, size and time."""
    lines = [
        "| recipe | metric | result | baselines | reference | parameters | training, whole run |",
        "|---|---|---|---|---|---|---|",
    ]
    expected_by_case = expected_metrics()
    names = {(case.model, case.data, case.words): case.name for case in cases()}
    for key, rows in _groups().items():
        if (key[2] and key not in expected_by_case) or not chosen(rows):
            continue
        expected = expected_by_case.get(key, {})
        recipe = f"case={names[key]}" if names.get(key) else f"model={key[0]} data={key[1]}"
        reference = f"{expected['reference']} ({expected['source']})" if expected.get("reference") else ""
        train, wall = (statistics.median(r[k] for r in rows) for k in ("train_seconds", "wall_seconds"))
        about = f"{reference} | {rows[0]['params']:,} | {train:,.0f} s, {wall:,.0f} s ({_threads(rows)})"
        for number, one in enumerate(each_of(expected) or [{"metric": f"test/{metric_of(rows[0])}"}]):
            cells = _metric_cells(rows, one)
            lines.append(f"| `{recipe}` | {cells} | {about if number == 0 else ' | |'} |")
    return "\n".join(lines) if len(lines) > 2 else ""


def _metric_cells(rows: list[dict[str, Any]], one: Mapping[str, Any]) -> str:
    """Return the name of a metric with its direction, the result of runs, and the baselines."""
    name, times = _name(one), one.get("times")
    show = _plain if times else _show(name)
    values = [measured(row, one) for row in rows]
    result = show(values) + ("" if met(one, statistics.mean(values)) else f", **missed: expected {limit(one)}**")
    baselines = ", ".join(
        f"{key} {_show(name)([row['baselines'][key][name] for row in rows]).split(' ±')[0]}"
        for key in rows[0]["baselines"]
        if name in rows[0]["baselines"][key]
    )
    label = metric_label(name) + (f", as a multiple of {times}" if times else "")
    return f"{label} {_direction(name, one, rows[0])} | {result} ({_runs(rows)}) | {baselines}"


def _direction(name: str, expected: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    if "min" in expected or "max" in expected:
        return "↑" if "min" in expected else "↓"
    task = registry.get_task(str(row.get("task", "classification")))
    return "↓" if name in task.lower_is_better else "↑"


def _runs(rows: list[dict[str, Any]]) -> str:
    runs = _count(len({r["seed"] for r in rows}), "seed")
    return runs + (f" × {_count(len({r['fold'] for r in rows}), 'fold')}" if rows[0]["fold"] is not None else "")


def _show(figure: str) -> Callable[[list[float]], str]:
    return _plain if figure in PLAIN else _percent


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


def readme_table() -> str:
    """Return a line per family: one recipe, its metric beside its reference, and the time of training."""
    lines = ["| family | recipe | metric | result | reference | training |", "|---|---|---|---|---|---|"]
    expected_by_case = expected_metrics()
    for family, (model, data) in FAMILIES.items():
        rows, expected = same_runs(model, data, []), expected_by_case[model, data, ()]
        metric, result, _ = _metric_cells(rows, expected).split(" | ")
        page = f"docs/models/{rows[0]['class']}.md"
        seconds = statistics.median(row["train_seconds"] for row in rows)
        lines.append(
            f"| [{family}]({page}) | `model={model} data={data}` | {metric} | {result} | {expected['reference'] or ''} | "
            f"{seconds:,.0f} s |"
        )
    return "\n".join(lines)


def model_support(name: str) -> str:
    """Return the tasks and modalities of a registered model, and the recipes that configure it."""
    entry = registry.entry(name)
    spaces = f" with {' or '.join(entry.action_spaces)} actions" if entry.action_spaces else ""
    recipes = [recipe for recipe in files("model") if recipe_class(recipe) == name]
    return (
        f"Tasks: {', '.join(task.replace('_', ' ') for task in entry.tasks)}. "
        f"Modalities: {', '.join(entry.modalities)}{spaces}. Recipes: {', '.join(f'`{r}`' for r in recipes)}."
    )


def support_table() -> str:
    """Return the table of registered models by the tasks and modalities that they support."""
    lines = ["| model | tasks | modalities |", "|---|---|---|"]
    for name in registry.list_models():
        entry = registry.entry(name)
        if entry.module.startswith("zoo."):
            tasks = ", ".join(task.replace("_", " ") for task in entry.tasks)
            lines.append(f"| [{name}]({name}.md) | {tasks} | {', '.join(entry.modalities)} |")
    return "\n".join(lines)


def model_options(name: str) -> str:
    """Return the table of a model's options with the defaults of its constructor."""
    lines = ["| option | default | description |", "|---|---|---|"]
    for key, option in options_of(name).items():
        default = option.default
        text = value_text(list(default) if isinstance(default, tuple) else default)
        lines.append(f"| `model.{key}` | `{text}` | {' '.join(option.description.split())} |".replace("``", "`"))
    return "\n".join(lines)


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
        "| data | metric | zoo | library | seconds: zoo, library; settings that it tried |",
        "|---|---|---|---|---|",
    ]
    expected_by_case, groups = expected_metrics(), _groups()
    for (key, library), rows in third_party_rows().items():
        ours = groups.get(key)
        if not ours:
            continue
        selected = each_of(expected_by_case.get(key, {}))
        figure = _name(selected[0]) if selected else metric_of(ours[0])
        tried, seconds = (statistics.median(row[k] for row in rows) for k in ("tried", "seconds"))
        data = next((word.rpartition("/")[2] for word in key[2] if word.startswith("data.path=")), key[1])
        zoo, third_party_value = (
            _show(figure)([row["metrics"][f"test/{figure}"] for row in group]) for group in (ours, rows)
        )
        zoo_seconds = statistics.median(row["train_seconds"] for row in ours)
        lines.append(
            f"| {data} | {figure.replace('_', ' ')} | {key[0]} {zoo} | {library} {third_party_value} | "
            f"{zoo_seconds:.0f} s, {seconds:.0f} s; {tried:.0f} |"
        )
    return "\n".join(lines)


def third_party_rl_table() -> str:
    """Return the table of policies: returns, pace and steps until solved, the zoo's and stable-baselines3's."""
    lines = [
        "| environment | by | return in the test | steps per second | steps until a mean of | time for all steps |",
        "|---|---|---|---|---|---|",
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
        returns = _plain([row["metrics"]["test/return"] for row in rows])
        lines.append(
            f"| {data.replace('_', ' ')}, {model} | {by} | {returns} ({_count(len(rows), 'seed')}) | {pace:,.0f} | "
            f"{rows[0]['goal']:g}: {first} | {seconds:.0f} s, {rows[0]['steps']:,} |"
        )
    return "\n".join(lines)


def _threads(rows: list[dict[str, Any]]) -> str:
    counts = sorted({row["threads"] for row in rows})
    return f"{' or '.join(map(str, counts))} thread{'s' * (counts != [1])}"


def _name(expected_by_case: Mapping[str, Any]) -> str:
    return str(expected_by_case["metric"]).removeprefix("test/")


def metric_of(row: dict[str, Any]) -> str:
    """Return the figure that counts without an expected one, by a run's task."""
    monitor: str = registry.get_task(str(row.get("task", "classification"))).monitor
    return monitor


def variants_table() -> str:
    """Return the table of runs whose options differ from the recipe's: figures of both, and training time."""
    lines = [
        "| command | on validation, the recipe's own | on test, the recipe's own | training |",
        "|---|---|---|---|",
    ]
    expected_by_case, groups = expected_metrics(), _groups()
    for (model, data, overrides), rows in groups.items():
        recipe = groups.get((model, data, ()))
        if overrides and recipe and (model, data, overrides) not in expected_by_case:
            figure = metric_of(rows[0])
            cells = []
            for stage in ("val", "test"):
                named = f"{stage}/{figure}"
                values, recipe_values = (
                    _show(figure)([row["metrics"][named] for row in group]) for group in (rows, recipe)
                )
                cells.append(f"{values}, {recipe_values}")
            seconds = statistics.median(row["train_seconds"] for row in rows)
            command = command_of([f"model={model}", f"data={data}", *overrides])
            lines.append(
                f"| `{command}` | {figure} {' | '.join(cells)} | {seconds:.0f} s, {_count(len(rows), 'seed')} |"
            )
    return "\n".join(lines)


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


def _of_a_kind(models: Sequence[str], cases: Sequence[str], groups: Mapping[tuple[str, str], list[Any]]) -> str:
    lines = [f"| data, figure | {' | '.join(models)} | parameters | training |", "|---" * (len(models) + 3) + "|"]
    for data in cases:
        every = [row for model in models for row in groups[data, model]]
        figure = every[0]["figure"]
        cells = [_show(figure)([row["metrics"][f"test/{figure}"] for row in groups[data, m]]) for m in models]
        low, high = (f(row["params"] for row in every) for f in (min, max))
        seconds = [row["train_seconds"] for row in every]
        lines.append(
            f"| {data.replace('_', ' ')}, {figure.replace('_', ' ')} | {' | '.join(cells)} | {low:,} to {high:,} | "
            f"{min(seconds):.0f} to {max(seconds):.0f} s |"
        )
    return "\n".join(lines)


TRAINED_ON = {  # rows of suite=samples
    "generated": "20,000 images of a cgan that saw all labels, alone",
    "few": "100 real images alone",
    "few and generated of few": "these 100 and 20,000 images of a cgan that saw these 100 alone",
    "both": "these 100 and 20,000 images of a cgan that saw all labels",
}


def samples_table() -> str:
    """Return the table of suite=samples: a classifier's accuracy on real images by what it learnt from."""
    lines = [
        "| data | learns from | test accuracy | more than from the 100 alone, 95 % interval |",
        "|---|---|---|---|",
    ]
    rows = {(row["data"], row["what"], row["seed"]): row for row in read(RESULTS / "samples.jsonl")}
    for data in dict.fromkeys(data for data, _, _ in rows):
        groups = {
            what: {s: row["metrics"]["test/accuracy"] for (d, w, s), row in rows.items() if (d, w) == (data, what)}
            for what in TRAINED_ON
        }
        for what, label in TRAINED_ON.items():
            values = groups[what]
            gains = [values[seed] - groups["few"][seed] for seed in values if seed in groups["few"]]
            beside = _interval(gains) if what not in ("few", "generated") else ""
            runs = _count(len(values), "seed")
            lines.append(f"| {data} | {label} | {_percent(list(values.values()))} ({runs}) | {beside} |")
    return "\n".join(lines) + "\n\n" + _of_cgans(list(rows.values()))


def _of_cgans(rows: Sequence[dict[str, Any]]) -> str:
    """Return the table of the cgan's images themselves."""
    lines = [
        "| data | images of | with the label that was asked for | least share of a class | distance, times that of "
        "other real images | training |",
        "|---|---|---|---|---|---|",
    ]
    who = {"cgan": "a cgan that saw all labels", "cgan of few": "a cgan that saw 100 images"}
    for data, what in dict.fromkeys((row["data"], row["what"]) for row in rows if row["what"] in who):
        group = [row for row in rows if (row["data"], row["what"]) == (data, what)]
        right, least = ([r["metrics"][f"test/{k}"] for r in group] for k in ("class_accuracy", "min_class_share"))
        one = {"metric": "test/frechet_zoo_cnn", "times": "other real images"}
        by_threads: dict[int, list[float]] = defaultdict(list)
        for row in group:
            by_threads[row["threads"]].append(row["train_seconds"])
        times = [
            f"{statistics.median(durations):.0f} s on {count} thread{'s' if count > 1 else ''}"
            for count, durations in sorted(by_threads.items(), reverse=True)
        ]
        lines.append(
            f"| {data} | {who[what]} | {_percent(right)} ({_count(len(group), 'seed')}) | {_percent(least)} | "
            f"{_plain([measured(row, one) for row in group])} | {', '.join(times)} |"
        )
    return "\n".join(lines)


def _interval(values: Sequence[float]) -> str:
    """Return the mean in percent with the 95 % interval of Student's t."""
    from scipy.stats import t

    mean = 100 * statistics.mean(values)
    if len(values) < 2:
        return f"{mean:+.2f}"
    half = 100 * float(t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / len(values) ** 0.5
    return f"{mean:+.2f} [{mean - half:+.2f}, {mean + half:+.2f}]"


TABLES: dict[str, Callable[..., str]] = {
    "readme": readme_table,
    "support": support_table,
    "samples": samples_table,
    "families": families_table,
    "models": models_table,
    "variants": variants_table,
    "third_party": third_party_table,
    "third_party_rl": third_party_rl_table,
    "speed": speed_table,
    "training": training_table,
    "inference": inference_table,
    "scaling": scaling_table,
    "conformance": conformance_table,
    "files": files_table,
    "use_cases": use_cases_table,
    "user_files": user_files_table,
    "serving": serving_table,
}
OF_MODELS = {"support": model_support, "results": model_results, "options": model_options}
MARK = re.compile(r"(<!-- table:(\w+)(?:/(\w+))? -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def pages() -> list[Path]:
    """Return the README and the pages of the documentation."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def render(text: str) -> str:
    """Return ``text`` with each table between its marks generated anew."""
    return MARK.sub(lambda m: f"{m[1]}{OF_MODELS[m[2]](m[3]) if m[3] else TABLES[m[2]]()}\n{m[5]}", text)


def main(args: list[str]) -> int:
    """Write the tables of all pages; with ``check``, return 1 where one differs from the results."""
    stale = []
    for page in pages():
        old = page.read_text()
        new = render(old)
        if old != new:
            stale.append(str(page.relative_to(ROOT)))
            if args != ["check"]:
                page.write_text(new)
    if args == ["check"]:
        print(
            f"stale tables in {', '.join(stale)}: python -m benchmarks.report" if stale else "tables agree with results"
        )
        return bool(stale)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
