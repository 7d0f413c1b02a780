"""All conformance checks in order; the first covers construction, pairing with data, and rejection of other data."""

from __future__ import annotations

import contextlib
import inspect
import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from omegaconf import DictConfig

from zoo import registry
from zoo.config import compose as configs
from zoo.config import groups
from zoo.config.run_config import RunConfig
from zoo.exceptions import ConformanceError, ZooError
from zoo.models.base import ZooModule
from zoo.testing.checks import (
    check_checkpoint,
    check_export,
    check_forward,
    check_gradients,
    check_learns,
    check_precision,
    check_seeds,
)
from zoo.testing.devices import check_accelerator
from zoo.testing.runs import check_processes, check_resume
from zoo.testing.subject import Case, Subject, name_of, quiet, subjects


def check_create(name: str) -> None:
    """Check that a model needs no arguments, accepts all data that it declares, and rejects all other data.

    Raises:
        ConformanceError: the first problem found.
    """
    cls = registry.get(name)
    checks = _signature_problems(cls), _instance_problems(name, cls), _pairing_problems(name)
    with quiet():
        problem = next(itertools.chain(*checks), None)
    if problem is not None:
        raise ConformanceError(f"{name} ({cls.__module__}.{cls.__qualname__}): {problem}")


def _signature_problems(cls: type[ZooModule]) -> Iterator[str]:
    tasks, modalities = registry.list_tasks(), registry.list_modalities()
    if not cls.tasks or not cls.modalities or set(cls.tasks) - set(tasks) or set(cls.modalities) - set(modalities):
        claims = f"tasks {cls.tasks} and modalities {cls.modalities}"
        yield f"declares {claims}; must be some of {tasks} and of {modalities}"
    for option, parameter in registry.parameters(cls).items():
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            yield f"option {option!r} must be a keyword-only argument (after *), so that a typo fails"
        if parameter.default is inspect.Parameter.empty:
            yield f"option {option!r} has no default. Give it one (spec: DIGITS of zoo.data.spec, or your own)."
    if "spec" not in registry.parameters(cls):
        yield "has no option spec. The model must adapt to the data that spec describes."
    with contextlib.suppress(TypeError):
        cls(no_such_option=0)  # type: ignore[call-arg]
        yield "accepts unknown options. Pass **options to the base class, or declare them."


def _instance_problems(name: str, cls: type[ZooModule]) -> Iterator[str]:
    try:
        if cls().name != name:  # type: ignore[call-arg]
            yield f"its name is {cls.name!r}. Register each class under one name."
    except ZooError as error:
        yield f"its default options are invalid ({error}). Choose valid defaults."
    for modality in [modality for modality in registry.list_modalities() if modality not in cls.modalities][:1]:
        action_space = registry.get_modality(modality).action_spaces(("discrete",))[0]
        spec = Case(registry.supported_tasks(modality)[0], modality, action_space).dataset.spec
        if not _refuses(partial(registry.create, name, spec=spec)):
            yield f"accepts {modality} data, which it does not declare. Call super().__init__(spec=spec)."


def _pairing_problems(name: str) -> Iterator[str]:
    entry = registry.entry(name)
    fitting, modalities = configs.fitting_data(entry), set()
    for data in groups.choices("data"):
        if data in fitting:
            modality = _pair(name, data).data.modality
            recipe = groups.conf_dir() / "recipe" / f"{name}-{data}.yaml"
            if modality not in modalities or recipe.is_file():  # the others consist of the same parts
                RunConfig.from_config(configs.compose([f"model={name}", f"data={data}"]), recipe=name, command="")
            modalities.add(modality)
        elif not _refuses(partial(_pair, name, data), *fitting):
            yield f"accepts data={data}, which it does not declare"
    path = groups.conf_dir() / "model" / f"{name}.yaml"
    if entry.module.startswith("zoo.models.") and not path.is_file():
        yield f"conf/model/{path.name} is missing; every built-in model needs one"


def _pair(name: str, data: str) -> DictConfig:
    """Return the configuration of a model and a data set that share a task.

    Raises:
        ZooError: they do not fit together.
    """
    pair = configs.pair(name, data)
    configs.task_of(pair)
    return pair


def _refuses(act: Callable[[], Any], *names: str) -> bool:
    try:
        act()
    except ZooError as error:
        return all(name in str(error) for name in names)
    return False


# Where each check runs: on every declared task and modality, on a small set that covers each task and each modality
# ("covering"), or on the first only.
CHECKS: dict[Callable[[Subject], None], str] = {
    check_forward: "every",
    check_gradients: "every",
    check_learns: "every",
    check_seeds: "first",
    check_checkpoint: "covering",
    check_resume: "first",
    check_export: "covering",
    check_processes: "first",
    check_precision: "covering",
    check_accelerator: "every",
}
ON_CUDA = set(CHECKS) - {check_processes, check_accelerator}


def checks_of(name: str, device: str) -> Iterator[tuple[Callable[[Subject], None], Subject]]:
    """Yield the checks of a model together with their subjects."""
    every = subjects(name, device)
    few = covering([(subject.case.task, subject.case.data) for subject in every])
    numbers = {"every": range(len(every)), "covering": sorted(few), "first": range(len(every))[:1]}
    for check, where in CHECKS.items():
        yield from ((check, every[number]) for number in numbers[where])


def covering(pairs: Sequence[tuple[str, str]]) -> list[int]:
    """Return the indices of a small set of pairs that covers each task and each modality, including the first pair."""
    numbers: list[int] = []
    covered: set[str] = set()
    while len(covered) < len({one for pair in pairs for one in pair}):
        numbers.append(max(range(len(pairs)), key=lambda n: (len(set(pairs[n]) - covered), -n)))
        covered |= set(pairs[numbers[-1]])
    return numbers


def check_model(model: str | type, *, device: str = "cpu") -> None:
    """Run all conformance checks on a model.

    Args:
        model: a subclass of ZooModule, ``module:Class``, or a registered name.
        device: the device to run on.

    Raises:
        ConformanceError: the first check that fails.
    """
    name = name_of(model)
    check_create(name)
    for check, subject in checks_of(name, device):
        check(subject)
