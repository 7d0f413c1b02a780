"""The groups of ``conf/``: the location of their files and the valid names in each group."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from zoo import registry

GROUPS = ("model", "data", "trainer", "optimizer", "scheduler", "logger")


def conf_dir() -> Path:
    """Return the folder of the configurations: in an installed package, or at the root of a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def files(group: str) -> list[str]:
    """Return the names of the YAML files in a group."""
    return sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))


def choices(group: str) -> list[str]:
    """Return the valid names of a group: those with a YAML file, then registered names without one."""
    names = files(group)
    registered = {"model": registry.list_models, "data": registry.list_data}.get(group)
    return names + [name for name in (registered() if registered else []) if name not in names]


@functools.cache
def _content(group: str, name: str) -> dict[str, Any] | None:
    """Return the raw content of a YAML file in a group, or None if the file does not exist."""
    path = conf_dir() / group / f"{name}.yaml"
    content: Any = OmegaConf.to_container(OmegaConf.load(path)) if path.is_file() else None
    return content if content is None else dict(content)


def recipe_class(model: str) -> str:
    """Return the registered model name of a recipe; other names are returned unchanged."""
    model = registry.SYNONYMS.get(model, model)
    content = _content("model", model)
    if content is None:
        return model
    if "name" in content.get("model", {}):
        return str(content["model"]["name"])
    return recipe_class(next(base for base in content["defaults"] if isinstance(base, str) and base != "_self_"))


def canonical(override: str) -> str:
    """Return an override with synonyms of models replaced by their names."""
    key, equals, value = override.partition("=")
    if key != "model":
        return override
    return key + equals + ",".join(registry.SYNONYMS.get(name, name) for name in value.split(","))


def declared_by_data(data: str) -> dict[str, Any]:
    """Return the modality, the tasks and the action space that a dataset declares.

    The action space is None for other data, and for environments that define it themselves.
    """
    content = _content("data", data)
    content = vars(registry.data_entry(data)) if content is None else content
    return {key: content.get(key) for key in ("modality", "tasks", "action_space")}
