"""The registry of models, datasets, tasks and modalities. It needs no torch, so lists and typo checks are instant.

Each function that takes a name raises a ZooError for an unknown name. The message suggests the nearest name.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import replace
from importlib.metadata import entry_points
from typing import Any, TypeVar

from zoo.exceptions import ZooError, unknown
from zoo.utils import entries
from zoo.utils.entries import DataEntry
from zoo.utils.entries import Entry as Entry
from zoo.utils.options import call
from zoo.utils.options import parameters as parameters
from zoo.utils.options import signature as signature

TaskT = TypeVar("TaskT")
ENTRY_POINTS = "zoo.models"
SYNONYMS = entries.SYNONYMS  # other names of models
_MODELS, _TASKS, _MODALITIES = dict(entries.MODELS), dict(entries.TASKS), dict(entries.MODALITIES)
_DATA: dict[str, DataEntry] = {}  # datasets whose module is imported


def register(name: str) -> Callable[[type[Any]], type[Any]]:
    """Return a class decorator that registers a ZooModule under ``name``.

    Raises:
        ZooError: the name is taken, or a built-in class differs from its entry in ``entries.toml``.
    """

    def decorate(cls: type[Any]) -> type[Any]:
        declared = (tuple(cls.tasks), tuple(cls.modalities), tuple(cls.action_spaces))
        _add(_MODELS, "model", name, Entry(cls.__module__, cls.__qualname__, *declared, cls=cls))
        cls.name = name
        return cls

    return decorate


def register_data(
    name: str, *, tasks: tuple[str, ...], modality: str, action_space: str | None = None
) -> Callable[..., Any]:
    """Return a decorator that registers a function ``load(**options) -> zoo.data.Dataset`` under ``name``.

    Raises:
        ZooError: the name is taken.
    """

    def decorate(load: Callable[..., Any]) -> Callable[..., Any]:
        owner = _DATA[name].load.__module__ if name in _DATA else entries.DATA_MODULES.get(name, "").partition(":")[0]
        if owner and (owner, name) != (load.__module__, load.__name__):
            raise ZooError(f"data {name!r} is already registered by {owner}")
        _DATA[name] = DataEntry(load, tuple(tasks), modality, action_space)
        return load

    return decorate


def register_task(name: str, *, target: str, modalities: tuple[str, ...] = ()) -> Callable[[type[TaskT]], type[TaskT]]:
    """Return a class decorator that registers a Task under ``name``.

    ``target`` is the kind of target that the task learns from, one of TARGETS. ``modalities`` are the modalities
    that the task supports.

    Raises:
        ZooError: the name is taken, the target is unknown, or a built-in class differs from its entry in
            ``entries.toml``.
    """

    if target not in entries.TARGETS:
        raise unknown("target of a task", target, entries.TARGETS)

    def decorate(cls: type[TaskT]) -> type[TaskT]:
        entry = Entry(cls.__module__, cls.__qualname__, modalities=tuple(modalities), target=target, cls=cls)
        _add(_TASKS, "task", name, entry)
        cls.name = name  # type: ignore[attr-defined]
        return cls

    return decorate


def list_tasks() -> list[str]:
    """Return the names of the built-in tasks, then those of the user's tasks."""
    return list(_TASKS)


def task_entry(name: str) -> Entry:
    """Return the registry entry of a task."""
    return _find(_TASKS, "task", name)


def get_task(name: str) -> type[Any]:
    """Return the class registered for a task."""
    cls: type[Any] = _imported(_TASKS, "task", name).cls
    return cls


def unsupervised_tasks() -> tuple[str, ...]:
    """Return the tasks that need no labels."""
    return tuple(name for name, entry in _TASKS.items() if entry.unsupervised)


def register_modality(cls: type[Any]) -> type[Any]:
    """Register a Modality under the ``modality`` attribute of its ``spec`` class, and return the class.

    Raises:
        ZooError: the name is taken, or a built-in class differs from its entry in ``entries.toml``.
    """
    entry = Entry(cls.__module__, cls.__qualname__, tuple(cls.tasks), cls=cls())
    _add(_MODALITIES, "modality", cls.spec.modality, entry)
    return cls


def list_modalities() -> list[str]:
    """Return the names of the built-in modalities, then those of the user's modalities."""
    return list(_MODALITIES)


