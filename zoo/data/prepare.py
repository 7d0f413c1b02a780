"""The data set of a run: loaded, with the rows and the labels that the run's options and its task ask for."""

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

# Options of data that any data has
SHARED = ("name", "modality", "action_space", "tasks", "batch_size", "augment", *DataOptions.__dataclass_fields__)


def load_dataset(data: dict[str, Any], task: str, *, requested_task: str | None = None) -> Dataset:
    """Return the data set of a configuration's ``data``, for a task; ``requested_task`` is the one that the user set.

    Raises:
        ZooError: the data cannot be read, or an option does not fit it.
    """
    loader_options = {k: v for k, v in data.items() if k not in SHARED}
    if "task" in registry.signature(registry.data_entry(data["name"]).load):  # inferred from the data, or requested
        loader_options["task"] = task if task in registry.unsupervised_tasks() else requested_task
    return prepare_dataset(load(data["name"], **loader_options), data, task)


def prepare_dataset(dataset: Dataset, data: dict[str, Any], task: str) -> Dataset:
    """Return a data set with the training rows that the options ``data`` select, and for the task.

    Raises:
        ZooError: an option that such data does not have.
    """
    dataset = registry.get_modality(dataset.spec.modality).select_rows(dataset, data)
    if task in registry.unsupervised_tasks():
        return unlabeled(dataset, task, normal=data.get("normal_classes"))
    if dataset.spec.task != task and dataset.spec.target_type == registry.task_entry(task).target:
        return replace(dataset, spec=replace(dataset.spec, task=task))
    return dataset


def unlabeled(dataset: Dataset, task: str, *, normal: Sequence[Any] | None = None) -> Dataset:
    """Return a data set for a ``task`` that needs no labels; they stay beside it as y, where rows have such.

    With ``normal``, names of classes, the training rows and the statistics of numbers are theirs alone (which texts a
    table's columns know, and what fills its gaps, is of all training rows); y of the others says 1, anomaly, or 0.

    Raises:
        ZooError: a class that does not exist, no row of another class to find.
    """
    if dataset.spec.task == task and normal is None:
        return dataset
    spec = replace(dataset.spec, task=task)
    if normal is not None:
        return _one_class(replace(dataset, spec=spec), normal)
    prepared: Dataset = registry.get_modality(spec.modality).without_labels(replace(dataset, spec=spec))
    return prepared


def with_anomaly_classes(spec: DataSpec, test_y: Tensor) -> DataSpec:
    """Return the spec with normal and anomaly as classes; where test has no anomaly this is said."""
    if not bool((test_y == 1).any()):
        print(f"note: {spec.name} has no anomaly in test, so that AUROC is not defined", file=sys.stderr)
    return replace(spec, classes=("normal", "anomaly"), positive_class=1, class_counts=(spec.rows, 0))


def _one_class(dataset: Dataset, normal: Sequence[Any]) -> Dataset:
    spec = dataset.spec
    if not spec.classes or spec.multilabel:
        raise ZooError(f"data.normal_classes: {spec.name} has no classes that exclude each other")
    if isinstance(normal, str) or not isinstance(normal, Sequence) or not normal:
        raise ZooError(f"data.normal_classes={normal}: must be a list of classes, such as [{spec.classes[0]}]")
    known = {name.strip("'\""): name for name in spec.classes}  # some files have their labels in quotes
    names = [known.get(str(name).strip("'\""), "") for name in normal]
    if "" in names:
        raise unknown("data.normal_classes", str(normal[names.index("")]), spec.classes)
    others = [name for name in spec.classes if name not in names]
    if not others:
        raise ZooError(f"data.normal_classes: are all classes of {spec.name}, so that nothing is an anomaly")
    numbers = torch.tensor([spec.classes.index(name) for name in names])
    train, val, test = (_marked(split, numbers) for split in (dataset.train, dataset.val, dataset.test))
    train = picked(train, train["y"] == 0)
    if not len(train["x"]):
        raise ZooError(f"data.normal_classes={names}: {spec.name} has no row of them to train on")
    spec = with_anomaly_classes(replace(spec, normal_classes=tuple(names), rows=len(train["x"])), test["y"])
    return Dataset(registry.get_modality(spec.modality).with_statistics(spec, train["x"]), train, val, test)


def _marked(split: Split, numbers: Tensor) -> dict[str, Any]:
    y = split["y"]
    assert isinstance(y, Tensor)
    return {**split, "y": (~torch.isin(y, numbers)).long()}
