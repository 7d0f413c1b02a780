"""Tasks, a module or folder each: loss, metrics, predictions, baselines, plots."""

from __future__ import annotations

from zoo.data.spec import DataSpec
from zoo.registry import get_task
from zoo.tasks.base import Task

__all__ = ["Task", "build_task"]


def build_task(spec: DataSpec) -> Task:
    """Return the task of a spec, by its name."""
    task: type[Task] = get_task(spec.task)
    return task.from_spec(spec)