def modality_origin(name: str) -> tuple[str, str]:
    """Return the module and the name of a modality's class."""
    entry = _find(_MODALITIES, "modality", name)
    return entry.module, entry.attribute


def supported_tasks(modality: str) -> tuple[str, ...]:
    """Return the tasks that a modality supports: those that it lists, and those that list the modality."""
    tasks = _find(_MODALITIES, "modality", modality).tasks
    return (*tasks, *(task for task, entry in _TASKS.items() if modality in entry.modalities and task not in tasks))


def get_modality(name: str) -> Any:
    """Return the singleton instance of a modality; its module is imported if necessary."""
    return _imported(_MODALITIES, "modality", name).cls


def _add(table: dict[str, Entry], kind: str, name: str, entry: Entry) -> None:
    """Add an entry to a table. It may replace an equal entry whose class is not imported yet."""
    old = table.get(name)
    if old is not None and replace(old, cls=None) != replace(entry, cls=None):
        where = f"{old.module}.{old.attribute}"
        if (entry.module, entry.attribute) == (old.module, old.attribute):
            raise ZooError(f"{kind} {name!r}: {where} and entries.toml list different tasks or modalities")
        raise ZooError(f"{kind} {name!r} is already registered by {where}")
    table[name] = entry


def _find(table: Mapping[str, Entry], kind: str, name: str) -> Entry:
    if name not in table:
        raise unknown(kind, name, table)
    return table[name]


def _imported(table: Mapping[str, Entry], kind: str, name: str) -> Entry:
    """Return an entry after the import of its module, which registers the class."""
    module = _find(table, kind, name).module
    if table[name].cls is None:
        importlib.import_module(module)
    return table[name]


def list_models() -> list[str]:
    """Return the names of the built-in models, then those of the user and of installed packages."""
    return list(_MODELS) + [name for name in entry_points(group=ENTRY_POINTS).names if name not in _MODELS]


def list_data() -> list[str]:
    """Return the names of the built-in datasets, then those of the user's datasets."""
    return list(entries.DATA_MODULES) + [name for name in _DATA if name not in entries.DATA_MODULES]


def entry(name: str) -> Entry:
    """Return the registry entry of a model; the entry point of a package is imported if necessary."""
    name = SYNONYMS.get(name, name)
    if name not in _MODELS:
        point = next(iter(entry_points(group=ENTRY_POINTS, name=name)), None)
        if point is None:
            raise unknown("model", name, list_models())
        try:
            point.load()
        except ImportError as error:
            raise ZooError(f"model {name!r}: {point.value} cannot be imported ({error})") from None
        if name not in _MODELS:
            raise ZooError(f"the entry point {name!r} in {ENTRY_POINTS}: {point.value} does not register this name")
    return _MODELS[name]


def data_entry(name: str) -> DataEntry:
    """Return the registry entry of a dataset; its module is imported if necessary."""
    if name not in _DATA:
        if name not in entries.DATA_MODULES:
            raise unknown("data", name, list_data())
        importlib.import_module(entries.DATA_MODULES[name].partition(":")[0])
    return _DATA[name]


def data_origin(name: str) -> tuple[str, str]:
    """Return the module and the name of the object that declares the options of a dataset.

    The module of a user's dataset is an empty string.
    """
    module, _, attribute = entries.DATA_MODULES.get(name, "").partition(":")
    return module, attribute or name


def complete_options(data: MutableMapping[str, Any]) -> None:
    """Set the options of ``data`` that follow from other options, in place. This needs no torch.

    Raises:
        ZooError: an option refers to an object that does not exist.
    """
    if data["modality"] in entries.OPTION_MODULES:
        importlib.import_module(entries.OPTION_MODULES[data["modality"]]).complete_options(data)


def get(name: str) -> type[Any]:
    """Return the LightningModule class registered under ``name``."""
    model = entry(name)
    if model.cls is None:
        importlib.import_module(model.module)
    cls: type[Any] = entry(name).cls
    assert cls is not None, f"{model.module} does not register {name!r}"
    return cls


def create(name: str, **options: Any) -> Any:
    """Return a new model by name. Without a ``spec`` the model fits the digits dataset.

    Raises:
        ZooError: an unknown name or option, or a value outside its limits.
    """
    return call(name, get(name), options)


def registered_models() -> dict[str, Entry]:
    """Return the name and the entry of each model that is registered in this process, without unused entry points."""
    return dict(_MODELS)
