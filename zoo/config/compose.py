"""Compose configurations with Hydra, quote special values, suggest names for typos, and reject unsuitable pairs.

Nothing here imports torch, so help and error messages appear in well under a second.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from zoo import registry
from zoo.config.groups import GROUPS, canonical, choices, conf_dir, declared_by_data
from zoo.config.signatures import augment_options, defaults, install
from zoo.exceptions import ZooError, nearest, unknown
from zoo.utils.options import meaning

install()

FILES = ("path", "labels", "test", "anomaly_windows", "synthetic_path")  # data options that are a file or a folder
FOLDERS = ("root", "cache_dir")
# Options whose value is always a string, even if it looks like a number, a list or a sweep
PATH_OPTIONS = ("run_dir", *(f"data.{option}" for option in (*FILES, *FOLDERS)))
OVERRIDE = re.compile(r"(\+{0,2}[\w@/:.-]+)=(.*)", re.DOTALL)


def pair(model: str, data: str) -> DictConfig:
    """Return the part of a configuration that ``task_of`` needs for a model and a dataset.

    The full composition takes twenty times as long.
    """
    return OmegaConf.create({"model": {"name": model}, "data": {"name": data, **declared_by_data(data)}, "task": None})


def store_arrays(modality: str, task: str) -> None:
    """Register the configuration ``data=arrays`` for arrays that the caller passes."""
    node: dict[str, Any] = {"name": "arrays", "modality": modality, "tasks": [task], "batch_size": 128}
    node |= {"folds": 5, "fold": 0, "split_seed": 0}
    if augment := augment_options(modality):
        node["augment"] = defaults(augment)
    ConfigStore.instance().store(group="data", name="arrays", node=node)


def compose(overrides: Sequence[str]) -> DictConfig:
    """Return the configuration that ``zoo train`` composes from the same overrides.

    Raises:
        ZooError: an unknown group, choice or option.
    """
    try:
        return _compose(overrides)
    except (HydraException, OmegaConfBaseException) as error:
        raise explain(error, overrides) from None


def _compose(overrides: Sequence[str]) -> DictConfig:
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return hydra_compose("train", quoted(overrides))


def explain(error: Exception, overrides: Sequence[str]) -> ZooError:
    """Return a one-line error for an exception of Hydra, with the nearest choice or option."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        if group in GROUPS:
            return unknown(group, name, choices(group))
    if isinstance(error, OverrideParseException):
        return ZooError(f"{error.override!r}: invalid syntax. Use option=value and quote special characters.")
    text = " ".join(str(error).split())
    wrong = re.search(r"Could not override '([^']+)'|Could not (?:append|delete)[^']*'([^']+)'", text)
    if isinstance(error, ConfigCompositionException) and wrong:
        inner = getattr(error.__cause__, "full_key", None)  # set for a wrong key inside a dictionary
        key = inner or (wrong.group(1) or wrong.group(2)).split("@")[0]
        return unknown_option(key, [*option_keys(overrides), *GROUPS])
    return ZooError(text)


def unknown_option(key: str, known: Sequence[str]) -> ZooError:
    """Return the error for a key that is not in ``known``, with the equivalent option or the nearest spelling."""
    if (option := meaning(key, known)) is not None:
        return ZooError(f"unknown option {key!r}: use {option}")
    leaves = {k.rpartition(".")[2]: k for k in known}
    near = nearest(key, known) or leaves.get(nearest(key.rpartition(".")[2], leaves) or "")
    return ZooError(f"unknown option {key!r}: {f'did you mean {near!r}? ' if near else ''}see zoo train --help")


def option_keys(overrides: Sequence[str]) -> list[str]:
    """Return the dotted keys of the options for the valid group choices in ``overrides``."""
    right = [o for o in overrides if (p := o.partition("="))[0] in GROUPS and p[2] in choices(p[0])]
    return _keys(_compose(right))


def _keys(config: DictConfig) -> list[str]:
    values: Any = OmegaConf.to_container(config)
    return dotted_keys(values, groups=True)


def dotted_keys(values: Mapping[str, Any], prefix: str = "", *, groups: bool = False) -> list[str]:
    """Return the dotted keys of the options in a nested dictionary; ``groups`` includes the keys of dictionaries."""
    keys: list[str] = []
    for key, value in values.items():
        nested = isinstance(value, dict)
        keys += [f"{prefix}{key}"] if groups or not nested else []
        keys += dotted_keys(value, f"{prefix}{key}.", groups=groups) if nested else []
    return keys


def update(config: DictConfig, overrides: dict[str, Any]) -> None:
    """Set options in place from nested dictionaries or dotted keys.

    Raises:
        ZooError: an unknown option.
    """
    for key, value in overrides.items():
        node = OmegaConf.select(config, key, default="missing", throw_on_missing=False)
        if isinstance(value, dict) and isinstance(node, DictConfig):
            update_at = {f"{key}.{k}": v for k, v in value.items()}
            update(config, update_at)
            continue
        parent, _, leaf = key.rpartition(".")
        holder = OmegaConf.select(config, parent) if parent else config
        if not isinstance(holder, DictConfig) or leaf not in holder:
            raise unknown_option(key, _keys(config))
        value = os.fspath(value) if isinstance(value, os.PathLike) else value
        OmegaConf.update(config, key, list(value) if isinstance(value, tuple) else value)


