"""Labeled data for the evaluation of a trained model: all rows of a file with their targets."""

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
ABSENT = -1  # index of a class that the model does not have


@dataclass(frozen=True)
class Labeled:
    """Labeled rows, encoded for a model.

    ``split`` has x, y (class indices of the model) and lengths of the rows with known classes. It is None if there are
    no such rows. ``strangers`` counts the other rows by class. ``unknown`` counts values that the model does not know,
    by column. ``values`` is the total. ``notes`` describe rows that were left out. ``stride`` is that of a Dataset of
    a long text.
    """

    split: Split | None
    strangers: Mapping[str, int] = field(default_factory=dict)
    unknown: Mapping[str, int] = field(default_factory=dict)
    values: int = 0
    notes: Sequence[str] = ()
    stride: int | None = None

    @property
    def rows(self) -> int:
        """Number of evaluated rows, including rows of unknown classes. For a text, the number of windows."""
        known = 0 if self.split is None else -(-len(self.split["x"]) // (self.stride or 1))
        return known + sum(self.strangers.values())


def labeled(spec: DataSpec, data: Mapping[str, Any], part: str | None = None) -> Labeled:
    """Return all rows of ``data`` (its options with ``name`` and ``path``), encoded for a model with ``spec``.

    ``part`` (train, val or test) selects the folder or arrays with that name.

    Raises:
        ZooError: if the data cannot be read, has another modality, or lacks an input or the target of the model.
    """
    name = data["name"]
    entry = registry.data_entry(name)
    modality = registry.get_modality(entry.modality)
    reads_stretch = "next_symbol" in {registry.task_entry(task).target for task in entry.tasks}
    if entry.modality != spec.modality or reads_stretch != (spec.target_type == "next_symbol"):
        raise ZooError(f"data={name}: is {entry.modality} data; the model needs {spec.modality} data for {spec.task}")
    if part is not None and not modality.has_parts:
        raise ZooError(f"rows={part}: {data['path']} has no parts; omit rows= to evaluate all of it")
    rows: Labeled = modality.labeled(replace(spec, name=str(data["path"])), data, part)  # errors name the file
    return rows


# --- classes by name ---


def same_name(text: str) -> str:
    """Normalize a class name: 3.0 equals 3, and quotes are ignored."""
    text = text.strip().strip("'\"")
    if NUMBER.fullmatch(text):
        number = Decimal(text)
        return f"{number.normalize() + 0:f}" if number else "0"
    return text


def class_numbers(names: Iterable[str], classes: Sequence[str]) -> np.ndarray:
    """Return the indices of names in ``classes`` (N,), ABSENT for unknown names. Exact matches come first."""
    alike = {same_name(name): number for number, name in reversed(list(enumerate(classes)))}
    known = {name: number for number, name in enumerate(classes)}
    names = list(names)
    places = {name: known.get(name, alike.get(same_name(name), ABSENT)) for name in set(names)}
    return np.array([places[name] for name in names], dtype=np.int64)


def with_classes(spec: DataSpec, split: dict[str, Any], names: Sequence[str], notes: Sequence[str]) -> Labeled:
    """Return rows with y from the names of their classes.

    In anomaly detection, y marks anomalies. In other unsupervised tasks, y may be ABSENT.
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
    """Return the options that the user set. The model supplies all others."""
    return {name: data[name] for name in names if data.get(name) is not None}


def left_out_notes(count: int, why: str, what: str = "rows") -> list[str]:
    """Return a note if ``count`` rows were left out."""
    return [f"left out {count:,} {what} {why}"] if count else []


def has_class_labels(spec: DataSpec) -> bool:
    """Return whether rows have mutually exclusive class labels, other than an anomaly mark."""
    return len(spec.classes) > 1 and not spec.normal_classes and not spec.multilabel


def conditional_classes(spec: DataSpec, *, conditional: bool) -> int:
    """Return the number of classes that a model is conditioned on: all if ``conditional``, otherwise 0.

    Raises:
        ZooError: if the model is conditional and the rows have no classes.
    """
    check_flag("model.conditional", conditional)
    if conditional and not has_class_labels(spec):
        raise ZooError(f"model.conditional=true: needs class labels, which {spec.name} does not have")
    return len(spec.classes) if conditional else 0


def labels_of(
    spec: DataSpec, count: int, label: str | None, *, conditional: bool, device: torch.device | str
) -> Tensor | None:
    """Return class indices (count,) for samples: ``label``, or all classes in turn. None for an unconditional model.

    Raises:
        ZooError: if the class does not exist, or the model is unconditional.
    """
    if not conditional:
        if label is not None:
            raise ZooError(f"label={label}: needs a model trained with model.conditional=true")
        return None
    every = torch.arange(count, device=device) % len(spec.classes)
    if label is None:
        return every
    check_choice("label", label, spec.classes)
    return torch.full_like(every, spec.classes.index(label))
