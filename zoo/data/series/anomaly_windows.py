"""Stretches of time in which something was wrong, as the Numenta Anomaly Benchmark gives them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from zoo.data.series.times import Times, readings
from zoo.exceptions import ZooError


def in_anomaly_windows(path: Path, series: Path, times: np.ndarray, like: Times) -> np.ndarray:
    """Return which of ``times`` (N,) lie in one of a file's stretches, (N,) bool.

    The file is JSON: a list of pairs [from, to], or a mapping from files' names to such lists. Its times are written as
    the series' are, ``like``, or year first.

    Raises:
        ZooError: the file cannot be read, or says nothing of this series.
    """
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ZooError(f"data.anomaly_windows={path}: cannot be read as JSON ({type(error).__name__})") from None
    if isinstance(content, dict):
        names = [name for name in content if Path(name).name == series.name]
        if len(names) != 1:
            raise ZooError(f"data.anomaly_windows={path}: names {series.name} {len(names)} times; must be once")
        content = content[names[0]]
    inside = np.zeros(len(times), dtype=bool)
    for pair in content if isinstance(content, list) else [None]:
        cells = pd.Series(pair if isinstance(pair, list) and len(pair) == 2 else [None], dtype=object)
        ways = [way for way in readings(cells, format=like.format, zone=like.zone) if way.valid.all()]
        ways = [way for way in ways if way.values.dtype.kind == times.dtype.kind]
        if not ways or len(cells) != 2:
            raise ZooError(f"data.anomaly_windows={path}: {str(pair)[:60]} is no pair of times [from, to]")
        first, last = ways[0].values
        inside |= (times >= first) & (times <= last)
    return inside
