"""What Hydra composes beside the files of ``conf/``: options from signatures, and registered names without a file."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import OmegaConf
from omegaconf.errors import UnsupportedValueType

from zoo import registry
from zoo.config import schema
from zoo.config.groups import declared_by_data, files, recipe_class
from zoo.config.signatures import augment_options, data_options, defaults, model_options
from zoo.exceptions import ZooError

CHOSEN = ("optimizer", "scheduler")  # groups of which a file of conf/ holds all options


def _run(name: str) -> dict[str, Any]:
    classes = {"data": schema.DataOptions} | {g: cls for g, cls in schema.GROUPS.items() if g not in CHOSEN}
    return dataclasses.asdict(schema.RunOptions()) | {g: dataclasses.asdict(cls()) for g, cls in classes.items()}


def _model(name: str) -> dict[str, Any]:
    return {"model": {"name": name}}


def _data(name: str) -> dict[str, Any]:
    entry = registry.data_entry(name)
    data = {"name": name, "modality": entry.modality, "tasks": list(entry.tasks), "batch_size": 128}
    return {"data": data | ({"action_space": entry.action_space} if entry.action_space else {})}


def _model_signature(name: str) -> dict[str, Any]:
    return {"model": defaults(model_options(recipe_class(name)))}


def _data_signature(name: str) -> dict[str, Any]:
    modality = declared_by_data(name)["modality"]
    augment = augment_options(modality) if modality is not None else {}
    return {"data": defaults(data_options(name)) | ({"augment": defaults(augment)} if augment else {})}


class OptionSource(ConfigSource):
    """Serves ``signature/run``, ``signature/model/NAME``, ``signature/data/NAME``, and names that have no YAML."""

    groups: ClassVar[dict[str, tuple[Callable[[str], dict[str, Any]], Callable[[], list[str]]]]] = {
        "signature": (_run, lambda: ["run"]),
        "signature/model": (_model_signature, lambda: [*registry.list_models(), *files("model")]),
        "signature/data": (_data_signature, registry.list_data),
        "model": (_model, registry.list_models),
        "data": (_data, registry.list_data),
    }

    @staticmethod
    def scheme() -> str:
        """Return the scheme by which conf/train.yaml names this source."""
        return "zoo"

    def available(self) -> bool:
        """Return true: it needs no file."""
        return True

    def is_group(self, config_path: str) -> bool:
        """Tell whether a path is a group."""
        return config_path.strip("/") in self.groups

    def is_config(self, config_path: str) -> bool:
        """Tell whether a path is a configuration."""
        group, _, name = config_path.removesuffix(".yaml").rpartition("/")
        return group in self.groups and name in self.groups[group][1]()

    def load_config(self, config_path: str) -> ConfigResult:
        """Return a configuration.

        Raises:
            ZooError: a default that a configuration cannot hold.
        """
        group, _, name = config_path.removesuffix(".yaml").rpartition("/")
        values = self.groups[group][0](name)
        try:
            config = OmegaConf.create(values)
        except UnsupportedValueType as error:
            key = str(error.key).rpartition(".")[2]
            message = f"{name}: the default of {key!r} is not a number, text, flag, list or dictionary of such"
            raise ZooError(message) from None
        return ConfigResult(self.provider, f"{self.scheme()}://{config_path}", config, {"package": "_global_"})

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Return the names in a group, as ``model=glob(*)`` needs them."""
        group = config_path.strip("/")
        return [] if results_filter == ObjectType.GROUP or group not in self.groups else sorted(self.groups[group][1]())


def install() -> None:
    """Let Hydra find the source; more than once does no harm."""
    if OptionSource not in Plugins.instance().discover(ConfigSource):
        Plugins.instance().register(OptionSource)
