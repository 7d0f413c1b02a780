"""Rows of results: JSON Lines files in ``benchmarks/results/``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def read(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a results file without failed rows, in the order of measurement."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [row for row in map(json.loads, lines) if not row.get("failed")]


def of_this_commit(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows that the current commit measured."""
    from zoo.reporting.results import origin

    now = origin("cpu")["commit"]
    return [row for row in rows if now is not None and row.get("commit") == now]
