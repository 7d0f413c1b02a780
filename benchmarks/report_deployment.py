"""The tables of deployment: from training to ONNX Runtime, user files, and the server."""

from __future__ import annotations

from typing import Any

from benchmarks.rows import RESULTS, read
from benchmarks.user_files import CONTESTS
from zoo.metrics.names import metric_label


def use_cases_table() -> str:
    """Return the table of suite=use_cases: metric, predictions for raw input, and agreement of ONNX Runtime per model."""
    lines = [
        "| model | data | training | `zoo evaluate` | raw input | first prediction | ONNX file | largest difference |"
    ]
    lines += ["|---" * 8 + "|"]
    for row in _uses():
        if "model" not in row:
            continue
        drawn = f", sample {row['drawn']}" if "drawn" in row else ""
        cells = [f"{row['train_seconds']:.0f} s", f"{metric_label(row['metric'])} {row['figure']:.4g}"]
        cells += [f"{row['verb']} {row['rows']:,}{drawn}", f"`{_plain(row['said'])}`", f"{row['bytes'] / 1000:,.0f} KB"]
        cells.append(f"{row['difference']:.0e}" if row["difference"] else "0")
        lines.append(f"| {row['model']} | {row['data']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Return a text without the marks of a table."""
    return text.replace("|", "/").replace("`", "'")


def _uses() -> list[dict[str, Any]]:
    return list({row["what"]: row for row in read(RESULTS / "use_cases.jsonl")}.values())


def user_files_table() -> str:
    """Return the table of ``zoo compare`` on files without a recipe, and the cost of a file larger than memory."""
    lines = ["| files | `zoo compare` | test metric, sorted by validation metric |", "|---|---|---|"]
    notes = []
    for row in _uses():
        if "entries" in row:
            figure = row["figure"]
            ranked = [
                f"{one['name']} {one['test'][figure]:.4g}" for one in row["entries"] if figure in (one["test"] or {})
            ]
            named = f"{metric_label(figure)}: {', '.join(ranked)}"
            lines.append(f"| {row['what']} | `{' '.join(CONTESTS[row['what']])}` | {named} |")
        elif "megabytes" in row:
            notes += ["", f"`zoo predict fnn/wine` on a CSV of {row['bytes'] / 1e9:.2f} GB, {row['rows']:,} rows: "]
            notes[-1] += f"{row['megabytes']:,.0f} MB peak memory, {row['took']:,.0f} s."
    return "\n".join(lines + notes)


def serving_table() -> str:
    """Return the tables of suite=serving: throughput and latency under load, and responses to generated requests."""
    lines = ["| load | requests | failed | requests per second | median latency | 99th percentile "]
    lines[0] += "| model alone, one row | model alone, 64 rows | cores, shared with the clients |"
    lines += ["|---" * 9 + "|"]
    drawn = ["", "| model of | generated requests | 2xx | 4xx | 5xx or none "]
    drawn[1] += "| 2xx among valid requests |"
    drawn += ["|---" * 6 + "|"]
    for what, row in {row["what"]: row for row in read(RESULTS / "serving.jsonl")}.items():
        if "bare" not in row:
            by = {first: sum(n for s, n in row["statuses"].items() if s.startswith(first)) for first in "24"}
            total = sum(row["statuses"].values())
            cells = [what.partition(": ")[2], str(total), str(by["2"]), str(by["4"]), str(total - sum(by.values()))]
            allowed = row.get("allowed", {})
            cells.append(f"{allowed.get('200', 0) / sum(allowed.values()):.0%}" if allowed else "")
            drawn.append(f"| {' | '.join(cells)} |")
            continue
        failed = sum(count for status, count in row["statuses"].items() if status != "200")
        one, many = (row["bare"][key] for key in ("a row, ms", "rows a second in 64s"))
        cells = [f"{row['requests']:,} | {failed}", f"{row['a_second']:,.0f}", f"{row['p50_ms']:,.0f} ms"]
        cells += [f"{row['p99_ms']:,.0f} ms", f"{one} ms | {64000 / many:.1f} ms", f"{row['threads']}"]
        lines.append(f"| {what} | {' | '.join(cells)} |")
    return "\n".join(lines + drawn)
