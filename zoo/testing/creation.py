"""The first check: how a model is made, what it is paired with, what it refuses."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from zoo import registry
from zoo.config import compose as configs
from zoo.config import groups
from zoo.config.run_config import RunConfig
from zoo.exceptions import ZooError
from zoo.models.base import ZooModule
from zoo.testing.cases import Case
from zoo.testing.errors import ConformanceError
from zoo.testing.subject import quiet


def check_create(name: str) -> None:
    """Check that it is made without arguments, runs on all data that it claims, and refuses what it cannot do."""
    cls = registry.get(name)
    subject_name = f"{name} ({cls.__module__}.{cls.__qualname__})"
    _check_signature(cls, subject_name)
    try:
        with quiet():
            model = cls()
    except ZooError as error:
        raise ConformanceError(
            f"{subject_name}: its defaults are refused ({error}); choose defaults that fit"
        ) from None
    other = next((modality for modality in registry.list_modalities() if modality not in cls.modalities), None)
    for modality, task in [(other, registry.supported_tasks(other)[0])] if other else []:
        action_space = registry.get_modality(modality).action_spaces(("discrete",))[0]
        spec = Case(task, modality, action_space).dataset.spec
        if not _refuses(partial(registry.create, name, spec=spec)):
            raise ConformanceError(
                f"{subject_name}: takes {modality} data, which it does not claim; call super().__init__(spec=spec)"
            )
    if model.name != name:
        raise ConformanceError(f"{subject_name}: its name is {model.name!r}; register each class under one name")
    _check_pairing(name, subject_name)


def _check_signature(cls: type[ZooModule], subject_name: str) -> None:
    tasks, modalities = registry.list_tasks(), registry.list_modalities()
    if not cls.tasks or not cls.modalities or set(cls.tasks) - set(tasks) or set(cls.modalities) - set(modalities):
        raise ConformanceError(
            f"{subject_name}: declares tasks {cls.tasks} and modalities {cls.modalities}; must be some of {tasks} and of {modalities}"
        )
    for option, parameter in registry.parameters(cls).items():
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            raise ConformanceError(
                f"{subject_name}: {option!r} must be a keyword-only argument (after *), so that a typo fails"
            )
        if parameter.default is inspect.Parameter.empty:
            raise ConformanceError(
                f"{subject_name}: {option!r} has no default; give it one (spec: DIGITS of zoo.data.spec, or yours)"
            )
    if "spec" not in registry.parameters(cls):
        raise ConformanceError(f"{subject_name}: takes no spec; it must be built for the data that spec describes")
    try:
        cls(no_such_option=0)  # type: ignore[call-arg]
    except TypeError:
        return
    raise ConformanceError(
        f"{subject_name}: takes options that do not exist; hand **options on to the base class, or name them"
    )


def _check_pairing(name: str, subject_name: str) -> None:
    entry = registry.entry(name)
    with quiet():
        fitting = configs.fitting_data(entry)
        modalities: set[str] = set()
        for data in groups.choices("data"):
            if data in fitting:
                pair = configs.pair(name, data)
                configs.task_of(pair)
                recipe = groups.conf_dir() / "recipe" / f"{name}-{data}.yaml"
                if (
                    pair.data.modality not in modalities or recipe.is_file()
                ):  # the others are composed of the same parts
                    RunConfig.from_config(configs.compose([f"model={name}", f"data={data}"]), recipe=name, command="")
                modalities.add(pair.data.modality)
            elif not _refuses(partial(_pair, name, data), *fitting):
                raise ConformanceError(f"{subject_name}: takes data={data}, which it does not claim")
    if entry.module.startswith("zoo.models."):
        path = groups.conf_dir() / "model" / f"{name}.yaml"
        if not path.is_file():
            raise ConformanceError(f"{subject_name}: has no {path.name} in conf/model; a built-in model has one")


def _pair(name: str, data: str) -> str:
    """Return the task of a model on a data set."""
    return configs.task_of(configs.pair(name, data))


def _refuses(act: Callable[[], Any], *names: str) -> bool:
    try:
        act()
    except ZooError as error:
        return all(name in str(error) for name in names)
    return False
