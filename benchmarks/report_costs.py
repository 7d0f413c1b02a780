"""The tables of speed and cost: suite=speed and suite=scaling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.rows import RESULTS, read


def speed_table() -> str:
    """Return the table of the speed suite, the latest row of each kind."""
    measured_last = {
        row["what"]: row for row in read(RESULTS / "speed.jsonl") if "spread" in row or "ratio_spread" in row
    }
    lines = ["| measurement | median | smallest to largest |", "|---|---|---|"]
    for what, row in measured_last.items():
        if "step_ratio" in row:
            low, high = row["ratio_spread"]
            figure = f"{row['step_ratio']:.3f} × the bare layers: {1000 * row['step_seconds']:.1f} ms"
            lines.append(f"| {what} | {figure} | {low:.3f} to {high:.3f} |")
        elif "ratio" in row:
            low, high = row["ratio_spread"]
            figure = (
                f"{row['ratio']:.3f} × the plain loop: {row['epoch_seconds']:.2f} s an epoch, "
                f"plain {row['plain_epoch_seconds']:.2f} s"
            )
            lines.append(f"| {what} | {figure} | {low:.3f} to {high:.3f} |")
        else:
            low, high = row["spread"]
            name = what if what.startswith("set-up") else f"`{what}`"
            lines.append(f"| {name} | {row['seconds']:.2f} s | {low:.2f} to {high:.2f} s |")
    return "\n".join(lines)


def scaling_table() -> str:
    """Return the table of suite=scaling: costs by size, and the exponent that fits."""
    lines = ["| size | model, data | unit | cost by size | exponent |", "|---|---|---|---|---|"]
    for what, row in {row["what"]: row for row in read(RESULTS / "scaling.jsonl")}.items():
        costs = ", ".join(
            f"{s:,}: {1000 * c:,.{1 if c < 0.1 else 0}f}" for s, c in zip(row["sizes"], row["seconds"], strict=True)
        )
        limit = f" (at most {row['most']})" if row["most"] else ""
        about = f"{row['model']}, {row['data'].replace('_', ' ')}"
        lines.append(f"| {what} | {about} | ms per {row['per']} | {costs} | {row['exponent']:.2f}{limit} |")
    return "\n".join(lines)


def training_table() -> str:
    """Return the table of training: samples per second in each precision, and peak memory."""
    rows = {row["what"]: row for row in read(RESULTS / "speed.jsonl") if "training" in row}
    ways = list(dict.fromkeys(way for row in rows.values() for way in row["training"]))
    lines = [f"| model, data | {' | '.join(f'samples per second, {way}' for way in ways)} | peak memory |"]
    lines += ["|---" * (len(ways) + 2) + "|"]
    for what, row in rows.items():
        cells = [_samples(row["training"][way]) if way in row["training"] else "" for way in ways]
        label = what.removeprefix("training of ").replace("_", " ")
        lines.append(f"| {label} | {' | '.join(cells)} | {row['peak_memory_mb']:,.0f} MB |")
    return "\n".join(lines)


def _samples(one: Mapping[str, Any]) -> str:
    low, high = one["spread"]
    return f"{one['samples']:,.0f} ({low:,.0f} to {high:,.0f})"


def inference_table() -> str:
    """Return the table of inference: milliseconds for one row, and rows per second in batches, per mode."""
    rows = {row["what"]: row for row in read(RESULTS / "speed.jsonl") if "answers" in row}
    ways = list(dict.fromkeys(way for row in rows.values() for way in row["answers"]["one row"]))
    heads = [*(f"one row, {way}" for way in ways), *(f"rows per second, {way}" for way in ways)]
    lines = [f"| model, data | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for what, row in rows.items():
        one, many = row["answers"]["one row"], row["answers"]["many rows"]
        cells = [f"{one[way]['ms']:.2f} ms" if way in one else "" for way in ways]
        cells += [f"{1000 * row['rows']['many rows'] / many[way]['ms']:,.0f}" if way in many else "" for way in ways]
        lines.append(f"| {what.removeprefix('inference of ').replace('_', ' ')} | {' | '.join(cells)} |")
    return "\n".join(lines)
