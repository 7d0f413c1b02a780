"""Load the dataset of a run and apply its options and its task."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from zoo import registry
from zoo.config.schema import DataOptions
from zoo.data import load
from zoo.data.dataset import Dataset, Split, picked
from zoo.data.spec import DataSpec
from zoo.exceptions import ZooError, unknown

# Options that all kinds of data share
SHARED = ("name", "modality", "action_space", "tasks", "batch_size", "augment", *DataOptions.__dataclass_fields__)


def load_dataset(data: dict[str, Any], task: str, *, requested_task: str | None = None) -> Dataset:
    """Load the dataset of the ``data`` configuration for a task. ``requested_task`` is the task set by the user.

    Raises:
        ZooError: if the data cannot be read, or an option does not fit it.
    """
    loader_options = {k: v for k, v in data.items() if k not in SHARED}
    if "task" in registry.signature(registry.data_entry(data["name"]).load):  # inferred from the data, or requested
        loader_options["task"] = task if task in registry.unsupervised_tasks() else requested_task
    return prepare_dataset(load(data["name"], **loader_options), data, task)


def prepare_dataset(dataset: Dataset, data: dict[str, Any], task: str) -> Dataset:
    """Select training rows with the ``data`` options, and prepare the dataset for the task.

    Raises:
        ZooError: if the modality does not support an option.
    """
    dataset = registry.get_modality(dataset.spec.modality).select_rows(dataset, data)
    if task in registry.unsupervised_tasks():
        return unlabeled(dataset, task, normal=data.get("normal_classes"))
    if dataset.spec.task != task and dataset.spec.target_type == registry.task_entry(task).target:
        return replace(dataset, spec=replace(dataset.spec, task=task))
    return dataset


def unlabeled(dataset: Dataset, task: str, *, normal: Sequence[Any] | None = None) -> Dataset:
    """Return a dataset for a ``task`` that needs no labels. Existing labels remain as y.

    With ``normal``, a list of class names, training has only rows of these classes. The statistics of numeric columns
    come from them as well. Categories and imputation values still come from all training rows. y becomes 1 for
    anomalies (rows of other classes) and 0 for normal rows.

    Raises:
        ZooError: if a class does not exist, or no other class remains as the anomaly.
    """
    if dataset.spec.task == task and normal is None:
        return dataset
    spec = replace(dataset.spec, task=task)
    if normal is not None:
        return _one_class(replace(dataset, spec=spec), normal)
    prepared: Dataset = registry.get_modality(spec.modality).without_labels(replace(dataset, spec=spec))
    return prepared


def with_anomaly_classes(spec: DataSpec, test_y: Tensor) -> DataSpec:
    """Return the spec with the classes normal and anomaly. Print a note if the test set has no anomaly."""
    if not bool((test_y == 1).any()):
        print(f"note: the test set of {spec.name} has no anomaly, so AUROC is undefined", file=sys.stderr)
    return replace(spec, classes=("normal", "anomaly"), positive_class=1, class_counts=(spec.rows, 0))


def _one_class(dataset: Dataset, normal: Sequence[Any]) -> Dataset:
    spec = dataset.spec
    if not spec.classes or spec.multilabel:
        raise ZooError(f"data.normal_classes: {spec.name} has no mutually exclusive classes")
    if isinstance(normal, str) or not isinstance(normal, Sequence) or not normal:
        raise ZooError(f"data.normal_classes={normal}: must be a list of classes, such as [{spec.classes[0]}]")
    known = {name.strip("'\""): name for name in spec.classes}  # some files quote their labels
    names = [known.get(str(name).strip("'\""), "") for name in normal]
    if "" in names:
        raise unknown("data.normal_classes", str(normal[names.index("")]), spec.classes)
    others = [name for name in spec.classes if name not in names]
    if not others:
        raise ZooError(
            f"data.normal_classes: includes all classes of {spec.name}; leave out at least one class as the anomaly"
        )
    numbers = torch.tensor([spec.classes.index(name) for name in names])
    train, val, test = (_marked(split, numbers) for split in (dataset.train, dataset.val, dataset.test))
    train = picked(train, train["y"] == 0)
    if not len(train["x"]):
        raise ZooError(f"data.normal_classes={names}: {spec.name} has no training rows of these classes")
    spec = with_anomaly_classes(replace(spec, normal_classes=tuple(names), rows=len(train["x"])), test["y"])
    return Dataset(registry.get_modality(spec.modality).with_statistics(spec, train["x"]), train, val, test)


def _marked(split: Split, numbers: Tensor) -> dict[str, Any]:
    y = split["y"]
    assert isinstance(y, Tensor)
    return {**split, "y": (~torch.isin(y, numbers)).long()}
