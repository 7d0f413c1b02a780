"""Peers: what a user would take instead, run in turn: trees on tables, stable-baselines3 in environments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks import actors, trees
from benchmarks.jobs import Job
from benchmarks.quality import chosen
from benchmarks.words import take_budget, take_flag, take_nothing_else, take_number
from zoo.errors import ZooError


def jobs(asked: dict[str, str], earlier: Sequence[dict[str, Any]]) -> list[Job]:
    """Return the jobs of each case that has a peer.

    Raises:
        ZooError: none has.
    """
    budget, fresh = take_budget(asked), take_flag(asked, "fresh")
    seeds = take_number(asked, "seeds", 3 if budget == "full" else 1)
    found = [case for case in chosen(asked) if trees.fits(case) or actors.fits(case)]
    take_nothing_else(asked, "peers")
    if not found:
        raise ZooError("no case with a peer: those of tables say so in their promise, of policies see actors.py")
    earlier = [] if fresh else earlier
    return [
        job
        for case in found
        for job in (trees.jobs(case, seeds, budget, earlier) if trees.fits(case) else actors.jobs(case, seeds, earlier))
    ]
