"""The data set of a run's configuration, and its batches for an evaluation."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from zoo import registry
from zoo.config.schema import DataOptions

if TYPE_CHECKING:
    from zoo.data import Dataset

# Options of data that any data has
SHARED = ("name", "modality", "action_space", "tasks", "batch_size", "augment", *DataOptions.__dataclass_fields__)


def load_dataset(data: dict[str, Any], task: str, *, requested_task: str | None = None) -> Dataset:
    """Return the data set of a configuration's ``data``, for a task; ``requested_task`` is the one that the user set.

    Raises:
        ZooError: the data cannot be read, or an option does not fit it.
    """
    from zoo.data import load

    loader_options = {k: v for k, v in data.items() if k not in SHARED}
    if "task" in registry.signature(registry.data_entry(data["name"]).load):  # inferred from the data, or requested
        loader_options["task"] = task if task in registry.unsupervised_tasks() else requested_task
    return prepare_dataset(load(data["name"], **loader_options), data, task)


def prepare_dataset(dataset: Dataset, data: dict[str, Any], task: str) -> Dataset:
    """Return a data set with the training rows that the options ``data`` select, and for the task.

    Raises:
        ZooError: an option that such data does not have.
    """
    from zoo.data.unlabeled import unlabeled

    dataset = registry.get_modality(dataset.spec.modality).select_rows(dataset, data)
    if task in registry.unsupervised_tasks():
        return unlabeled(dataset, task, normal=data.get("normal_classes"))
    if dataset.spec.task != task and dataset.spec.target_type == registry.task_entry(task).target:
        return replace(dataset, spec=replace(dataset.spec, task=task))
    return dataset


def eval_loader(dataset: Dataset, split: str) -> Any:
    """Return the batches of ``val`` or ``test`` as a single process has them, on the CPU."""
    return registry.get_modality(dataset.spec.modality).eval_loader(dataset, split)
