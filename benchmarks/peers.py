"""Peers: what a user would take instead, run in turn: trees on tables, stable-baselines3 in environments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks import actors, trees
from benchmarks.quality import chosen
from benchmarks.words import take_budget, take_flag, take_nothing_else, take_number
from zoo.errors import ZooError


def rows(asked: dict[str, str], earlier: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the rows of each case that has a peer.

    Raises:
        ZooError: none has.
    """
    budget, fresh = take_budget(asked), take_flag(asked, "fresh")
    seeds = take_number(asked, "seeds", 3 if budget == "full" else 1)
    found = [case for case in chosen(asked) if trees.fits(case) or actors.fits(case)]
    take_nothing_else(asked, "peers")
    if not found:
        raise ZooError("no case with a peer: those of tables say so in their promise, of policies see actors.py")
    for case in found:
        if trees.fits(case):
            yield from trees.rows(case, seeds, budget)
        else:
            yield from actors.rows(case, seeds, [] if fresh else earlier)
