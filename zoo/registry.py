"""Names of models, data sets and tasks. Knows them without importing torch, so that listing and typos cost nothing."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from typing import Any, TypeVar

from zoo.exceptions import ZooError, unknown
from zoo.utils.meanings import unknown_option

TaskT = TypeVar("TaskT")


@dataclass(frozen=True)
class ModelEntry:
    """A registered model: where its class is and what it can do. ``cls`` is None until it was imported.

    ``action_spaces`` are those of environments, discrete and continuous, in which it acts.
    """

    module: str
    attribute: str
    tasks: tuple[str, ...]
    modalities: tuple[str, ...]
    action_spaces: tuple[str, ...] = ()
    cls: type[Any] | None = None


@dataclass(frozen=True)
class DataEntry:
    """A registered data set: the function that loads it and what it offers."""

    load: Callable[..., Any]
    tasks: tuple[str, ...]
    modality: str
    action_space: str | None = None


@dataclass(frozen=True)
class ModalityEntry:
    """A registered modality: where its class is and which built-in tasks its data can be for."""

    module: str
    attribute: str
    tasks: tuple[str, ...]
    instance: Any | None = None  # None until it was imported


TARGETS = ("class", "number", "next_symbol", "future", "input", "none", "reward")


@dataclass(frozen=True)
class TaskEntry:
    """A registered task: where its class is, and which type of target it learns from.

    ``target`` is one of TARGETS. ``modalities`` are those that the task adds itself to; the built-in modalities name
    the built-in tasks themselves. ``cls`` is None until it was imported.
    """

    name: str
    module: str
    attribute: str
    target: str
    modalities: tuple[str, ...] = ()
    cls: type[Any] | None = None

    @property
    def unsupervised(self) -> bool:
        """Whether any data of a modality will do, whatever its labels are."""
        return self.target in ("input", "none")


_TASKS = {
    entry.name: entry
    for entry in (
        TaskEntry("classification", "zoo.tasks.classification", "Classification", "class"),
        TaskEntry("regression", "zoo.tasks.regression", "Regression", "number"),
        TaskEntry("generation", "zoo.tasks.generation", "Generation", "none"),
        TaskEntry("language_modeling", "zoo.tasks.language_modeling", "LanguageModeling", "next_symbol"),
        TaskEntry("forecasting", "zoo.tasks.forecasting", "Forecasting", "future"),
        TaskEntry("reconstruction", "zoo.tasks.reconstruction", "Reconstruction", "input"),
        TaskEntry("control", "zoo.tasks.control", "Control", "reward"),
    )
}
SEQUENCE_TASKS = ("classification", "regression", "language_modeling", "forecasting")
SEQUENCE_KINDS = ("image", "sequence", "text", "series")
CODED_KINDS = ("image", "table", "series")
_MODELS: dict[str, ModelEntry] = {
    "fnn": ModelEntry("zoo.models.fnn", "FNN", ("classification", "regression"), ("image", "table")),
    "cnn": ModelEntry("zoo.models.cnn", "CNN", ("classification", "regression"), ("image",)),
    "rnn": ModelEntry("zoo.models.rnn", "RNN", SEQUENCE_TASKS, SEQUENCE_KINDS),
    "lstm": ModelEntry("zoo.models.lstm", "LSTM", SEQUENCE_TASKS, SEQUENCE_KINDS),
    "gru": ModelEntry("zoo.models.gru", "GRU", SEQUENCE_TASKS, SEQUENCE_KINDS),
    "transformer": ModelEntry("zoo.models.transformer", "Transformer", SEQUENCE_TASKS, SEQUENCE_KINDS),
    "autoencoder": ModelEntry("zoo.models.autoencoder", "Autoencoder", ("reconstruction",), CODED_KINDS),
    "gan": ModelEntry("zoo.models.gan", "GAN", ("generation",), ("image",)),
    "ppo": ModelEntry("zoo.models.ppo", "PPO", ("control",), ("environment",), ("discrete", "continuous")),
    "a2c": ModelEntry("zoo.models.a2c", "A2C", ("control",), ("environment",), ("discrete", "continuous")),
    "reinforce": ModelEntry(
        "zoo.models.reinforce", "REINFORCE", ("control",), ("environment",), ("discrete", "continuous")
    ),
    "dqn": ModelEntry("zoo.models.dqn", "DQN", ("control",), ("environment",), ("discrete",)),
    "sac": ModelEntry("zoo.models.sac", "SAC", ("control",), ("environment",), ("continuous",)),
    "vae": ModelEntry("zoo.models.vae", "VAE", ("reconstruction",), CODED_KINDS),
}
# Other names of models
SYNONYMS = {"policy": "ppo", "mlp": "fnn", "ae": "autoencoder"}
# The built-in data sets: name -> module that registers a function of that name, and after a colon the class that
# declares its options where the function does not. Their tasks stand in conf/data/.
_DATA_MODULES = {
    "digits": "zoo.data.image.datasets",
    "mnist": "zoo.data.image.datasets",
    "fashion_mnist": "zoo.data.image.datasets",
    "cifar10": "zoo.data.image.datasets",
    "binarized_mnist": "zoo.data.image.binarized_mnist",
    "pets": "zoo.data.image.datasets",
    "image_folder": "zoo.data.image.folder",
    "npz": "zoo.data.image.npz",
    "csv": "zoo.data.table.datasets",
    "adult": "zoo.data.table.datasets",
    "california_housing": "zoo.data.table.datasets",
    "breast_cancer": "zoo.data.table.datasets",
    "wine": "zoo.data.table.datasets",
    "diabetes": "zoo.data.table.datasets",
    "text_file": "zoo.data.text.datasets",
    "shakespeare": "zoo.data.text.datasets",
    "text": "zoo.data.text.datasets",
    "sentiment": "zoo.data.text.datasets",
    "series": "zoo.data.series.datasets",
    "etth1": "zoo.data.series.datasets",
    "spoken_digits": "zoo.data.sequence.datasets",
    "cartpole": "zoo.data.environment.environments:EnvironmentOptions",
    "acrobot": "zoo.data.environment.environments:EnvironmentOptions",
    "mountain_car": "zoo.data.environment.environments:EnvironmentOptions",
    "pendulum": "zoo.data.environment.environments:EnvironmentOptions",
    "lunar_lander": "zoo.data.environment.environments:EnvironmentOptions",
    "mujoco": "zoo.data.environment.environments:EnvironmentOptions",
    "gym": "zoo.data.environment.environments:EnvironmentOptions",
}
_DATA: dict[str, DataEntry] = {}
_MODALITIES: dict[str, ModalityEntry] = {
    "image": ModalityEntry(
        "zoo.data.image.modality", "ImageModality", ("classification", "regression", "reconstruction", "generation")
    ),
    "table": ModalityEntry(
        "zoo.data.table.modality", "TableModality", ("classification", "regression", "reconstruction")
    ),
    "sequence": ModalityEntry("zoo.data.sequence.modality", "SequenceModality", ("classification", "regression")),
    "text": ModalityEntry("zoo.data.text.modality", "TextModality", ("classification", "language_modeling")),
    "series": ModalityEntry("zoo.data.series.modality", "SeriesModality", ("forecasting", "reconstruction")),
    "environment": ModalityEntry("zoo.data.environment.modality", "EnvironmentModality", ("control",)),
}
ENTRY_POINTS = "zoo.models"


def register(name: str) -> Callable[[type[Any]], type[Any]]:
    """Return a class decorator that puts a ZooModule into the registry under ``name``.

    Raises:
        ZooError: the name is taken, or a built-in class disagrees with the table.
    """

    def decorate(cls: type[Any]) -> type[Any]:
        declared = (tuple(cls.tasks), tuple(cls.modalities), tuple(cls.action_spaces))
        entry = ModelEntry(cls.__module__, cls.__qualname__, *declared, cls)
        old = _MODELS.get(name)
        if old is not None:
            if (old.module, old.attribute) != (entry.module, entry.attribute):
                raise ZooError(f"model {name!r} is registered already, by {old.module}.{old.attribute}")
            if replace(old, cls=None) != replace(entry, cls=None):
                raise ZooError(f"model {name!r}: its class and the registry's table name different tasks or modalities")
        cls.name = name
        _MODELS[name] = entry
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
        taken = _DATA[name].load.__module__ if name in _DATA else _DATA_MODULES.get(name, "").partition(":")[0]
        if taken and (taken, name) != (load.__module__, load.__name__):
            raise ZooError(f"data {name!r} is registered already, by {taken}")
        _DATA[name] = DataEntry(load, tuple(tasks), modality, action_space)
        return load

    return decorate


def register_task(name: str, *, target: str, modalities: tuple[str, ...] = ()) -> Callable[[type[TaskT]], type[TaskT]]:
    """Return a class decorator that puts a Task into the registry under ``name``.

    ``target`` is what it learns from: one of TARGETS; ``modalities`` are those whose data it is for.

    Raises:
        ZooError: the name is taken, the target is none of these, or a built-in class disagrees with the table.
    """

    if target not in TARGETS:
        raise unknown("target of a task", target, TARGETS)

    def decorate(cls: type[TaskT]) -> type[TaskT]:
        entry = TaskEntry(name, cls.__module__, cls.__qualname__, target, tuple(modalities), cls)
        old = _TASKS.get(name)
        if old is not None and replace(old, cls=None) != replace(entry, cls=None):
            raise ZooError(f"task {name!r} is registered already, by {old.module}.{old.attribute}")
        cls.name = name  # type: ignore[attr-defined]
        _TASKS[name] = entry
        return cls

    return decorate


def list_tasks() -> list[str]:
    """Return the names of the tasks: the built-in ones, then the user's own."""
    return list(_TASKS)


