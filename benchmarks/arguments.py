"""Validated arguments of the suites."""

from __future__ import annotations

from zoo.config.schema import check_choice, check_number
from zoo.exceptions import ZooError

BUDGETS = ("quick", "full")


def take_budget(args: dict[str, str]) -> str:
    """Remove ``budget=`` from the arguments and return it: quick or full, by default full."""
    budget = args.pop("budget", "full")
    check_choice("budget", budget, BUDGETS)
    return budget


def take_number(args: dict[str, str], name: str, default: int) -> int:
    """Remove ``name=`` from the arguments and return it as an integer of at least 1."""
    text = args.pop(name, str(default))
    number = int(text) if text.isdecimal() else text
    check_number(name, number, low=1, integer=True)
    return int(number)


def take_flag(args: dict[str, str], name: str) -> bool:
    """Remove ``name=`` from the arguments and return it: true or false, by default false."""
    text = args.pop(name, "false")
    check_choice(name, text, ("true", "false"))
    return text == "true"


def take_nothing_else(args: dict[str, str], suite: str) -> None:
    """Reject unknown arguments of a suite.

    Raises:
        ZooError: ``args`` is not empty.
    """
    if args:
        raise ZooError(f"{next(iter(args))!r}: not an option of suite={suite}. See python -m benchmarks --help.")
