"""Lines and files that the uses of a model have in common."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.metrics.names import metric_label
from zoo.utils.atomic_io import atomic_write


def metric_lines(sources: Mapping[str, Mapping[str, float]], names: Sequence[str]) -> list[str]:
    """Return a line of the metrics ``names`` for each source that has one of them."""
    lines = []
    for title, metrics in sources.items():
        text = "   ".join(f"{metric_label(name)} {metrics[name]:.4g}" for name in names if name in metrics)
        lines += [f"  {title:<17} {text}"] if text else []
    return lines


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write rows below a header, all of them or no file."""

    def write(to: Path) -> None:
        with to.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(rows)

    atomic_write(path, write)
