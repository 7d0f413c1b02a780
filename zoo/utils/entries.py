"""The built-in models, data, modalities and tasks of entries.toml: names, where their classes are, what they fit."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TARGETS = ("class", "number", "next_symbol", "future", "input", "none", "reward")


@dataclass(frozen=True)
class Entry:
    """A registered model, task or modality: where its class is and what it is for.

    ``action_spaces`` are those of environments, discrete and continuous, in which a model acts. ``target`` is one of
    TARGETS, from which a task learns. ``modalities`` of a task are those that it adds itself to; the built-in
    modalities name the built-in ``tasks`` themselves. ``cls`` is None until it was imported.
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
        """Whether a task takes any data of a modality, whatever its labels are."""
        return self.target in ("input", "none")


@dataclass(frozen=True)
class DataEntry:
    """A registered data set: the function that loads it and what it offers."""

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
