"""What a request to a model's server may be: a pydantic class by the model's spec, which makes its OpenAPI schema."""

from __future__ import annotations

import base64
import io
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, Strict, WithJsonSchema, create_model
from pydantic.types import AllowInfNan

from zoo.data.spec import DataSpec

MOST = 1000  # rows of a request
LONGEST = 100_000  # characters of a text, of which a model reads what it was trained for
REACH = 1e9  # deviations from the training data's mean: numbers are described to this far, and may be answered beyond

Number = Annotated[float, Strict(), AllowInfNan(False)]
Cell = Annotated[str, Field(max_length=LONGEST)] | Number | bool | None


class Question(BaseModel):
    """A request: ``x`` has the rows."""

    model_config = ConfigDict(extra="forbid")
    x: Any

    def __reduce__(self) -> Any:
        """Travel to the process that answers as plain values, which lacks a class that is made here."""
        return Rows, (self.x,)


class Rows(list[Any]):
    """The rows of a request."""


def question(spec: DataSpec) -> type[Question]:
    """Return the class of requests to a model of such data."""
    about, row = {"image": _image, "text": _text, "table": _table, "sequence": _sequence, "series": _series}[
        spec.modality
    ](spec)
    example = row_example(spec)
    rows = Annotated[list[row], Field(min_length=1, max_length=MOST, description=about, examples=[[example]])]  # type: ignore[valid-type]
    config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"x": [example]}]})
    model: type[Question] = create_model(f"{spec.modality.capitalize()}Rows", __base__=Question, x=(rows, ...))
    model.model_config = config
    model.model_rebuild(force=True)
    return model


def _image(spec: DataSpec) -> tuple[str, Any]:
    channels, height, width = spec.input_shape
    colour = "grey" if channels == 1 else "colour"
    about = f"Image files, such as PNG or JPEG, in base64. They are brought to {height} by {width} pixels, {colour}."
    schema = {"type": "string", "minLength": 1, "contentEncoding": "base64", "contentMediaType": "image/png"}
    schema |= {"pattern": "^[A-Za-z0-9+/]+={0,2}$"}
    return about, Annotated[str, WithJsonSchema(schema)]


def _text(spec: DataSpec) -> tuple[str, Any]:
    about = f"Texts, of which the model reads the first {spec.input_shape[0]} {spec.tokenizer}."
    return about, Annotated[str, Field(min_length=1, max_length=LONGEST, pattern=r"\S")]


def _table(spec: DataSpec) -> tuple[str, Any]:
    properties = {}
    for number, name in enumerate(column_names(spec)):
        levels = spec.categories[number] if spec.categories else ()
        known = [level for level in levels if level]
        if levels:
            text: dict[str, Any] = {"type": "string", "examples": known[:5]}
            properties[name] = {
                "anyOf": [text, {"type": "null"}],
                "description": "text; another than in training is none",
            }
            continue
        mean, std = (each if len(each) > 1 else each * spec.inputs for each in (spec.mean, spec.std))
        value = _bounded(mean[number : number + 1], std[number : number + 1])
        properties[name] = {"anyOf": [value, {"type": "null"}]} if spec.columns else value
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    other = {"anyOf": [{"type": kind} for kind in ("string", "number", "boolean", "null")]}
    about = "Rows by the names of their columns; null where a value is missing. Further columns are not read."
    return about, Annotated[dict[str, Cell], WithJsonSchema({**schema, "additionalProperties": other})]


def _sequence(spec: DataSpec) -> tuple[str, Any]:
    longest, width = spec.input_shape
    about = f"Sequences of 1 to {longest} steps of {width} numbers each."
    return about, Annotated[list[_step(spec)], Field(min_length=1, max_length=longest)]


def _series(spec: DataSpec) -> tuple[str, Any]:
    past, _ = spec.input_shape
    about = f"The last {past} steps of a series, each with {', '.join(spec.columns)} in this order."
    return about, Annotated[list[_step(spec)], Field(min_length=past, max_length=past)]


def _step(spec: DataSpec) -> Any:
    width = spec.input_shape[1]
    number = Annotated[Number, WithJsonSchema(_bounded(spec.mean, spec.std))]
    return Annotated[list[number], Field(min_length=width, max_length=width)]  # type: ignore[valid-type]


def _bounded(mean: Any, std: Any) -> dict[str, Any]:
    """Return the schema of a number, as far from the training data as answers are sure to be finite."""
    reach = max(abs(m) + REACH * s for m, s in zip(mean, std, strict=True))
    return {"type": "number", "minimum": -reach, "maximum": reach}


def column_names(spec: DataSpec) -> list[str]:
    """Return the names of a table's columns; of an array they are column_1, column_2, …"""
    return list(spec.columns) or [f"column_{number + 1}" for number in range(spec.inputs)]


def row_example(spec: DataSpec) -> Any:
    """Return a row that a model of such data answers: near the mean of its training data."""
    if spec.modality == "image":
        return _png(spec)
    if spec.modality == "text":
        return "a text to classify"
    if spec.modality == "table":
        levels = spec.categories or ((),) * len(column_names(spec))
        mean = spec.mean if len(spec.mean) > 1 else spec.mean * spec.inputs
        return {
            name: next((level for level in known if level), None) if known else _short(mean[number])
            for number, (name, known) in enumerate(zip(column_names(spec), levels, strict=True))
        }
    width = spec.input_shape[1]
    mean = spec.mean if len(spec.mean) == width else spec.mean * width
    steps = spec.input_shape[0] if spec.modality == "series" else min(spec.input_shape[0], 2)
    return [[_short(value) for value in mean]] * steps


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def _png(spec: DataSpec) -> str:
    """Return a grey image of the model's size as a PNG in base64."""
    from PIL import Image

    channels, height, width = spec.input_shape
    grey = Image.new("L" if channels == 1 else "RGB", (width, height), 128 if channels == 1 else (128, 128, 128))
    file = io.BytesIO()
    grey.save(file, "png")
    return base64.b64encode(file.getvalue()).decode()
