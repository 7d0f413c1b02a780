"""Requests of any size on one model: cut into pieces of bounded cost, like ones together, each by its deadline.

A piece that fails is computed again request by request, so that only the one at fault fails. Knows nothing of HTTP.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from zoo.exceptions import ZooError

STEPS = 8192  # of all rows of a piece together, padding included
# How many times as long as its shortest row a piece's longest may be, which counts as SHORT at least
ALIKE, SHORT = 2, 8
Batch = dict[str, Tensor]
Answer = dict[str, Any]


@dataclass(frozen=True)
class Failure:
    """Why a request has no answer, with the HTTP status that says so; ``cause`` is for the server's own log."""

    status: int
    detail: str
    cause: str = ""


@dataclass(eq=False)
class Request:
    """A request that waits: its ``pieces`` are row numbers that have no answer yet, shortest rows first."""

    key: Any
    batch: Batch
    deadline: float
    pieces: deque[Tensor]
    answers: list[Answer | None] = field(default_factory=list)

    @property
    def cost(self) -> int:
        """Steps that are left to compute."""
        return sum(len(rows) * self.longest(rows) for rows in self.pieces)

    def longest(self, rows: Tensor) -> int:
        """Return the steps of the longest of some rows; 1 where rows have no lengths."""
        return int(self.batch["lengths"][rows].max()) if "lengths" in self.batch else 1

    def shortest(self, rows: Tensor) -> int:
        """Return the steps of the shortest of some rows."""
        return int(self.batch["lengths"][rows].min()) if "lengths" in self.batch else 1

    def part(self, rows: Tensor) -> Batch:
        """Return some rows as a batch, without padding that they do not need."""
        batch = {key: value[rows] for key, value in self.batch.items()}
        if "lengths" in batch:
            batch["x"] = batch["x"][:, : self.longest(rows)]
        return batch


Piece = tuple[Request, Tensor]
Outcome = tuple[Any, list[Answer] | Failure]


class Batcher:
    """Requests that wait for ``predict``, which answers a batch row by row; at most ``rows`` are computed at once."""

    def __init__(self, predict: Callable[[Batch], list[Answer]], *, rows: int = 64) -> None:
        self.predict, self.rows = predict, rows
        self.waiting: list[Request] = []  # the oldest first
        self.turn = 0

    def add(self, key: Any, batch: Batch, deadline: float) -> None:
        """Have a batch wait; ``deadline`` is a time of ``time.monotonic``."""
        count = len(batch["x"])
        self.waiting.append(Request(key, batch, deadline, deque(self._cut(batch)), [None] * count))

    def _cut(self, batch: Batch) -> Iterator[Tensor]:
        """Yield row numbers of pieces that cost at most STEPS, rows of like length in each."""
        count = len(batch["x"])
        if "lengths" not in batch:
            yield from torch.split(torch.arange(count), self.rows)
            return
        order = batch["lengths"].argsort(stable=True)
        lengths = batch["lengths"][order].tolist()
        first = 0
        for last in range(1, count + 1):
            full = last - first == self.rows or (last < count and (last + 1 - first) * lengths[last] > STEPS)
            if last == count or full or lengths[last] > ALIKE * max(lengths[first], SHORT):
                yield order[first:last]
                first = last

    def step(self) -> list[Outcome]:
        """Compute one piece; return the requests that are finished, late or failed with it."""
        now = time.monotonic()
        late = [request for request in self.waiting if request.deadline <= now]
        outcomes: list[Outcome] = [(request.key, Failure(504, "took too long")) for request in late]
        self.waiting = [request for request in self.waiting if request.deadline > now]
        if self.waiting:
            outcomes += self._compute(self._next())
        return outcomes

    def _next(self) -> list[Piece]:
        """Return pieces that go together: of the cheapest request or, every other time, of the oldest one."""
        self.turn += 1
        first = self.waiting[0] if self.turn % 2 == 0 else min(self.waiting, key=lambda request: request.cost)
        pieces = [(first, first.pieces.popleft())]
        longest, shortest = first.longest(pieces[0][1]), first.shortest(pieces[0][1])
        count = len(pieces[0][1])
        for request in self.waiting:
            while request.pieces:
                rows = request.pieces[0]
                longest, shortest = max(longest, request.longest(rows)), min(shortest, request.shortest(rows))
                count += len(rows)
                if count > self.rows or count * longest > STEPS or longest > ALIKE * max(shortest, SHORT):
                    return pieces
                pieces.append((request, request.pieces.popleft()))
        return pieces

    def _compute(self, pieces: Sequence[Piece]) -> list[Outcome]:
        try:
            answers = self.predict(joined([request.part(rows) for request, rows in pieces]))
        except Exception as error:
            if len(pieces) > 1:
                return [outcome for piece in pieces for outcome in self._compute([piece])]
            request = pieces[0][0]
            if request in self.waiting:  # another of its pieces may have failed before
                self.waiting.remove(request)
                return [(request.key, failure(error))]
            return []
        first = 0
        for request, rows in pieces:
            for place, row in enumerate(rows.tolist()):
                request.answers[row] = answers[first + place]
            first += len(rows)
        finished = [request for request, _ in pieces if not request.pieces and request in self.waiting]
        finished = list(dict.fromkeys(finished))
        self.waiting = [request for request in self.waiting if request not in finished]
        return [(request.key, [answer for answer in request.answers if answer is not None]) for request in finished]


def failure(error: Exception) -> Failure:
    """Return what is answered in place of an answer: what is wrong with a request, or that the server failed."""
    if isinstance(error, ZooError):
        return Failure(422, str(error))
    if isinstance(error, TimeoutError):
        return Failure(504, "took too long")
    return Failure(500, "internal error", cause=f"{type(error).__name__}: {error}")


def joined(batches: Sequence[Batch]) -> Batch:
    """Return batches as one, the shorter ones padded."""
    longest = max(batch["x"].shape[1] for batch in batches)
    parts = []
    for batch in batches:
        x = batch["x"]
        if x.shape[1] < longest:
            x = torch.cat([x, x.new_zeros(x.shape[0], longest - x.shape[1], *x.shape[2:])], 1)
        parts.append(x)
    merged = {"x": torch.cat(parts)}
    return merged | ({"lengths": torch.cat([b["lengths"] for b in batches])} if "lengths" in batches[0] else {})
