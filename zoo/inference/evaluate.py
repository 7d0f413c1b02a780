"""Evaluation of a trained model on the data of its run, on other data sets, or on a labeled file."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo import registry
from zoo.data.dataset import Dataset, Split, picked
from zoo.data.labeled import ABSENT, Labeled, class_numbers, labeled
from zoo.data.spec import DataSpec
from zoo.exceptions import ZooError
from zoo.inference.loading import dataset_for, names_training_file
from zoo.metrics.names import metric_label
from zoo.reporting.evaluation import Metrics, baseline_metrics, evaluate_batches
from zoo.tasks import Task


@dataclass(frozen=True)
class Evaluation:
    """Metrics of a model and of baselines on a data set or a file.

    Attributes:
        name: name of the data or path of the file.
        rows: number of rows.
        split: the rows used: ``test`` or ``all``.
        metrics: metrics of the model.
        baselines: metrics of each baseline.
        notes: messages about ignored options, unknown classes or values, and undefined metrics.
    """

    name: str
    rows: int
    split: str
    metrics: Metrics
    baselines: Mapping[str, Metrics] = field(default_factory=dict)
    notes: Sequence[str] = ()


def evaluate(
    model: Any, folder: Path | None, overrides: Sequence[str], *, place: str = "", rows: str | None = None
) -> Evaluation:
    """Evaluate a model on the data named by ``overrides``, or by default on the data of its run.

    The model reads a new file with the columns, categories and scaling of its training data.

    Args:
        model: the trained model.
        folder: the folder of its run, if any.
        overrides: options of the data, as for ``zoo train``.
        place: name of the model; the default data of pretrained weights is their training data.
        rows: ``test`` or ``all``; None: test rows of a known data set, all rows of a new file.

    Raises:
        ZooError: the data cannot be read, or its shape differs from the training data.
    """
    data, notes = new_file(model, folder, overrides)
    if data is not None:
        part = "test" if rows == "test" else None
        return on_file(model, str(data["path"]), labeled(model.spec, data, part), notes)
    dataset = dataset_for(model, folder, overrides, place=place)
    parts = ("train", "val", "test") if rows == "all" else ("test",)
    if rows == "all" and dataset.spec.target_type == "reward":
        raise ZooError("rows=all: not available for environments, which have no rows")
    return on_dataset(model, dataset, parts)


# --- labeled files ---


def new_file(model: Any, folder: Path | None, overrides: Sequence[str]) -> tuple[dict[str, Any] | None, list[str]]:
    """Return the options of the new file that ``overrides`` name, and notes.

    The options are None if ``overrides`` name no file or the training file of the run.

    Raises:
        ZooError: unknown option.
    """
    from omegaconf import OmegaConf

    from zoo.config import compose as configs
    from zoo.config.run_config import check_files, resolve_paths

    typed = dict(override.partition("=")[::2] for override in overrides)
    path = typed.get("data.path", "")
    name = typed.get("data") or registry.get_modality(model.spec.modality).labeled_data(model.spec, path)
    readable = _labeled_options(name)
    if readable is None or "data.path" not in typed or names_training_file(folder, overrides):
        return None, []
    composed = configs.compose([f"model={model.name}", *([] if "data" in typed else [f"data={name}"]), *overrides])
    data: Any = OmegaConf.to_container(composed.data, resolve=True)
    data = resolve_paths(data)
    check_files(data)
    chosen = {key.removeprefix("data.") for key in typed if key.startswith("data.")}
    options = {"name": name, "path": data["path"], **{key: data[key] for key in readable if key in chosen}}
    idle = sorted(chosen - set(readable) - {"path"})
    return options, [
        f"data.{key} is ignored: the model reads a new file with the options of its training data" for key in idle
    ]


def _labeled_options(data: str) -> tuple[str, ...] | None:
    """Return the options that apply to labeled files of this data, or None if it does not support labeled files."""
    if data not in registry.list_data():
        return None
    readable: dict[str, tuple[str, ...]] = registry.get_modality(registry.data_entry(data).modality).labeled_options
    return readable.get(data)


def on_file(model: Any, name: str, rows: Labeled, notes: Sequence[str] = ()) -> Evaluation:
    """Return the metrics of a model and of baselines on the rows of a file.

    Rows of classes unknown to the model count as errors in the accuracy. Other metrics skip them.
    """
    from zoo.data.loader import EvalLoader

    spec, split, notes = model.spec, rows.split, [*notes, *rows.notes]
    if split is not None and spec.task in registry.unsupervised_tasks() and not spec.normal_classes:
        split = _for_task(model, split)
    metrics: Metrics = {}
    baselines: dict[str, Metrics] = {}
    if split is not None:
        metrics, _ = evaluate_batches(model, EvalLoader(split, stride=rows.stride))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scikit-learn warns about undefined metrics
            baselines = model.task.constant_baselines(split)
        notes += undefined(model.task, metrics)
    lost = sum(rows.strangers.values())
    if lost:
        share = (rows.rows - lost) / rows.rows
        for values in (metrics, *baselines.values()):
            values["accuracy"] = values.get("accuracy", 0.0) * share
        notes.append(strangers_note(rows.strangers))
    if rows.unknown:
        notes.append(unknown_note(rows.unknown, rows.values))
    return Evaluation(name, rows.rows, "all", metrics, baselines, notes)


def strangers_note(strangers: Mapping[str, int]) -> str:
    """Return the note about rows of classes that are unknown to the model."""
    named = ", ".join(f"{label!r} ({count:,})" for label, count in list(strangers.items())[:5])
    named += ", …" if len(strangers) > 5 else ""
    return f"{sum(strangers.values()):,} rows have classes unknown to the model and count as errors: {named}"


def unknown_note(unknown: Mapping[str, int], values: int) -> str:
    """Return the note about values that are unknown to the model."""
    named = ", ".join(f"{count:,} of {name}" for name, count in unknown.items())
    count = sum(unknown.values())
    return f"{count:,} of {values:,} values were not seen in training ({named}); the model treats them as unknown"


def undefined(objective: Task, metrics: Metrics) -> list[str]:
    """Return a note about metrics that are undefined on these rows, if any."""
    lacking = [str(name) for name in objective.metrics("test") if name not in metrics]
    if not lacking or not set(lacking) <= {"auroc", "average_precision", "r2", "f1", "balanced_accuracy"}:
        return []
    named = ", ".join(metric_label(name) for name in sorted(lacking))
    return [f"{named}: undefined on these rows, which contain only one class or value"]


def _for_task(model: Any, split: Split) -> Split | None:
    """Return a split for an unsupervised model: with ``y`` for a conditional model, otherwise without."""
    if "y" not in split or not getattr(model, "num_classes", 0):
        return {key: value for key, value in split.items() if key != "y"}
    y = split["y"]
    assert isinstance(y, Tensor)
    known = picked(split, torch.nonzero(y != ABSENT).squeeze(1))
    return known if len(known["x"]) else None


# --- data sets ---


def on_dataset(model: Any, dataset: Dataset, parts: Sequence[str]) -> Evaluation:
    """Return the metrics of a model on splits of a data set; classes are matched by name."""
    several = len(parts) > 1
    loaders, strangers = [], Counter[str]()
    for part in parts:
        loader, others = _by_names(model.spec, dataset, part)
        loaders += [] if loader is None else [loader]
        strangers += others
    rows = sum(size for part, size in zip(("train", "val", "test"), dataset.sizes, strict=True) if part in parts)
    metrics: Metrics = evaluate_batches(model, chain.from_iterable(loaders))[0] if loaders else {}
    notes = undefined(model.task, metrics) if loaders else []
    if strangers:
        metrics["accuracy"] = metrics.get("accuracy", 0.0) * (1 - strangers.total() / rows)
        notes.append(strangers_note(strangers))
    elif not several:
        metrics |= model.extra_metrics(dataset)
    baselines = {} if several else baseline_metrics(model, dataset)
    return Evaluation(dataset.spec.name, rows, "all" if several else "test", metrics, baselines, notes)


def _by_names(spec: DataSpec, dataset: Dataset, part: str) -> tuple[Any, Counter[str]]:
    """Return the batches of a split with the model's class indices, and the number of rows per unknown class.

    Raises:
        ZooError: a multi-label data set lacks labels of the model.
    """
    from zoo.data.loader import EvalLoader

    classes = dataset.spec.classes
    if spec.target_type != "class" or classes == spec.classes:
        return registry.get_modality(dataset.spec.modality).eval_loader(dataset, part), Counter()
    split, places = getattr(dataset, part), class_numbers(spec.classes if spec.multilabel else classes, classes)
    if spec.multilabel:
        if (places == ABSENT).any():
            raise ZooError(f"{dataset.spec.name}: some labels of the model are missing; it has {', '.join(classes)}")
        return EvalLoader({**split, "y": split["y"][:, torch.from_numpy(places)]}), Counter()
    places = class_numbers(classes, spec.classes)
    y = torch.from_numpy(places)[split["y"]]
    strangers = Counter({name: int((split["y"] == n).sum()) for n, name in enumerate(classes) if places[n] == ABSENT})
    known = torch.nonzero(y != ABSENT).squeeze(1)
    return EvalLoader(picked({**split, "y": y}, known)) if len(known) else None, +strangers
