"""The table modality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from zoo.data import inputs
from zoo.data.dataset import Dataset, Split, Values, picked
from zoo.data.example import NOISE, ROWS, TRAIN, has_classes, row_dataset, statistics
from zoo.data.labeled import Labeled, chosen_options, left_out_notes, with_classes
from zoo.data.modality import Modality, Scaler
from zoo.data.table.cells import MARKS, Table, column_named, shortened
from zoo.data.table.frames import Target, as_target, quantile_edges
from zoo.data.table.read import as_texts, column_names, encode, from_json, read, read_file, unknown_categories
from zoo.data.table.spec import TableSpec
from zoo.exceptions import ZooError
from zoo.registry import register_modality

CODES = (
    "columns",
    "categories",
    "impute_values",
    "missing_indicators",
)  # fields that determine the meaning of each value in a row
TEXTS = ("low", "middle", "high")  # categories of the last column of the example, which carries no information


class TableScaler(Scaler):
    """Scales rows (B, encoded_size): standardized numeric columns, then one-hot categories.

    An unknown category is all zeros. Offsets that training subtracted in float64 are added back.
    """

    numbers: Tensor

    def __init__(self, spec: TableSpec) -> None:
        super().__init__(spec)
        self.categories = {n: len(known) for n, known in enumerate(spec.categories) if known}
        numbers = [n for n in range(spec.inputs) if n not in self.categories]
        self.register_buffer("numbers", torch.tensor(numbers, dtype=torch.int64), persistent=False)
        offsets = [*spec.reading.offsets, *[0.0] * spec.inputs]
        self.offsets = [offsets[n] for n in numbers]

    def transform(self, x: Tensor) -> Tensor:
        """Return rows (B, columns) as reconstruction targets (B, encoded_size)."""
        numbers = super().transform(x).index_select(1, self.numbers)
        one_hot = [
            (x[:, n : n + 1] == torch.arange(1, count + 1, device=x.device)).to(numbers.dtype)
            for n, count in self.categories.items()
        ]
        return torch.cat([numbers, *one_hot], 1)

    def inverse_transform(self, output: Tensor) -> Tensor:
        """Return numbers in original units, then categories from 0 to 1. With offsets, the result is float64."""
        count = len(self.numbers)
        value = output[..., :count] * self.std[self.numbers] + self.mean[self.numbers]
        if any(self.offsets):
            value = value.to("cpu" if value.device.type == "mps" else value.device, torch.float64)
            value = value + torch.tensor(self.offsets, dtype=torch.float64, device=value.device)
        return torch.cat([value, output[..., count:].to(value)], -1)


def _table(split: Split, source: TableSpec, spec: TableSpec) -> Split:
    values: dict[str, Any] = dict(split)
    values["x"] = inputs.encode(spec, _frame(source, values["x"]))["x"]
    shift = source.target_offset - spec.target_offset
    if shift:
        values["y"] = (values["y"].double() + shift).float()
    return values


def _frame(spec: TableSpec, x: Tensor) -> Any:
    """Decode encoded rows to the data frame that they came from."""
    columns = {}
    offsets = spec.reading.offsets or (0.0,) * len(spec.columns)
    for number, name in enumerate(spec.columns):
        values = x[:, number].double().numpy() + offsets[number]
        known = spec.categories[number] if spec.categories else ()
        columns[name] = values
        if known:
            columns[name] = np.array([None, *(text or None for text in known)], dtype=object)[values.astype(int)]
        elif name in spec.missing_indicators:
            flag = x[:, len(spec.columns) + spec.missing_indicators.index(name)].numpy() > 0
            columns[name] = np.where(flag, np.nan, values)
    return pd.DataFrame(columns)


def _targets(spec: TableSpec, table: Table, chosen: Any) -> list[str]:
    """Return the target columns: ``chosen``, those of the model, or the only column that the model does not read.

    Raises:
        ZooError: if there are none and the task needs them.
    """
    names = [str(name) for name in table.cells.columns]
    if chosen is not None:
        several = chosen if isinstance(chosen, Sequence) and not isinstance(chosen, str) else [chosen]
        return [column_named(table, one, "data.target") for one in several]
    target = list(spec.reading.target) or (list(spec.classes) if spec.multilabel else [])
    if target and set(target) <= set(names):
        return target
    if spec.target_type == "input" and not spec.normal_classes:
        return []
    others = [name for name in names if name not in spec.columns]
    if not target and len(others) == 1:
        return others
    lacking = (
        f"lacks the column {', '.join(map(repr, target))}" if target else "does not say which column is the target"
    )
    raise ZooError(f"{table.path}: {lacking}; set data.target=; columns: {shortened(names, 20)}")


def _gaps(spec: TableSpec, frame: pd.DataFrame, target: Sequence[str]) -> np.ndarray:
    """Return a mask (N,) of the rows without a target value."""
    gaps = np.zeros(len(frame), dtype=bool)
    for column in target:
        texts = as_texts(frame[column], missing=spec.reading.missing)
        gaps |= (texts == "").to_numpy()
        if spec.target_type == "number":
            gaps |= texts.str.lower().isin(MARKS).to_numpy()
    return gaps


@register_modality
class TableModality(Modality[TableSpec]):
    """Tables with numeric and text columns."""

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

    def unknown_values(self, spec: TableSpec, batch: Mapping[str, Any]) -> tuple[dict[str, int], int]:
        """Count unknown categories by column, and all categorical cells."""
        x = batch["x"]
        columns = [n for n, categories in enumerate(spec.categories) if categories]
        counts = {spec.columns[n]: int((x[:, n] == 0).sum()) for n in columns}
        return {name: count for name, count in counts.items() if count}, len(x) * len(columns)

    def with_statistics(self, spec: TableSpec, x: Values) -> TableSpec:
        """Return the spec with the mean and standard deviation of each numeric column. Categories do not change."""
        assert isinstance(x, Tensor)
        mean, std = list(spec.mean), list(spec.std)
        for n in range(spec.inputs):
            if not any(spec.categories[n : n + 1]):
                mean[n], std[n] = float(x[:, n].double().mean()), float(x[:, n].double().std(correction=0)) or 1.0
        return replace(spec, mean=tuple(mean), std=tuple(std))

    def request_row(self, spec: TableSpec) -> tuple[str, Any]:
        """Return the type of a row, an object with the column names as keys."""
        from pydantic import WithJsonSchema

        from zoo.data.request_types import Cell, bounded_number

        properties: dict[str, Any] = {}
        mean, std = (each if len(each) > 1 else each * spec.inputs for each in (spec.mean, spec.std))
        for n, name in enumerate(column_names(spec)):
            categories = spec.categories[n] if spec.categories else ()
            if categories:
                text = {"type": "string", "examples": [category for category in categories if category][:5]}
                about = "text; unknown categories count as missing"
                properties[name] = {"anyOf": [text, {"type": "null"}], "description": about}
                continue
            value = bounded_number(mean[n : n + 1], std[n : n + 1])
            properties[name] = {"anyOf": [value, {"type": "null"}]} if spec.columns else value
        schema = {"type": "object", "properties": properties, "required": list(properties)}
        other = {"anyOf": [{"type": kind} for kind in ("string", "number", "boolean", "null")]}
        about = "Rows as objects with the column names as keys. null marks a missing value. Other columns are ignored."
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

    def labeled(self, spec: TableSpec, data: Mapping[str, Any], part: str | None) -> Labeled:
        """Return the labeled rows of a CSV."""
        reading = spec.reading
        spec = replace(spec, reading=replace(reading, **chosen_options(data, "delimiter", "quoting", "header")))
        frame = read_file(spec, str(data["path"]))
        split: dict[str, Any] = inputs.encode(spec, frame)
        table = replace(frame.attrs["origin"], cells=frame)
        target = _targets(spec, table, data.get("target"))
        if not target:
            unknown, values = self.unknown_values(spec, split)
            return Labeled(split, unknown=unknown, values=values)
        missing = _gaps(spec, frame, target)
        notes = left_out_notes(int(missing.sum()), f"without a value in {', '.join(target)}")
        present = np.flatnonzero(~missing)
        table = replace(table, cells=frame.iloc[present], lines=table.lines[present])
        split = picked(split, torch.from_numpy(present))
        if (spec.target_type == "class" and not spec.multilabel) or spec.normal_classes:
            return with_classes(spec, split, list(as_texts(table.cells[target[0]])), notes)
        form, missing_texts = spec.reading.target_format, spec.reading.missing
        y = as_target(spec, Target(target, spec.task, spec.classes, spec.multilabel, form, missing_texts).values(table))
        unknown, values = self.unknown_values(spec, split)
        return Labeled({**split, "y": y} if len(y) else None, unknown=unknown, values=values, notes=notes)

    def translate(self, dataset: Dataset, spec: TableSpec) -> Dataset:
        """Re-encode a dataset for a model with ``spec``. Return it unchanged if both encodings are equal.

        Raises:
            ZooError: if columns that the model reads are missing.
        """
        source = dataset.spec
        assert isinstance(source, TableSpec)
        offsets = [(one.reading.offsets, one.target_offset) for one in (source, spec)]
        if offsets[0] == offsets[1] and all(getattr(source, name) == getattr(spec, name) for name in CODES):
            return dataset
        parts = [_table(getattr(dataset, part), source, spec) for part in ("train", "val", "test")]
        same = ("input_shape", "mean", "std", "bin_edges", "target_offset", "reading", *CODES)
        renumbered = {name: getattr(spec, name) for name in same}
        return replace(dataset, spec=replace(source, **renumbered), train=parts[0], val=parts[1], test=parts[2])

    def example(self, task: str, action_space: str = "") -> Dataset:
        """Return a generated table: five numeric columns of very different scales, and one text column.

        The target is the side of a hyperplane, or the distance from it. Linear models can learn it. Two columns matter
        equally, so a model that uses only one of them fails.
        """
        rng = np.random.default_rng(0)
        z = rng.uniform(-1, 1, (ROWS, 5))
        height = z[:, 0] - z[:, 1]
        z[:, 0] += 0.1 * np.sign(height)  # a gap between the classes
        y = (height > 0).astype(int) if has_classes(task) else 1000 + 100 * (height + NOISE * z[:, 2])
        numbers = z * [1, 30, 1e-3, 5, 1] + [2000, 0, 0.5, -40, 0]
        x = np.column_stack([numbers, rng.integers(1, len(TEXTS) + 1, ROWS)])
        count = numbers.shape[1]
        return row_dataset(
            TableSpec,
            task,
            x,
            y,
            columns=tuple(f"column_{n + 1}" for n in range(count + 1)),
            categories=((),) * count + (TEXTS,),
            impute_values=(0.0,) * (count + 1),
            bin_edges=(*(quantile_edges(x[:TRAIN, n]) for n in range(count)), ()),
            **statistics(x, (0,)),
        )
