"""All conformance checks, in their order; the first is how a model is created, paired and refused."""

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
    """Check that it is made without arguments, runs on all data that it claims, and refuses what it cannot do."""
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
            yield f"{option!r} must be a keyword-only argument (after *), so that a typo fails"
        if parameter.default is inspect.Parameter.empty:
            yield f"{option!r} has no default; give it one (spec: DIGITS of zoo.data.spec, or yours)"
    if "spec" not in registry.parameters(cls):
        yield "takes no spec; it must be built for the data that spec describes"
    with contextlib.suppress(TypeError):
        cls(no_such_option=0)  # type: ignore[call-arg]
        yield "takes options that do not exist; hand **options on to the base class, or name them"


def _instance_problems(name: str, cls: type[ZooModule]) -> Iterator[str]:
    try:
        if cls().name != name:  # type: ignore[call-arg]
            yield f"its name is {cls.name!r}; register each class under one name"
    except ZooError as error:
        yield f"its defaults are refused ({error}); choose defaults that fit"
    for modality in [modality for modality in registry.list_modalities() if modality not in cls.modalities][:1]:
        action_space = registry.get_modality(modality).action_spaces(("discrete",))[0]
        spec = Case(registry.supported_tasks(modality)[0], modality, action_space).dataset.spec
        if not _refuses(partial(registry.create, name, spec=spec)):
            yield f"takes {modality} data, which it does not claim; call super().__init__(spec=spec)"


def _pairing_problems(name: str) -> Iterator[str]:
    entry = registry.entry(name)
    fitting, modalities = configs.fitting_data(entry), set()
    for data in groups.choices("data"):
        if data in fitting:
            modality = _pair(name, data).data.modality
            recipe = groups.conf_dir() / "recipe" / f"{name}-{data}.yaml"
            if modality not in modalities or recipe.is_file():  # the others are composed of the same parts
                RunConfig.from_config(configs.compose([f"model={name}", f"data={data}"]), recipe=name, command="")
            modalities.add(modality)
        elif not _refuses(partial(_pair, name, data), *fitting):
            yield f"takes data={data}, which it does not claim"
    path = groups.conf_dir() / "model" / f"{name}.yaml"
    if entry.module.startswith("zoo.models.") and not path.is_file():
        yield f"has no {path.name} in conf/model; a built-in model has one"


def _pair(name: str, data: str) -> DictConfig:
    """Return a model and a data set that have a task together."""
    pair = configs.pair(name, data)
    configs.task_of(pair)
    return pair


def _refuses(act: Callable[[], Any], *names: str) -> bool:
    try:
        act()
    except ZooError as error:
        return all(name in str(error) for name in names)
    return False


# Whether a check is made on every task and modality that the model claims, on as few as have each of both
# ("covering"), or on the first.
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
    """Yield the checks of a model, with the subjects that they are made on."""
    every = subjects(name, device)
    few = covering([(subject.case.task, subject.case.data) for subject in every])
    numbers = {"every": range(len(every)), "covering": sorted(few), "first": range(len(every))[:1]}
    for check, where in CHECKS.items():
        yield from ((check, every[number]) for number in numbers[where])


def covering(pairs: Sequence[tuple[str, str]]) -> list[int]:
    """Return the numbers of few pairs, the first among them, in which each task and each modality occurs."""
    numbers: list[int] = []
    covered: set[str] = set()
    while len(covered) < len({one for pair in pairs for one in pair}):
        numbers.append(max(range(len(pairs)), key=lambda n: (len(set(pairs[n]) - covered), -n)))
        covered |= set(pairs[numbers[-1]])
    return numbers


def check_model(model: str | type, *, device: str = "cpu") -> None:
    """Run all conformance checks on a model: a ZooModule's class, ``module:Class``, or a registered name.

    Raises:
        ConformanceError: the first promise that it breaks.
    """
    name = name_of(model)
    check_create(name)
    for check, subject in checks_of(name, device):
        check(subject)
