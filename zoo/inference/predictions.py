"""Predictions of a batch, row by row, in primitives: what a table, a server and a page show."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from zoo.data.spec import DataSpec

LARGE = ("reconstruction", "code")  # predictions of the size of a row, which no table shows


def predictions_of(spec: DataSpec, predictions: dict[str, Any]) -> list[dict[str, Any]]:
    """Return for each row of what ``predict`` returned its ``label``, ``probability`` by class, and numbers.

    A ``value`` is a number, or of a forecast a list of steps (H, columns).
    """
    rows: list[dict[str, Any]] = [{} for _ in range(len(next(iter(predictions.values()))))]
    for name, values in predictions.items():
        if name in LARGE:
            continue
        values = values.tolist() if isinstance(values, Tensor) else values
        if name == "probability":
            values = [dict(zip(spec.classes, value, strict=True)) for value in values]
        for row, value in zip(rows, values, strict=True):
            row[name] = value
    return rows