def task_entry(name: str) -> TaskEntry:
    """Return what the registry knows of a task.

    Raises:
        ZooError: unknown name, with the nearest one.
    """
    if name not in _TASKS:
        raise unknown("task", name, list_tasks())
    return _TASKS[name]


def get_task(name: str) -> type[Any]:
    """Return the class registered for a task.

    Raises:
        ZooError: unknown name, with the nearest one.
    """
    entry = task_entry(name)
    if entry.cls is None:
        importlib.import_module(entry.module)
        entry = _TASKS[name]
    assert entry.cls is not None, f"{entry.module} does not register {name!r}"
    return entry.cls


def unsupervised_tasks() -> tuple[str, ...]:
    """Return the tasks whose data need no labels."""
    return tuple(name for name, entry in _TASKS.items() if entry.unsupervised)


def register_modality(cls: type[Any]) -> type[Any]:
    """Put a Modality into the registry under the name that its ``spec`` class has as ``modality``.

    Raises:
        ZooError: the name is taken, or a built-in class disagrees with the table.
    """
    name, entry = cls.spec.modality, ModalityEntry(cls.__module__, cls.__qualname__, tuple(cls.tasks))
    old = _MODALITIES.get(name)
    if old is not None and replace(old, instance=None) != entry:
        raise ZooError(f"modality {name!r} is registered already, by {old.module}.{old.attribute}, or for other tasks")
    _MODALITIES[name] = replace(entry, instance=cls())
    return cls


