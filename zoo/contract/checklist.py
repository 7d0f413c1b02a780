"""All checks, in the order of the contract."""

from __future__ import annotations

from collections.abc import Callable

from zoo.contract.checks import (
    check_checkpoint,
    check_export,
    check_forward,
    check_gradients,
    check_learns,
    check_precision,
    check_seeds,
)
from zoo.contract.creation import check_create
from zoo.contract.runs import check_processes, check_resume
from zoo.contract.subject import Subject, name_of, subjects

# Whether a check is made on every task and kind of data that the model claims, or on the first.
CHECKS: dict[Callable[[Subject], None], str] = {
    check_forward: "every",
    check_gradients: "every",
    check_learns: "every",
    check_seeds: "first",
    check_checkpoint: "every",
    check_resume: "first",
    check_export: "every",
    check_processes: "first",
    check_precision: "every",
}
ON_CUDA = set(CHECKS) - {check_processes}


def check_model(model: str | type, *, device: str = "cpu") -> None:
    """Put a model through the whole contract: a ZooModule's class, ``module:Class``, or a registered name.

    Raises:
        ContractError: the first promise that it breaks.
    """
    name = name_of(model)
    check_create(name)
    every = subjects(name, device)
    for check, where in CHECKS.items():
        for subject in every if where == "every" else every[:1]:
            check(subject)
