"""The README's tables of trained models in use: from training to an exported file's answer, and behind a server."""

from __future__ import annotations

from typing import Any

from benchmarks.rows import RESULTS, read
from benchmarks.user_files import CONTESTS


def use_cases_table() -> str:
    """Return the table of suite=use_cases: per model its figure, what it said of raw input, and how ONNX Runtime agrees."""
    lines = ["| model | data | trained | `zoo evaluate` | raw input | first answer | ONNX file | differs at most by |"]
    lines += ["|---" * 8 + "|"]
    for row in _uses():
        if "model" not in row:
            continue
        drawn = f", drew {row['drawn']}" if "drawn" in row else ""
        cells = [f"{row['train_seconds']:.0f} s", f"{row['metric'].replace('_', ' ')} {row['figure']:.4g}"]
        cells += [f"{row['verb']} {row['rows']:,}{drawn}", f"`{_plain(row['said'])}`", f"{row['bytes'] / 1000:,.0f} KB"]
        cells.append(f"{row['difference']:.0e}" if row["difference"] else "0")
        lines.append(f"| {row['model']} | {row['data']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Return a text that breaks no table."""
    return text.replace("|", "/").replace("`", "'")


def _uses() -> list[dict[str, Any]]:
    return list({row["what"]: row for row in read(RESULTS / "use_cases.jsonl")}.values())


def user_files_table() -> str:
    """Return the tables of the comparisons on files that no recipe names, and of the file too large for memory."""
    lines = ["| files | `zoo compare` | figure on test, the best on validation first |", "|---|---|---|"]
    notes = []
    for row in _uses():
        if "entries" in row:
            figure = row["figure"]
            ranked = [
                f"{one['name']} {one['test'][figure]:.4g}" for one in row["entries"] if figure in (one["test"] or {})
            ]
            named = f"{figure.replace('_', ' ')}: {', '.join(ranked)}"
            lines.append(f"| {row['what']} | `{' '.join(CONTESTS[row['what']])}` | {named} |")
        elif "megabytes" in row:
            notes += ["", f"`zoo predict fnn/wine` on a CSV of {row['bytes'] / 1e9:.2f} GB, {row['rows']:,} rows: "]
            notes[-1] += f"{row['megabytes']:,.0f} MB at most, {row['took']:,.0f} s."
    return "\n".join(lines + notes)


def serving_table() -> str:
    """Return the tables of suite=serving: what many clients were answered, beside its own call; and bad requests."""
    lines = ["| clients | requests, not answered with 200 | a second | median | 99 of 100 within "]
    lines[0] += "| the model's call of one row, of 64 | cores, clients' share included |"
    lines += ["|---" * 7 + "|"]
    drawn = ["", "| model of | requests drawn from its schema | answered with 2xx | refused with 4xx | 5xx or none "]
    drawn[1] += "| 2xx, of those that it allows |"
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
        cells = [f"{row['requests']:,}, {failed}", f"{row['a_second']:,.0f}", f"{row['p50_ms']:,.0f} ms"]
        cells += [f"{row['p99_ms']:,.0f} ms", f"{one} ms, {64000 / many:.1f} ms", f"{row['threads']}"]
        lines.append(f"| {what} | {' | '.join(cells)} |")
    return "\n".join(lines + drawn)
