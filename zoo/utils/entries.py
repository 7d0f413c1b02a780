"""The built-in models, datasets, modalities and tasks of entries.toml: names, classes and compatibility."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TARGETS = ("class", "number", "next_symbol", "future", "input", "none", "reward")


@dataclass(frozen=True)
class Entry:
    """A registered model, task or modality.

    Args:
        ``module``: module of the class
        ``attribute``: name of the class
        ``tasks``: tasks that a model or a modality supports
        ``modalities``: modalities that a model supports, or that a task adds itself to; built-in modalities already
            list the built-in tasks
        ``action_spaces``: action spaces that a policy supports: discrete, continuous
        ``target``: kind of target that a task learns from, one of TARGETS
        ``cls``: the class (of a modality, the instance), or None before its import
    """

    module: str
    attribute: str
    tasks: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    action_spaces: tuple[str, ...] = ()
    target: str = ""
    cls: Any = None

    @property
    def unsupervised(self) -> bool:
        """Whether a task needs no labels."""
        return self.target in ("input", "none")


@dataclass(frozen=True)
class DataEntry:
    """A registered dataset: its loading function, tasks, modality and action space."""

    load: Callable[..., Any]
    tasks: tuple[str, ...]
    modality: str
    action_space: str | None = None


_TABLES: dict[str, Any] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


def _fields(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}


TASKS = {
    name: Entry(f"zoo.tasks.{name}", name.title().replace("_", ""), target=target)
    for name, target in _TABLES["tasks"].items()
}
MODALITIES = {
    name: Entry(f"zoo.data.{name}.modality", f"{name.capitalize()}Modality", tuple(tasks))
    for name, tasks in _TABLES["modalities"].items()
}
MODELS: dict[str, Entry] = {
    name: Entry(f"zoo.models.{name}", **_fields(row)) for name, row in _TABLES["models"].items()
}
SYNONYMS: dict[str, str] = _TABLES["synonyms"]  # other names of models
DATA_MODULES: dict[str, str] = {name: module for module, names in _TABLES["data"].items() for name in names}
OPTION_MODULES: dict[str, str] = _TABLES["option_modules"]
