"""The tables of reliability: conformance checks, stopped and killed runs, damaged files."""

from __future__ import annotations

from typing import Any

from benchmarks.rows import RESULTS, read


def conformance_table() -> str:
    """Return the table of suite=conformance, with the memory of a long run and the result of suite=replay below it."""
    lines = ["| model | checks passed | checks with two processes | stopped and resumed | killed and resumed |"]
    lines += ["|---" * 5 + "|"]
    last: dict[tuple[str, str], dict[str, Any]] = {}
    for row in read(RESULTS / "conformance.jsonl"):
        last[row["model"], row["how"]] = row
    for model in dict.fromkeys(model for model, how in last if how != "memory"):
        checks, stopped, killed = (last.get((model, how)) for how in ("checks", "stopped", "killed"))
        cells = [f"{checks['passed']} in {checks['seconds']:.0f} s", str(checks["processes"])] if checks else []
        cells = cells or ["", ""]
        cells += [_equal(stopped), _equal(killed)]
        lines.append(f"| {model} | {' | '.join(cells)} |")
    for (_, how), row in last.items():
        if how == "memory":
            warm, end = row["megabytes"]
            lines += [
                "",
                f"{row['what'].capitalize()}: {warm:.0f} MB after a tenth of the steps, {end:.0f} MB at the end.",
            ]
    lines += [f"\n{_replay(row)}" for row in read(RESULTS / "replay.jsonl")[-1:]]
    return "\n".join(lines)


def _replay(row: dict[str, Any]) -> str:
    height, width = row["frame"]
    return (
        f"{row['what'].capitalize()} of {height}×{width} frames, stacked by {row['stack']}: {row['buffer_mb']:.0f} MB "
        f"in memory. A checkpoint with {row['new_steps']:,} new steps writes {row['written_mb']:.1f} MB of it, "
        f"best.ckpt ({row['best_mb']:.1f} MB) none. Bit-equal after "
        f"{row['equal']} of {row['killed']} kills with a full buffer."
    )


def _equal(row: dict[str, Any] | None) -> str:
    return f"{row['equal']} of {len(row['points'])} bit-equal" if row else ""


ENDS = {
    "refused": "rejected with a message",
    "read as it was": "read, data undamaged",
    "read as it is": "read, values changed",
}


def files_table() -> str:
    """Return the table of suite=files: outcomes of damaged files per reader."""
    lines = [
        f"| reader | checksum of all bytes | files | {' | '.join(ENDS.values())} | crash or traceback |",
        "|---" * 7 + "|",
    ]
    for name, row in {row["reader"]: row for row in read(RESULTS / "files.jsonl")}.items():
        outcomes = dict(row["outcomes"])
        cells = [str(outcomes.pop(end, 0)) for end in ENDS]
        sealed = "yes" if row["sealed"] else ""
        lines.append(f"| {name} | {sealed} | {row['tried']:,} | {' | '.join(cells)} | {sum(outcomes.values())} |")
    return "\n".join(lines)