def list_modalities() -> list[str]:
    """Return the names of the modalities: the built-in ones, then the user's own."""
    return list(_MODALITIES)


def _modality_entry(name: str) -> ModalityEntry:
    if name not in _MODALITIES:
        raise unknown("modality", name, list_modalities())
    return _MODALITIES[name]


def modality_origin(name: str) -> tuple[str, str]:
    """Return module and name of a modality's class.

    Raises:
        ZooError: unknown name, with the nearest one.
    """
    entry = _modality_entry(name)
    return entry.module, entry.attribute


def supported_tasks(modality: str) -> tuple[str, ...]:
    """Return the tasks that data of a modality can be for: those it names, and those that name it.

    Raises:
        ZooError: unknown name, with the nearest one.
    """
    own = _modality_entry(modality).tasks
    return (*own, *(task for task, entry in _TASKS.items() if modality in entry.modalities and task not in own))


def get_modality(name: str) -> Any:
    """Return the one object of a modality, imported.

    Raises:
        ZooError: unknown name, with the nearest one.
    """
    entry = _modality_entry(name)
    if entry.instance is None:
        importlib.import_module(entry.module)
        entry = _MODALITIES[name]
    assert entry.instance is not None, f"{entry.module} does not register {name!r}"
    return entry.instance


def _external() -> dict[str, Any]:
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}


