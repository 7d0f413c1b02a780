"""What suites take: words of the command line, checked."""

from __future__ import annotations

from zoo.config.schema import check_choice, check_number
from zoo.exceptions import ZooError

BUDGETS = ("quick", "full")


def take_budget(args: dict[str, str]) -> str:
    """Take ``budget=``: quick or full, full where it is not said."""
    budget = args.pop("budget", "full")
    check_choice("budget", budget, BUDGETS)
    return budget


def take_number(args: dict[str, str], name: str, default: int) -> int:
    """Take ``name=``, a whole number of at least 1."""
    text = args.pop(name, str(default))
    number = int(text) if text.isdecimal() else text
    check_number(name, number, low=1, integer=True)
    return int(number)


def take_flag(args: dict[str, str], name: str) -> bool:
    """Take ``name=``: true or false, false where it is not said."""
    text = args.pop(name, "false")
    check_choice(name, text, ("true", "false"))
    return text == "true"


def take_nothing_else(args: dict[str, str], suite: str) -> None:
    """Refuse what a suite does not know.

    Raises:
        ZooError: a word is left.
    """
    if args:
        raise ZooError(f"{next(iter(args))!r}: is no word of suite={suite}; see python -m benchmarks --help")
