"""Rows of results: JSON lines in ``benchmarks/results/``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def read(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file of results that did not fail, in the order in which they were measured."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [row for row in map(json.loads, lines) if not row.get("failed")]


def of_this_commit(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows that the code as it is has made, which need not be made again."""
    from zoo.reporting.results import origin

    now = origin("cpu")["commit"]
    return [row for row in rows if now is not None and row.get("commit") == now]
