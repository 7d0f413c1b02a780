"""Labeled data of the user's own as a trained model reads it: all rows of a file, beside their truth."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo import registry
from zoo.config.schema import check_choice, check_flag
from zoo.data.dataset import Split, picked
from zoo.data.inputs import unknown_values
from zoo.data.spec import DataSpec
from zoo.exceptions import ZooError

NUMBER = re.compile(r"[+-]?(0|[1-9]\d*)(\.\d+)?")
ABSENT = -1  # the number of a class that the model does not have


@dataclass(frozen=True)
class Labeled:
    """Rows as a model reads them.

    ``split`` has x, y (by the model's classes) and lengths of the rows whose class the model has, None where there is
    no such row; ``strangers`` counts the others by their class. ``unknown`` counts values that the model does not know,
    by column, of ``values`` in all. ``notes`` say what was left out. Of a long text ``stride`` is that of a Dataset.
    """

    split: Split | None
    strangers: Mapping[str, int] = field(default_factory=dict)
    unknown: Mapping[str, int] = field(default_factory=dict)
    values: int = 0
    notes: Sequence[str] = ()
    stride: int | None = None

    @property
    def rows(self) -> int:
        """Rows that are measured, of classes that the model has or not; of a text its windows."""
        known = 0 if self.split is None else -(-len(self.split["x"]) // (self.stride or 1))
        return known + sum(self.strangers.values())


def labeled(spec: DataSpec, data: Mapping[str, Any], part: str | None = None) -> Labeled:
    """Return all rows of ``data`` (its options, with ``name`` and ``path``) as a model of ``spec`` reads them.

    ``part`` (train, val or test) takes the rows that folders or arrays so name.

    Raises:
        ZooError: the data cannot be read, is of another modality, or lacks what the model reads or its target.
    """
    name = data["name"]
    entry = registry.data_entry(name)
    modality = registry.get_modality(entry.modality)
    reads_stretch = "next_symbol" in {registry.task_entry(task).target for task in entry.tasks}
    if entry.modality != spec.modality or reads_stretch != (spec.target_type == "next_symbol"):
        raise ZooError(f"data={name}: is {entry.modality} data; the model does {spec.task} of {spec.modality} data")
    if part is not None and not modality.has_parts:
        raise ZooError(f"rows={part}: {data['path']} is not cut into parts; leave rows out, and all of it is measured")
    rows: Labeled = modality.labeled(replace(spec, name=str(data["path"])), data, part)  # errors name the file
    return rows


# --- classes by name ---


def same_name(text: str) -> str:
    """Return a class's name in the form that all ways of writing it share: 3.0 and 3 are one, quotes do not count."""
    text = text.strip().strip("'\"")
    if NUMBER.fullmatch(text):
        number = Decimal(text)
        return f"{number.normalize() + 0:f}" if number else "0"
    return text


def class_numbers(names: Iterable[str], classes: Sequence[str]) -> np.ndarray:
    """Return the places of names in ``classes`` (N,), ABSENT where there is none; the exact name comes first."""
    alike = {same_name(name): number for number, name in reversed(list(enumerate(classes)))}
    known = {name: number for number, name in enumerate(classes)}
    names = list(names)
    places = {name: known.get(name, alike.get(same_name(name), ABSENT)) for name in set(names)}
    return np.array([places[name] for name in names], dtype=np.int64)


def with_classes(spec: DataSpec, split: dict[str, Any], names: Sequence[str], notes: Sequence[str]) -> Labeled:
    """Return rows with y by the names of their classes.

    Where anomalies are looked for, y says whether a row is one; where nothing is predicted, y may be ABSENT.
    """
    unknown, values = unknown_values(spec, split)
    if spec.normal_classes and spec.target_type == "input":
        y = torch.from_numpy((class_numbers(names, spec.normal_classes) == ABSENT).astype(np.int64))
        return Labeled({**split, "y": y}, unknown=unknown, values=values, notes=notes)
    numbers = class_numbers(names, spec.classes)
    if spec.task in registry.unsupervised_tasks():
        return Labeled({**split, "y": torch.from_numpy(numbers)}, unknown=unknown, values=values, notes=notes)
    strangers = Counter(name for name, number in zip(names, numbers, strict=True) if number == ABSENT)
    known = torch.from_numpy(np.flatnonzero(numbers != ABSENT))
    rows = picked(split, known) | {"y": torch.from_numpy(numbers)[known]}
    return Labeled(rows if len(known) else None, strangers, unknown, values, notes)


def chosen_options(data: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return those options that a user gave; the others are the model's."""
    return {name: data[name] for name in names if data.get(name) is not None}


def left_out_notes(count: int, why: str, what: str = "rows") -> list[str]:
    """Return a note where ``count`` rows were left out."""
    return [f"left out {count:,} {what} {why}"] if count else []


def has_class_labels(spec: DataSpec) -> bool:
    """Tell whether rows have classes that exclude each other, and are what they say (no mark of anomalies)."""
    return len(spec.classes) > 1 and not spec.normal_classes and not spec.multilabel


def conditional_classes(spec: DataSpec, *, conditional: bool) -> int:
    """Return how many classes a model is conditioned on: all where it is ``conditional``, else none.

    Raises:
        ZooError: a conditional model of rows without classes.
    """
    check_flag("model.conditional", conditional)
    if conditional and not has_class_labels(spec):
        raise ZooError(f"model.conditional=true: needs rows with classes, which {spec.name} has not")
    return len(spec.classes) if conditional else 0


def labels_of(
    spec: DataSpec, count: int, label: str | None, *, conditional: bool, device: torch.device | str
) -> Tensor | None:
    """Return classes (count,) for samples: of ``label``, or all in turn; None of a model that is not ``conditional``.

    Raises:
        ZooError: no such class, or a model that is not conditional.
    """
    if not conditional:
        if label is not None:
            raise ZooError(f"label={label}: is for a model that was trained with model.conditional=true")
        return None
    every = torch.arange(count, device=device) % len(spec.classes)
    if label is None:
        return every
    check_choice("label", label, spec.classes)
    return torch.full_like(every, spec.classes.index(label))
