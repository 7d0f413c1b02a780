"""Tables as a modality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from torch import Tensor

from zoo.data.dataset import Dataset, Values
from zoo.data.modality import Modality
from zoo.data.table.example import example
from zoo.data.table.labeled import labeled_table
from zoo.data.table.read import column_names, encode, from_json, read, unknown_categories
from zoo.data.table.scaler import TableScaler
from zoo.data.table.spec import TableSpec
from zoo.data.table.translate import translate
from zoo.registry import register_modality


@register_modality
class TableModality(Modality[TableSpec]):
    """Tables."""

    spec = TableSpec
    scaler = TableScaler
    tasks = ("classification", "regression", "reconstruction")
    raw_input = "rows as a data frame, dictionaries, an array of numbers or a path"
    labeled_options = {"csv": ("target", "delimiter", "quoting", "header")}  # noqa: RUF012
    widget = "table_file"

    encode = staticmethod(encode)
    read = staticmethod(read)
    from_json = staticmethod(from_json)
    unknown_categories = staticmethod(unknown_categories)
    labeled = staticmethod(labeled_table)
    translate = staticmethod(translate)

    def unknown_values(self, spec: TableSpec, batch: Mapping[str, Any]) -> tuple[dict[str, int], int]:
        """Return how many categories training did not have, by column, and of how many cells."""
        x = batch["x"]
        columns = [n for n, categories in enumerate(spec.categories) if categories]
        counts = {spec.columns[n]: int((x[:, n] == 0).sum()) for n in columns}
        return {name: count for name, count in counts.items() if count}, len(x) * len(columns)

    def with_statistics(self, spec: TableSpec, x: Values) -> TableSpec:
        """Return the spec with the mean and deviation of each numeric column; categories keep theirs."""
        assert isinstance(x, Tensor)
        mean, std = list(spec.mean), list(spec.std)
        for n in range(spec.inputs):
            if not any(spec.categories[n : n + 1]):
                mean[n], std[n] = float(x[:, n].double().mean()), float(x[:, n].double().std(correction=0)) or 1.0
        return replace(spec, mean=tuple(mean), std=tuple(std))

    def request_row(self, spec: TableSpec) -> tuple[str, Any]:
        """Return the type of a row by the names of its columns."""
        from pydantic import WithJsonSchema

        from zoo.data.request_types import Cell, bounded_number

        properties: dict[str, Any] = {}
        mean, std = (each if len(each) > 1 else each * spec.inputs for each in (spec.mean, spec.std))
        for n, name in enumerate(column_names(spec)):
            categories = spec.categories[n] if spec.categories else ()
            if categories:
                text = {"type": "string", "examples": [category for category in categories if category][:5]}
                about = "text; another than in training is none"
                properties[name] = {"anyOf": [text, {"type": "null"}], "description": about}
                continue
            value = bounded_number(mean[n : n + 1], std[n : n + 1])
            properties[name] = {"anyOf": [value, {"type": "null"}]} if spec.columns else value
        schema = {"type": "object", "properties": properties, "required": list(properties)}
        other = {"anyOf": [{"type": kind} for kind in ("string", "number", "boolean", "null")]}
        about = "Rows by the names of their columns; null where a value is missing. Further columns are not read."
        return about, Annotated[dict[str, Cell], WithJsonSchema({**schema, "additionalProperties": other})]

    def request_example(self, spec: TableSpec) -> dict[str, Any]:
        """Return a row with the first category or the mean of each column."""
        names = column_names(spec)
        categories = spec.categories or ((),) * len(names)
        mean = spec.mean if len(spec.mean) > 1 else spec.mean * spec.inputs
        return {
            name: next((text for text in known if text), None) if known else float(f"{mean[n]:.4g}")
            for n, (name, known) in enumerate(zip(names, categories, strict=True))
        }

    def example(self, task: str, action_space: str = "") -> Dataset:
        """Return a table of a plane."""
        return example(task)
