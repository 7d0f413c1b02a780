"""What suites take: words of the command line, checked."""

from __future__ import annotations

from zoo.config.schema import check_choice, check_number
from zoo.exceptions import ZooError

BUDGETS = ("quick", "full")


def take_budget(asked: dict[str, str]) -> str:
    """Take ``budget=``: quick or full, full where it is not said."""
    budget = asked.pop("budget", "full")
    check_choice("budget", budget, BUDGETS)
    return budget


def take_number(asked: dict[str, str], name: str, default: int) -> int:
    """Take ``name=``, a whole number of at least 1."""
    text = asked.pop(name, str(default))
    number = int(text) if text.isdecimal() else text
    check_number(name, number, low=1, whole=True)
    return int(number)


def take_flag(asked: dict[str, str], name: str) -> bool:
    """Take ``name=``: true or false, false where it is not said."""
    text = asked.pop(name, "false")
    check_choice(name, text, ("true", "false"))
    return text == "true"


def take_nothing_else(asked: dict[str, str], suite: str) -> None:
    """Refuse what a suite does not know.

    Raises:
        ZooError: a word is left.
    """
    if asked:
        raise ZooError(f"{next(iter(asked))!r}: is no word of suite={suite}; see python -m benchmarks --help")
