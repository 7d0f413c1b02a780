"""Pydantic types of request rows for the model server, with JSON schemas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field, Strict, WithJsonSchema
from pydantic.types import AllowInfNan

from zoo.data.spec import DataSpec

MAX_TEXT = 100_000  # characters of a text; the model truncates to its own limit
REACH = 1e9  # standard deviations from the training mean: the documented range of numbers; the server may accept more

Number = Annotated[float, Strict(), AllowInfNan(False)]
Cell = Annotated[str, Field(max_length=MAX_TEXT)] | Number | bool | None


def bounded_number(mean: Sequence[float], std: Sequence[float]) -> dict[str, Any]:
    """Return the JSON schema of a number, with the range in which predictions are certain to be finite."""
    reach = max(abs(m) + REACH * s for m, s in zip(mean, std, strict=True))
    return {"type": "number", "minimum": -reach, "maximum": reach}


def list_of(row: Any, shortest: int, longest: int) -> Any:
    """Return the type of a list with ``shortest`` to ``longest`` rows."""
    return Annotated[list[row], Field(min_length=shortest, max_length=longest)]


def numbers_of_shape(spec: DataSpec, shape: Sequence[int]) -> Any:
    """Return the type of nested lists of numbers with a given shape."""
    row: Any = Annotated[Number, WithJsonSchema(bounded_number(spec.mean, spec.std))]
    for size in reversed(shape):
        row = list_of(row, size, size)
    return row


def step_examples(spec: DataSpec, steps: int) -> list[list[float]]:
    """Return a sequence of ``steps`` steps at the mean of the training data."""
    width = spec.input_shape[1]
    mean = spec.mean if len(spec.mean) == width else spec.mean * width
    return [[float(f"{value:.4g}") for value in mean]] * steps
