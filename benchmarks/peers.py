"""Peers: what a user would take instead, run in turn: of tables, of environments, and others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks import actors, others, tables
from benchmarks.jobs import Job
from benchmarks.quality import chosen
from benchmarks.words import take_budget, take_flag, take_nothing_else, take_number
from zoo.exceptions import ZooError


def jobs(asked: dict[str, str], earlier: Sequence[dict[str, Any]]) -> list[Job]:
    """Return the jobs of each case that has a peer.

    Raises:
        ZooError: none has.
    """
    budget, fresh = take_budget(asked), take_flag(asked, "fresh")
    seeds = take_number(asked, "seeds", 3 if budget == "full" else 1)
    found = [case for case in chosen(asked) if any(kind.fits(case) for kind in (tables, actors, others))]
    take_nothing_else(asked, "peers")
    if not found:
        raise ZooError(
            "no case with a peer: those of tables say so in their promise, for more see actors.py and others.py"
        )
    earlier = [] if fresh else earlier
    wanted: list[Job] = []
    for case in found:
        if tables.fits(case):
            wanted += tables.jobs(case, seeds, budget, earlier)
        if actors.fits(case):
            wanted += actors.jobs(case, seeds, earlier)
        if others.fits(case):
            wanted += others.jobs(case, seeds, earlier)
    return wanted
