"""Any data as what nothing is labelled in: to give it back, to tell what is normal from what is not."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.data.dataset import Dataset, Rows, Split, Windows, picked, restated
from zoo.data.spec import DataSpec
from zoo.exceptions import ZooError, unknown


def unlabelled(dataset: Dataset, task: str, *, normal: Sequence[Any] | None = None) -> Dataset:
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
    if spec.modality != "series":
        return replace(dataset, spec=spec)
    return _windows(replace(dataset, spec=replace(spec, target_shape=(), targets=())))


def _windows(dataset: Dataset) -> Dataset:
    """Return windows of a series that lie in one part each; of validation and test forecasts read the past before too.

    Where it is known which rows are anomalies, y says whether a window holds one, and training has none of these.
    """
    spec, parts = dataset.spec, []
    for name in ("train", "val", "test"):
        whole = getattr(dataset, name)
        before = 0 if name == "train" else whole["x"].length
        part = {key: Windows(value.base, value.length, first=before) for key, value in whole.items() if key != "y"}
        if not len(part["x"]):
            raise ZooError(
                f"{spec.name}: data.context_length={before or spec.input_shape[0]} is longer than its rows of {name}"
            )
        parts.append(part)
    if "anomalous" not in parts[0]:
        return Dataset(spec, *parts, dataset.card)
    good = ~parts[0]["anomalous"].base.numpy()
    parts = [{"x": part["x"], "y": _held(part["anomalous"])} for part in parts]
    normal = torch.nonzero(parts[0]["y"] == 0).squeeze(1)
    if not len(normal):
        raise ZooError(f"{spec.name}: every window to train on holds an anomaly; shorten data.context_length")
    seen = parts[0]["x"].base.numpy()[good].astype(np.float64)
    parts[0] = {"x": Rows(parts[0]["x"], normal), "y": parts[0]["y"][normal]}
    mean, std = seen.mean(0), seen.std(0)
    spec = replace(spec, mean=tuple(map(float, mean)), std=tuple(float(one) or 1.0 for one in std))
    return Dataset(
        _two_kinds(replace(spec, normal_classes=("normal",), rows=len(normal)), parts[2]["y"]), *parts, dataset.card
    )


def _held(anomalous: Windows) -> Tensor:
    """Return for each window whether one of its rows is an anomaly, (N,) 0 or 1."""
    sums = torch.cat([torch.zeros(1, dtype=torch.int64), anomalous.base.long().cumsum(0)])
    ends = sums[anomalous.first + anomalous.length :]
    return (ends - sums[anomalous.first : anomalous.first + len(ends)] > 0).long()


def _two_kinds(spec: DataSpec, test_y: Tensor) -> DataSpec:
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
    names = []
    for name in normal:
        found = known.get(str(name).strip("'\""))
        if found is None:
            raise unknown("data.normal_classes", str(name), spec.classes)
        names.append(found)
    others = [name for name in spec.classes if name not in names]
    if not others:
        raise ZooError(f"data.normal_classes: are all classes of {spec.name}, so that nothing is an anomaly")
    numbers = torch.tensor([spec.classes.index(name) for name in names])
    seen, val, test = (_marked(split, numbers) for split in (dataset.train, dataset.val, dataset.test))
    train = picked(seen, seen["y"] == 0)
    if not len(train["x"]):
        raise ZooError(f"data.normal_classes={names}: {spec.name} has no row of them to train on")
    spec = _two_kinds(replace(spec, normal_classes=tuple(names), rows=len(train["x"])), test["y"])
    return Dataset(restated(spec, train["x"]), train, val, test, dataset.card)


def _marked(split: Split, numbers: Tensor) -> dict[str, Any]:
    y = split["y"]
    assert isinstance(y, Tensor)
    return {**split, "y": (~torch.isin(y, numbers)).long()}
