"""Make ``benchmarks/report.html``, which opens without a server: ``python -m benchmarks.report_page``."""

from __future__ import annotations

import html
import io
import math
import re
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from benchmarks import report
from benchmarks.rows import RESULTS, read
from zoo.utils.plotting import INK, axes_of

PAGE = Path(__file__).parent / "report.html"
BLUE, GRAY = "#1f5fbf", "#9a9a9a"
COLORS = (BLUE, "#d1741c", "#3a8f4d", "#8a4fb0", "#b03a48", "#5b6770")
STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #222; margin: 0 auto; max-width: 76rem; padding: 1rem; }
h1 { line-height: 1.2; } h2 { margin-top: 2.5rem; border-bottom: 1px solid #ddd; }
nav a { margin-right: 1rem; white-space: nowrap; }
a { color: #1f5fbf; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(20rem, 100%), 1fr)); gap: 1rem; }
figure { margin: 0; } figcaption { font-size: .9rem; color: #444; }
svg { width: 100%; height: auto; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem; border-bottom: 1px solid #e4e4e4; }
td { min-width: 5rem; } td:has(code) { min-width: 14rem; } code { font-size: .8rem; overflow-wrap: anywhere; }
"""
SECTIONS = {  # table: title, what it is about
    "models": (
        "Quality",
        "Every recipe with an expected metric: mean ± deviation over seeds and folds of the epoch that was best on "
        "validation, beside what stands without a network, and a published reference.",
    ),
    "variants": ("Options", "Recipes with options changed, beside the recipe's own figure."),
    "third_party": (
        "Beside what else one would take",
        "The same rows and figure; scikit-learn is tuned for as long as a run.",
    ),
    "third_party_rl": (
        "Beside stable-baselines3",
        "The same environments, in turn; no clock runs while a policy is tested.",
    ),
    "families": ("Families", "Models of a kind with the same data, and the same time for their steps."),
    "samples": ("What samples are worth", "LeNet learns from images that a cgan made, and is tested on real ones."),
    "speed": ("Speed", "The shared trainer beside a loop by hand, and steps beside bare layers: a session, in turn."),
    "training": ("Training", "Samples a second of each model on the data that it brings, whole trainer, in turn."),
    "inference": ("Answers", "Models with their first weights: a row by itself, and 256 at once, in turn; medians."),
    "scaling": ("Scaling", "What training costs as one size grows: medians, and the exponent that fits."),
    "conformance": ("Reliability", "Checks that every model passes, and runs that were stopped or killed and went on."),
    "files": (
        "Damaged files",
        "Bits flipped, files cut short, sizes that lie, in each region of each format. Where checksums lie over all, "
        "no damage may be read as something else.",
    ),
    "use_cases": (
        "From training to use",
        "A minute of training at most, zoo evaluate, raw input from files, zoo export, ONNX Runtime's answers beside.",
    ),
    "user_files": (
        "On files of one's own",
        "Models compared on files that no recipe names; a file too large for memory.",
    ),
    "serving": ("Served", "Clients that each ask again as soon as they are answered."),
}


def page() -> str:
    """Return the page."""
    parts = [
        f'<h2 id="{name}">{title}</h2><p>{about}</p>{_plots(name)}{_table(name)}'
        for name, (title, about) in SECTIONS.items()
    ]
    links = " ".join(f'<a href="#{name}">{title}</a>' for name, (title, _) in SECTIONS.items())
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>The zoo, measured</title>'
        f"<style>{STYLE}</style></head><body><h1>The zoo, measured</h1><p>{_machines()}</p><nav>{links}</nav>"
        f"{''.join(parts)}</body></html>\n"
    )


def _machines() -> str:
    rows = [row for name in ("quality", "speed", "scaling") for row in read(RESULTS / f"{name}.jsonl")]
    devices = ", ".join(sorted({row["device"] for row in rows if "device" in row}))
    versions = next((row["versions"] for row in reversed(rows) if "versions" in row), {})
    label = ", ".join(f"{name} {version}" for name, version in versions.items())
    return html.escape(
        f"{len(rows)} rows on {devices}; the latest with {label}. Made from benchmarks/results by "
        "python -m benchmarks.report_page; each row names its command, commit, threads and precision."
    )


def _table(name: str) -> str:
    """Return a Markdown table of the README's as HTML."""
    blocks = []
    for block in report.TABLES[name]().split("\n\n"):
        if not block.startswith("|"):
            blocks.append(f"<p>{html.escape(block)}</p>")
            continue
        head, _, *lines = block.splitlines()
        body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in _cells(line))}</tr>" for line in lines)
        heads = "".join(f"<th>{cell}</th>" for cell in _cells(head))
        blocks.append(f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>')
    return "".join(blocks)


def _cells(line: str) -> list[str]:
    cells = [html.escape(cell.strip()) for cell in line.strip().strip("|").split(" | ")]
    return [re.sub(r"`([^`]*)`", r"<code>\1</code>", cell) for cell in cells]


# --- pictures ---


def _plots(name: str) -> str:
    drawn = "".join(
        f"<figure>{_svg(figure)}<figcaption>{html.escape(label)}</figcaption></figure>"
        for figure, label in PLOTS.get(name, tuple)()
    )
    return f'<div class="plots">{drawn}</div>' if drawn else ""


def _svg(figure: Figure) -> str:
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "zoo", "font.family": "sans-serif"}):
        target = io.StringIO()
        figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    text = target.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    return re.sub(r'(<svg[^>]*?) width="[^"]*" height="[^"]*"|(<svg[^>]*?) height="[^"]*"', r"\1\2", text, count=1)


def _panel() -> tuple[Figure, Any]:
    figure = Figure(figsize=(4.2, 3.0), layout="constrained")
    return figure, axes_of(figure)


def _curves() -> Iterator[tuple[Figure, str]]:
    """Yield per recipe its figure on validation against seconds of training: mean and least to largest."""
    groups = report.latest(row for row in read(RESULTS / "quality.jsonl") if "curve" in row)
    for (model, data, words), rows in groups.items():
        length = min(len(row["curve"]["values"]) for row in rows)
        if length < 3:
            continue
        values = [row["curve"]["values"][:length] for row in rows]
        seconds = [
            statistics.mean(column) for column in zip(*(r["curve"]["seconds"][:length] for r in rows), strict=True)
        ]
        each = list(zip(*values, strict=True))
        figure, ax = _panel()
        ax.fill_between(seconds, [min(v) for v in each], [max(v) for v in each], color=BLUE, alpha=0.2, linewidth=0)
        ax.plot(seconds, [statistics.mean(v) for v in each], color=BLUE)
        ax.set_xlabel("seconds of training", fontsize=8, color=INK)
        ax.set_title(rows[0]["curve"]["figure"].replace("val/", "").replace("_", " "), fontsize=9, color=INK)
        beside = f", {' '.join(words)}" if words else ""
        yield figure, f"{model} on {data}{beside}: validation, mean and range of {len(rows)} runs."


def _time_against_quality() -> Iterator[tuple[Figure, str]]:
    """Yield, per data set that several models of a kind learnt, their figure against the time that they took."""
    groups: dict[tuple[str, str], list[tuple[str, float, list[float]]]] = defaultdict(list)
    expected_by_case = report.expected_metrics()
    for (model, data, words), rows in report.latest(read(RESULTS / "quality.jsonl")).items():
        selected = report.each_of(expected_by_case.get((model, data, words)))
        if selected and not words:
            name = str(selected[0]["metric"])
            seconds = statistics.median(row["train_seconds"] for row in rows)
            groups[data, name].append((model, seconds, [row["metrics"][name] for row in rows]))
    for (data, name), points in groups.items():
        if len(points) < 2:
            continue
        figure, ax = _panel()
        for color, (model, seconds, values) in zip(COLORS * 3, points, strict=False):
            mean = statistics.mean(values)
            ax.errorbar(seconds, mean, [[mean - min(values)], [max(values) - mean]], fmt="o", color=color, markersize=5)
            ax.annotate(model, (seconds, mean), textcoords="offset points", xytext=(6, 4), fontsize=8, color=color)
        ax.set_xscale("log")
        ax.margins(x=0.3)
        ticks = _round([seconds for _, seconds, _ in points])
        ax.set_xticks(ticks, [f"{tick:,g}" for tick in ticks])
        ax.minorticks_off()
        ax.set_xlabel("seconds of training", fontsize=8, color=INK)
        ax.set_title(f"{name.removeprefix('test/').replace('_', ' ')} on {data}", fontsize=9, color=INK)
        yield figure, f"Time against quality on {data}: the test figure of each recipe, least to largest."


def _round(values: Sequence[float]) -> list[float]:
    """Return round numbers for a logarithmic axis that shows ``values``."""
    low, high = math.log10(min(values)) - 0.2, math.log10(max(values)) + 0.2
    near = [step * 10.0**k for k in range(math.floor(low), math.ceil(high) + 1) for step in (1, 1.5, 2, 3, 5, 7)]
    ticks = [value for value in near if low <= math.log10(value) <= high]
    return ticks[:: -(-len(ticks) // 4)]


def _bars(rows: Sequence[tuple[str, float, float, float]], title: str, *, one: float | None = None) -> Figure:
    """Return bars of (name, value, low, high), the first at the top; ``one`` is a line to compare them with."""
    figure = Figure(figsize=(4.2, max(1.4, 0.42 * len(rows) + 0.8)), layout="constrained")
    ax = axes_of(figure)
    places = range(len(rows))[::-1]
    values, low, high = ([row[k] for row in rows] for k in (1, 2, 3))
    errors = [[v - x for v, x in zip(values, low, strict=True)], [x - v for v, x in zip(values, high, strict=True)]]
    ax.barh(
        places, values, xerr=errors, color=[BLUE if "zoo" in row[0] else GRAY for row in rows], height=0.6, ecolor=INK
    )
    ax.set_yticks(places, [row[0] for row in rows], fontsize=8)
    if one is not None:
        ax.axvline(one, color=INK, linewidth=0.8, linestyle="--")
    ax.set_title(title, fontsize=9, color=INK)
    return figure


def _range(name: str, values: Sequence[float]) -> tuple[str, float, float, float]:
    return name, statistics.mean(values), min(values), max(values)


def _third_party_rows() -> Iterator[tuple[Figure, str]]:
    expected_by_case, ours = report.expected_metrics(), report.latest(read(RESULTS / "quality.jsonl"))
    for (key, library), rows in report.third_party_rows().items():
        selected = report.each_of(expected_by_case.get(key))
        if key in ours and selected:
            figure = str(selected[0]["metric"])
            both = {f"zoo's {key[0]}": ours[key], library: rows}
            bars = [_range(name, [row["metrics"][figure] for row in group]) for name, group in both.items()]
            data = next((w.rpartition("/")[2] for w in key[2] if w.startswith("data.path=")), key[1])
            yield (
                _bars(bars, f"{figure.removeprefix('test/')} on {data}"),
                f"{data}: mean and range over seeds and folds.",
            )


def _actors() -> Iterator[tuple[Figure, str]]:
    groups: dict[tuple[str, str], dict[str, dict[int, Any]]] = defaultdict(lambda: defaultdict(dict))
    for row in read(RESULTS / "third_party.jsonl"):
        if "by" in row:
            groups[row["model"], row["data"]][row["by"].replace("stable-baselines3", "SB3")][row["seed"]] = row
    for (model, data), group in groups.items():
        for field, title in (("steps_per_second", "environment steps per second"), ("return", "return in the test")):
            bars = [
                _range(by, [row[field] if field in row else row["metrics"]["test/return"] for row in seeds.values()])
                for by, seeds in group.items()
            ]
            yield _bars(bars, title), f"{model} on {data}: mean and range over seeds."


def _ratios() -> Iterator[tuple[Figure, str]]:
    latest = {row["what"]: row for row in read(RESULTS / "speed.jsonl")}
    rows = [
        (
            f"zoo: {what.removeprefix('overhead, ').removeprefix('a step of ').split(',')[0]}",
            ratio,
            *row["ratio_spread"],
        )
        for what, row in latest.items()
        if (ratio := row.get("ratio", row.get("step_ratio")))
    ]
    if rows:
        yield _bars(rows, "time beside plain PyTorch (1: as long)", one=1.0), "Medians, and the range of pairs in turn."


def _scaled() -> Iterator[tuple[Figure, str]]:
    for row in {row["what"]: row for row in read(RESULTS / "scaling.jsonl")}.values():
        sizes, seconds, slope = row["sizes"], row["seconds"], row["exponent"]
        middle = math.exp(statistics.mean(math.log(s) for s in seconds))
        center = math.exp(statistics.mean(math.log(s) for s in sizes))
        figure, ax = _panel()
        low, high = zip(*row["spread"], strict=True)
        errors = [
            [s - x for s, x in zip(seconds, low, strict=True)],
            [x - s for s, x in zip(seconds, high, strict=True)],
        ]
        ax.errorbar(sizes, seconds, errors, fmt="o", color=BLUE, markersize=5)
        ax.plot(sizes, [middle * (size / center) ** slope for size in sizes], color=GRAY, zorder=0)
        ax.set_xscale("log", base=2)
        ax.set_yscale("log")
        ax.set_xticks(sizes, [f"{size:,}" for size in sizes])
        ticks = _round(seconds)
        ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.minorticks_off()
        ax.set_title(f"exponent {slope:.2f}", fontsize=9, color=INK)
        ax.set_xlabel(row["what"].split(",")[0], fontsize=8, color=INK)
        ax.set_ylabel(f"seconds per {row['per'].split()[0]}", fontsize=8, color=INK)
        yield figure, f"{row['what']}: {row['model']} on {row['data']}, seconds of training per {row['per']}."


def _quality() -> Iterator[tuple[Figure, str]]:
    yield from _time_against_quality()
    yield from _curves()


PLOTS: dict[str, Callable[[], Iterable[tuple[Figure, str]]]] = {
    "models": _quality,
    "third_party": _third_party_rows,
    "third_party_rl": _actors,
    "speed": _ratios,
    "scaling": _scaled,
}

if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"{PAGE.name}: {PAGE.stat().st_size / 1e6:.2f} MB")