def list_models() -> list[str]:
    """Return the registered names: the built-in ones, then those of installed packages and of the user."""
    return list(_MODELS) + [name for name in _external() if name not in _MODELS]


def list_data() -> list[str]:
    """Return the names of the data sets that a run can be given by name."""
    return list(_DATA_MODULES) + [name for name in _DATA if name not in _DATA_MODULES]


def entry(name: str) -> ModelEntry:
    """Return what the registry knows of a model; a package's entry point is imported for it.

    Raises:
        ZooError: unknown name, with the nearest one.
    """
    name = SYNONYMS.get(name, name)
    if name not in _MODELS:
        point = _external().get(name)
        if point is None:
            raise unknown("model", name, list_models())
        try:
            point.load()
        except ImportError as error:
            raise ZooError(f"model {name!r}: {point.value} cannot be imported ({error})") from None
        if name not in _MODELS:
            raise ZooError(f"{point.value} is named {name!r} in the group {ENTRY_POINTS}, but does not register it")
    return _MODELS[name]


def data_entry(name: str) -> DataEntry:
    """Return a data set's loading function, imported, with what it offers.

    Raises:
        ZooError: unknown name, with the nearest one.
    """
    if name not in _DATA:
        if name not in _DATA_MODULES:
            raise unknown("data", name, list_data())
        importlib.import_module(_DATA_MODULES[name].partition(":")[0])
    return _DATA[name]


def data_origin(name: str) -> tuple[str, str] | None:
    """Return module and name of the function or class that declares the options of built-in data; None for others."""
    module, _, attribute = _DATA_MODULES.get(name, "").partition(":")
    return (module, attribute or name) if module else None


def action_space_of(env: str) -> str:
    """Return discrete or continuous, the action space of an environment of gymnasium; needs no torch.

    Raises:
        ZooError: there is no such environment, or it has another action space.
    """
    space: str = importlib.import_module("zoo.data.environment.spaces").action_space(env)
    return space


def get(name: str) -> type[Any]:
    """Return the LightningModule class registered under ``name``.

    Raises:
        ZooError: unknown name, with the nearest one.
    """
    name = SYNONYMS.get(name, name)
    found = entry(name)
    if found.cls is None:
        importlib.import_module(found.module)
        found = _MODELS[name]
    assert found.cls is not None, f"{found.module} does not register {name!r}"
    return found.cls


def create(name: str, **options: Any) -> Any:
    """Return a new model by name, for the digits where no ``spec`` is given.

    Raises:
        ZooError: unknown name or option, with the nearest one, or a value outside its limits.
    """
    cls = get(name)
    known = signature(cls)
    for key in options:
        if key not in known:
            raise unknown_option(name, key, known)
    return cls(**options)


def parameters(made_by: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return what a model class or a loading function takes; a constructor's ``**options`` are its base class's."""
    if not isinstance(made_by, type):
        return dict(inspect.signature(made_by).parameters)
    found: dict[str, inspect.Parameter] = {}
    for cls in made_by.__mro__:
        if "__init__" not in vars(cls):
            continue
        own = dict(list(inspect.signature(cls.__init__).parameters.items())[1:])  # type: ignore[misc]
        handed_on = [name for name, p in own.items() if p.kind is inspect.Parameter.VAR_KEYWORD]
        for name in handed_on:
            del own[name]
        found = {**own, **found}
        if not handed_on:
            break
    return found


def signature(made_by: Callable[..., Any]) -> dict[str, Any]:
    """Return the options that a model class or a loading function takes, with their defaults ("???": has none)."""
    found = parameters(made_by).items()
    return {k: "???" if p.default is inspect.Parameter.empty else p.default for k, p in found}


def registered_models() -> dict[str, ModelEntry]:
    """Return name and entry of all that is registered in this process (entry points not yet used are not)."""
    return dict(_MODELS)


def registered_data() -> dict[str, DataEntry]:
    """Return name and entry of the data sets whose modules are imported, the user's own among them."""
    return dict(_DATA)
