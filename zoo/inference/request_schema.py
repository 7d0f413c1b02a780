"""What a request to a model's server may be: a pydantic class by the model's spec, which makes its OpenAPI schema."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from zoo import registry
from zoo.data.spec import DataSpec

MOST = 1000  # rows of a request


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
    modality = registry.get_modality(spec.modality)
    about, row = modality.request_row(spec)
    example = modality.request_example(spec)
    rows = Annotated[list[row], Field(min_length=1, max_length=MOST, description=about, examples=[[example]])]  # type: ignore[valid-type]
    config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"x": [example]}]})
    model: type[Question] = create_model(f"{spec.modality.capitalize()}Rows", __base__=Question, x=(rows, ...))
    model.model_config = config
    model.model_rebuild(force=True)
    return model
