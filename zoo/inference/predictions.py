"""What a model said of a batch, row by row, in primitives: what a table, a server and a page show."""

from __future__ import annotations

from typing import Any

from zoo.data.spec import DataSpec

NUMBERS = ("value", "score", "error", "realness")


def answers_of(spec: DataSpec, answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Return for each row of what ``predict`` returned its ``label``, ``probability`` by class, and numbers.

    A ``value`` is a number, or of a forecast a list of steps (H, columns).
    """
    found: list[dict[str, Any]] = [{} for _ in range(len(next(iter(answer.values()))))]
    for number, row in enumerate(found):
        if "label" in answer:
            row["label"] = answer["label"][number]
        if "probability" in answer:
            row["probability"] = dict(zip(spec.classes, answer["probability"][number].tolist(), strict=True))
        row |= {key: answer[key][number].tolist() for key in NUMBERS if key in answer}
    return found
