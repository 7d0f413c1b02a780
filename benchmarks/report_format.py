"""Numbers, counts and names as the tables of README and docs print them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from zoo import registry
from zoo.metrics.names import metric_label

SHARES = (  # metrics that are shares, printed in percent
    *("accuracy", "balanced_accuracy", "auroc", "average_precision", "f1", "knn_accuracy", "probe_accuracy"),
    *("class_accuracy", "precision", "recall", "coverage"),
)
PROCESSOR = "AMD EPYC"  # the processor of most rows, named on the page
FEWEST = 5  # seeds of an interquartile mean


def label(task: str, metric: str) -> str:
    """Return the name of a metric with its unit."""
    return metric_label(metric, registry.get_task(task).metric_labels)


def direction(task: str, metric: str) -> str:
    """Return an arrow to the better side."""
    return "↓" if metric in registry.get_task(task).lower_is_better else "↑"


def figures(metric: str, values: Sequence[float]) -> str:
    """Return mean and standard deviation, in percent if the metric is a share; one value has no deviation."""
    if metric in SHARES:
        return f"{with_deviation([100 * value for value in values], 2)} %"
    rough = metric in ("frechet_zoo_cnn", "density") or abs(statistics.mean(values)) >= 10
    return with_deviation(values, 2 if rough else 4)


def with_deviation(values: Sequence[float], digits: int) -> str:
    """Return the mean with the standard deviation of several values."""
    deviation = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{deviation}"


def count(number: int, noun: str) -> str:
    """Return a number and its noun, as in "3 seeds"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def threads(rows: Sequence[dict[str, Any]]) -> str:
    """Return the numbers of threads that runs had, and their processor if it is not the usual one; or their GPU."""
    kind, _, processor = rows[0].get("device", "").rstrip(")").partition(" (")
    if kind == "cuda":
        return str(processor)
    counts = sorted({row["threads"] for row in rows})
    other = "" if processor in ("", "some", PROCESSOR) else ", Intel Xeon" if "Xeon" in processor else f", {processor}"
    return f"{' or '.join(map(str, counts))} thread{'s' * (counts != [1])}{other}"


def runs(rows: Sequence[dict[str, Any]]) -> str:
    """Return how many seeds and folds there are."""
    seeds = count(len({row["seed"] for row in rows}), "seed")
    folds = f" × {count(len({row['fold'] for row in rows}), 'fold')}" if rows[0]["fold"] is not None else ""
    return seeds + folds


def interval(values: Sequence[float]) -> str:
    """Return the mean in percent with the 95 % interval of Student's t."""
    from scipy.stats import t

    mean = 100 * statistics.mean(values)
    if len(values) < 2:
        return f"{mean:+.2f}"
    half = 100 * float(t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / len(values) ** 0.5
    return f"{mean:+.2f} [{mean - half:+.2f}, {mean + half:+.2f}]"


def interquartile_mean(values: Sequence[float]) -> str:
    """Return the interquartile mean of at least five seeds with its 95 % bootstrap interval (Agarwal et al., NeurIPS 2021)."""
    if len(values) < FEWEST:
        return ""
    import numpy as np
    from scipy.stats import trim_mean

    drawn = np.random.default_rng(0).choice(np.asarray(values), (10_000, len(values)))
    low, high = np.percentile(trim_mean(drawn, 0.25, axis=1), [2.5, 97.5])
    return f"{trim_mean(values, 0.25):.2f} [{low:.2f}, {high:.2f}]"
