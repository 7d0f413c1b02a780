"""All conformance checks, in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from zoo.testing.checks import (
    check_checkpoint,
    check_export,
    check_forward,
    check_gradients,
    check_learns,
    check_precision,
    check_seeds,
)
from zoo.testing.creation import check_create
from zoo.testing.devices import check_accelerator
from zoo.testing.runs import check_processes, check_resume
from zoo.testing.subject import Subject, name_of, subjects

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