def fitting_models(task: str | None, modality: str | None, action_space: str | None = None) -> list[str]:
    """Return the registered models that support a task, a modality and an action space (None: any)."""
    return [
        name
        for name, entry in registry.registered_models().items()
        if task in (None, *entry.tasks) and _reads(entry, modality, action_space)
    ]


def _reads(entry: registry.Entry, modality: str | None, action_space: str | None) -> bool:
    """Return whether a model supports a modality and an action space (None: any)."""
    return modality in (None, *entry.modalities) and action_space in (None, *entry.action_spaces)


def fitting_data(entry: registry.Entry) -> list[str]:
    """Return the datasets that are compatible with a model."""
    names = []
    for name in choices("data"):
        node = declared_by_data(name)
        offers = offered(node["modality"], node["tasks"])
        if _reads(entry, node["modality"], node["action_space"]) and set(offers) & set(entry.tasks):
            names.append(name)
    return names


def offered(modality: str | None, tasks: Sequence[str]) -> list[str]:
    """Return the tasks that a dataset supports: its ``tasks``, and those of its modality that need no other labels."""
    targets = {registry.task_entry(task).target for task in tasks}
    entries = {task: registry.task_entry(task) for task in (registry.supported_tasks(modality) if modality else ())}
    return list(
        dict.fromkeys([*tasks, *(task for task, e in entries.items() if e.unsupervised or e.target in targets)])
    )


def task_of(config: DictConfig) -> str:
    """Return the task of a run: ``task=``, or by default the first task of the model that the data supports.

    Raises:
        ZooError: model and data are incompatible. The message lists compatible models and datasets.
    """
    entry, data = registry.entry(config.model.name), config.data
    requested = config.task
    offers = offered(data.modality, data.tasks)
    common = [task for task in entry.tasks if task in offers and requested in (None, task)]
    action_space = data.get("action_space")
    if common and _reads(entry, data.modality, action_space):
        return common[0]
    if requested is not None and requested not in offers:
        raise ZooError(f"task={requested}: data={data.name} supports {', '.join(offers)}")
    models, sets = fitting_models(requested or data.tasks[0], data.modality, action_space), fitting_data(entry)
    described = f"{data.modality}, {action_space} actions" if action_space else data.modality
    raise ZooError(
        f"model={config.model.name} does not support {requested or ' or '.join(data.tasks)} on data={data.name} "
        f"({described}). Compatible models: {', '.join(models) or 'none'}. "
        f"Compatible data: {', '.join(sets) or 'none'}."
    )


# --- quoting of values with spaces, non-ASCII letters or special characters for Hydra's grammar ---


def quoted(overrides: Sequence[str], *, sweep: bool = False) -> list[str]:
    """Return ``overrides`` with quotes around string values that Hydra would reject or parse as another type.

    Group choices stay unquoted, except numbers; synonyms of models are replaced. A ``sweep`` keeps its commas.
    """
    parser = OverridesParser.create()
    return [_quoted(override, parser, sweep) for override in overrides]


def _quoted(override: str, parser: OverridesParser, sweep: bool) -> str:
    matched = OVERRIDE.fullmatch(override)
    if matched is None or matched[1].startswith("hydra."):
        return override
    key, value = matched.groups()
    if key == "data.augment" and value.replace(" ", "") == "{}":
        raise ZooError("data.augment={}: keeps the recipe's augmentation; pass data.augment=null to switch it off")
    if key.lstrip("+") in GROUPS:
        return f"{key}={_text(value)}" if re.fullmatch(r"[\d.]+", value) else canonical(override)
    is_path = key.lstrip("+") in PATH_OPTIONS
    try:
        parsed = parser.parse_override(override)
    except HydraException:
        is_text = (
            is_path or value[:1] not in "[{'\"" or _list(key, value, parser) is not None
        )  # no open bracket or quote
        return f"{key}={_list(key, value, parser) or _text(value)}" if is_text else override
    if not is_path or "${" in value or parsed.is_delete():
        return override
    if parsed.is_sweep_override():
        return override if sweep else f"{key}={_text(value)}"
    return f"{key}={_text(value)}" if isinstance(parsed.value(), (int, float, list, dict)) else override


def _list(key: str, value: str, parser: OverridesParser) -> str | None:
    """Return a list with quotes around the elements that need them, or None if the value is not a valid list."""
    if key.lstrip("+") in PATH_OPTIONS or not (value.startswith("[") and value.endswith("]")):
        return None
    elements = []
    for element in value[1:-1].split(","):
        try:
            parser.parse_override(f"{key}=[{element}]")
            elements.append(element)
        except HydraException:
            elements.append(_text(element.strip()))
    try:
        parser.parse_override(f"{key}=[{','.join(elements)}]")
    except HydraException:
        return None
    return f"[{','.join(elements)}]"


def _text(value: str) -> str:
    """Return a value in single quotes, escaped for Hydra's grammar."""
    inside = re.sub(r"(\\*)'", lambda match: match[1] * 2 + r"\'", value)
    tail = len(inside) - len(inside.rstrip("\\"))
    return f"'{inside}{inside[len(inside) - tail :]}'" if tail else f"'{inside}'"


def value_of(key: str, text: str) -> Any:
    """Return the parsed value of an override without Hydra: paths stay strings, other values are YAML."""
    if key in PATH_OPTIONS:
        return None if text in ("null", "") else text
    return OmegaConf.from_dotlist([f"value={text}"]).value
