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


@functools.cache
def _content(group: str, name: str) -> dict[str, Any] | None:
    """Return what a YAML file of a group holds as it stands; None where there is no such file."""
    path = conf_dir() / group / f"{name}.yaml"
    content: Any = OmegaConf.to_container(OmegaConf.load(path)) if path.is_file() else None
    return content if content is None else dict(content)


def recipe_class(model: str) -> str:
    """Return the registered name behind a recipe's; any other name as it is."""
    model = registry.SYNONYMS.get(model, model)
    content = _content("model", model)
    if content is None:
        return model
    if "name" in content.get("model", {}):
        return str(content["model"]["name"])
    return recipe_class(next(base for base in content["defaults"] if isinstance(base, str) and base != "_self_"))


def canonical(override: str) -> str:
    """Return an override with the names of models in place of their synonyms."""
    key, equals, value = override.partition("=")
    if key != "model":
        return override
    return key + equals + ",".join(registry.SYNONYMS.get(name, name) for name in value.split(","))


def declared_by_data(data: str) -> dict[str, Any]:
    """Return the modality and the tasks that data declares, and the action space of an environment (null: its own)."""
    content = _content("data", data)
    content = vars(registry.data_entry(data)) if content is None else content
    return {key: content.get(key) for key in ("modality", "tasks", "action_space")}
