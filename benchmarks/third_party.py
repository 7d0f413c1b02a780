"""The suite ``third_party``: other libraries on the same data, for tables, environments and other cases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks import third_party_other, third_party_rl, third_party_tables
from benchmarks.arguments import take_budget, take_flag, take_nothing_else, take_number
from benchmarks.jobs import Job
from benchmarks.quality import chosen
from zoo.exceptions import ZooError


def jobs(args: dict[str, str], earlier: Sequence[dict[str, Any]]) -> list[Job]:
    """Return the jobs of each case with a third-party library.

    Raises:
        ZooError: no case has one.
    """
    budget, fresh = take_budget(args), take_flag(args, "fresh")
    seeds = take_number(args, "seeds", 3 if budget == "full" else 1)
    cases = [
        case
        for case in chosen(args)
        if any(kind.fits(case) for kind in (third_party_tables, third_party_rl, third_party_other))
    ]
    take_nothing_else(args, "third_party")
    if not cases:
        raise ZooError(
            "no case with a third-party library. Recipes of tables set expected.third_party. "
            "Other cases are in third_party_rl.py and third_party_other.py."
        )
    earlier = [] if fresh else earlier
    selected: list[Job] = []
    for case in cases:
        if third_party_tables.fits(case):
            selected += third_party_tables.jobs(case, seeds, budget, earlier)
        if third_party_rl.fits(case):
            selected += third_party_rl.jobs(case, seeds, earlier)
        if third_party_other.fits(case):
            selected += third_party_other.jobs(case, seeds, earlier)
    return selected
