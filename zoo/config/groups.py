"""The groups of ``conf/``: where its files are and which names each group takes."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from zoo import registry

GROUPS = ("model", "data", "trainer", "optimizer", "scheduler", "logger")


def conf_dir() -> Path:
    """Return the folder of the configurations: inside an installed package, beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def files(group: str) -> list[str]:
    """Return the names in a group that have a YAML file."""
    return sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))


def choices(group: str) -> list[str]:
    """Return the names that ``group=`` takes: those with a YAML, then the registered ones that have none."""
    names = files(group)
    registered = {"model": registry.list_models, "data": registry.list_data}.get(group)
    return names + [name for name in (registered() if registered else []) if name not in names]


def recipe_class(model: str) -> str:
    """Return the registered name behind a recipe's; any other name as it is."""
    model = registry.SYNONYMS.get(model, model)
    path = conf_dir() / "model" / f"{model}.yaml"
    return _class_in(path) if path.is_file() else model


@functools.cache
def _class_in(path: Path) -> str:
    """Return the registered name that a model's YAML declares, or that the one does which it begins with."""
    content: Any = OmegaConf.to_container(OmegaConf.load(path))
    above = next((base for base in content.get("defaults", []) if isinstance(base, str) and base != "_self_"), None)
    if "name" in content.get("model", {}):
        return str(content["model"]["name"])
    return _class_in(path.with_name(f"{above}.yaml"))


def canonical(override: str) -> str:
    """Return an override with the names of models in place of their synonyms."""
    key, equals, value = override.partition("=")
    if key != "model":
        return override
    return key + equals + ",".join(registry.SYNONYMS.get(name, name) for name in value.split(","))


def declared_by_data(data: str) -> dict[str, Any]:
    """Return the modality and the tasks that data declares, and the action space of an environment."""
    path = conf_dir() / "data" / f"{data}.yaml"
    if path.is_file():
        return _declared_in(path)
    entry = registry.data_entry(data)
    return {"modality": entry.modality, "tasks": list(entry.tasks), "action_space": entry.action_space}


@functools.cache
def _declared_in(path: Path) -> dict[str, Any]:
    content: Any = OmegaConf.to_container(OmegaConf.load(path))
    return {key: content.get(key) for key in ("modality", "tasks", "action_space")}  # null: as the environment has it
