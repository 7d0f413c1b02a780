"""The data set of a run's configuration, and its batches for an evaluation."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from zoo import registry
from zoo.exceptions import ZooError

if TYPE_CHECKING:
    from zoo.data import Dataset

SUBSET = {
    "rows": "max_train_samples",
    "seed": "subset_seed",
    "synthetic": "synthetic_path",
}  # of trained_on, and of data
# Options of data that any data has
SHARED = ("name", "modality", "action_space", "tasks", "batch_size", "augment", "normal_classes", *SUBSET.values())


def load_dataset(options: dict[str, Any], task: str, *, requested_task: str | None = None) -> Dataset:
    """Return the data set of a configuration's ``data``, for a task; ``requested_task`` is the one that the user set.

    Raises:
        ZooError: the data cannot be read, or an option does not fit it.
    """
    from zoo.data import load

    data_options = {k: v for k, v in options.items() if k not in SHARED}
    if "task" in registry.signature(registry.data_entry(options["name"]).load):  # inferred from the data, or requested
        data_options["task"] = task if task in registry.unsupervised_tasks() else requested_task
    return prepare_dataset(load(options["name"], **data_options), options, task)


def prepare_dataset(dataset: Dataset, options: dict[str, Any], task: str) -> Dataset:
    """Return a data set with the training rows that ``options`` select, and for the task.

    Raises:
        ZooError: an option that such data does not have.
    """
    from zoo.data.subsets import trained_on
    from zoo.data.unlabelled import unlabelled

    if registry.task_entry(task).target == "reward":
        space = dataset.spec.action_space
        if options.get("action_space") not in (None, space):
            raise ZooError(f"data={options['name']}: its environment takes {space} actions; data.action_space={space}")
        for option in SUBSET.values():
            if options.get(option) is not None:
                raise ZooError(f"data.{option}: is for data with rows; {dataset.spec.name} is an environment")
        return dataset
    dataset = trained_on(dataset, **{name: options.get(option) for name, option in SUBSET.items()})
    if task in registry.unsupervised_tasks():
        return unlabelled(dataset, task, normal=options.get("normal_classes"))
    if dataset.spec.task != task and dataset.spec.target_type == registry.task_entry(task).target:
        return replace(dataset, spec=replace(dataset.spec, task=task))
    return dataset


def eval_loader(dataset: Dataset, split: str) -> Any:
    """Return the batches of ``val`` or ``test`` as a single process has them, on the CPU."""
    from zoo.data.environment.environments import Environments
    from zoo.data.environment.loaders import EpisodeLoader
    from zoo.data.loader import EvalLoader

    if isinstance(dataset, Environments):
        return EpisodeLoader(dataset, split)
    return EvalLoader(getattr(dataset, split), stride=dataset.stride)
