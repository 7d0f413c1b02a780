"""The data that models are checked on: one generated set with a structure that can be learnt, per task and modality."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from zoo import registry
from zoo.data.dataset import Dataset
from zoo.data.prepare import unlabeled
from zoo.registry import Entry


@dataclass(frozen=True)
class Case:
    """A task on a modality, of environments with one kind of actions."""

    task: str
    modality: str
    action_space: str = ""

    @property
    def dataset(self) -> Dataset:
        """The generated data set, the same each time."""
        return _dataset(self.task, self.modality, self.action_space)

    @property
    def data(self) -> str:
        """The action space, or the modality where there is none."""
        return self.action_space or self.modality

    def __str__(self) -> str:
        return f"{self.task}-{self.data}"


def cases_of(entry: Entry) -> list[Case]:
    """Return all that a model claims to do, tasks and modalities in its own order."""
    return [
        Case(task, modality, action_space)
        for task in entry.tasks
        for modality in entry.modalities
        if task in registry.supported_tasks(modality)
        for action_space in registry.get_modality(modality).action_spaces(entry.action_spaces)
    ]


@functools.cache
def _dataset(task: str, modality: str, action_space: str) -> Dataset:
    dataset = registry.get_modality(modality).example(task, action_space)
    return unlabeled(dataset, task) if task in registry.unsupervised_tasks() else dataset
