"""Compare two folders of results: ``python -m benchmarks.compare OLD NEW`` lists worse and missing figures.

A metric is compared by its mean over seeds and folds; a ratio or a time by its median. A figure is worse if the change
exceeds the combined noise √(a² + b²). The noise of a mean is half of the 95 % interval of Student's t, and that of a
median is half of the range. A figure with one measurement takes the noise of the other folder. The exit code is 1 if a
figure is worse or missing.
"""

from __future__ import annotations

import math
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.quality import each_of
from benchmarks.report_results import expected_metrics, latest, metric_of
from benchmarks.rows import read

FALLS = ("rmse", "mae", "mse", "nll", "perplexity", "bits_per_character", "frechet", "seconds", "ratio", "exponent")


@dataclass(frozen=True)
class Figure:
    """A measured figure, its noise (None: unknown), and whether higher values are better."""

    value: float
    noise: float | None
    rises: bool


def figures(folder: Path) -> dict[str, Figure]:
    """Return the figures in a folder of results, by readable names."""
    metrics = {}
    for key, rows in latest(read(folder / "quality.jsonl")).items():
        expected_by_case = each_of(expected_metrics().get(key)) or [{"metric": f"test/{metric_of(rows[0])}"}]
        for one in expected_by_case:
            name = str(one["metric"])
            values = [row["metrics"][name] for row in rows if name in row["metrics"]]
            if values:
                metrics[f"{' '.join([f'{key[0]} on {key[1]}', *key[2]])}: {name}"] = _mean(values, name)
    paces: dict[str, dict[int, float]] = defaultdict(dict)  # the last run of each seed counts
    for row in read(folder / "third_party.jsonl"):
        if row.get("by") == "zoo":
            paces[f"{row['model']} on {row['data']}: steps per second"][row["seed"]] = row["steps_per_second"]
    metrics |= {name: _mean(list(seeds.values()), name) for name, seeds in paces.items()}
    for suite in ("speed", "scaling"):
        for row in read(folder / f"{suite}.jsonl"):
            metrics |= _timed(row)
    for row in read(folder / "conformance.jsonl"):
        if "equal" in row:
            metrics[f"{row['model']} {row['how']}: bit-equal"] = Figure(row["equal"], 0.0, True)
    return metrics


def _mean(values: Sequence[float], name: str) -> Figure:
    from scipy.stats import t

    noise = None
    if len(values) > 1:
        noise = float(t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))
    return Figure(statistics.mean(values), noise, not any(part in name for part in FALLS))


def _timed(row: dict[str, Any]) -> dict[str, Figure]:
    for name, error_key in (("step_ratio", "ratio_spread"), ("ratio", "ratio_spread"), ("exponent", None)):
        if name in row:
            noise = (
                (row[error_key][1] - row[error_key][0]) / 2 if error_key else 0.1
            )  # for exponents: the typical difference between two sessions
            return {f"{row['what']}: {name.replace('_', ' ')}": Figure(row[name], noise, False)}
    if "answers" in row:
        return {
            f"{row['what']}, {rows}, {way}: ms": Figure(one["ms"], (one["spread"][1] - one["spread"][0]) / 2, False)
            for rows, by in row["answers"].items()
            for way, one in by.items()
        }
    if "training" in row:
        return {
            f"{row['what']}, {way}: samples a second": Figure(
                one["samples"], (one["spread"][1] - one["spread"][0]) / 2, True
            )
            for way, one in row["training"].items()
        }
    low, high = row["spread"]
    return {f"{row['what']}: seconds": Figure(row["seconds"], (high - low) / 2, False)}


def worse(old: Figure, new: Figure) -> bool:
    """Return whether ``new`` is worse than ``old`` by more than the combined noise."""
    noises = [n for n in (old.noise, new.noise) if n is not None]
    limit = math.hypot(noises[0], noises[-1]) if noises else 0.05 * abs(old.value)  # one run each: 5 %
    return (old.value - new.value if old.rises else new.value - old.value) > limit


def differences(old: dict[str, Figure], new: dict[str, Figure]) -> Iterable[str]:
    """Yield a line for each figure that is worse or missing."""
    for name, before in old.items():
        if name not in new:
            yield f"gone    {name} (was {before.value:.4g})"
        elif worse(before, new[name]):
            yield f"worse   {name}: {before.value:.4g} → {new[name].value:.4g}"


def main(words: Sequence[str]) -> int:
    """Print the differences and return the exit code: 0 for none, 1 for some, 2 for invalid arguments."""
    folders = [Path(word) for word in words]
    missing = [folder for folder in folders if not list(folder.glob("*.jsonl"))]
    if len(folders) != 2 or missing:
        print(f"error: {missing[0]}: not a folder of results" if missing else __doc__, file=sys.stderr)
        return 2
    old, new = map(figures, folders)
    lines = list(differences(old, new))
    print("\n".join(lines) if lines else f"nothing is worse, of {len(old)} figures")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
