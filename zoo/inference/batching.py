"""Dynamic batching: splits requests of any size into chunks of bounded cost and batches chunks of similar length.

Each request has a deadline. If a batch of several requests fails, each request is computed on its own, so that only the
invalid one fails. This module is independent of HTTP.
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

STEPS = 8192  # sequence steps of all rows of a chunk together, including padding
# Largest ratio of the longest to the shortest row of a chunk; rows below SHORT steps count as SHORT
ALIKE, SHORT = 2, 8
TIMEOUT = "the request timed out"
Batch = dict[str, Tensor]
Prediction = dict[str, Any]


@dataclass(frozen=True)
class Failure:
    """The reason why a request has no prediction.

    Attributes:
        status: the HTTP status.
        detail: the message for the client.
        cause: the internal error, for the server's log only.
    """

    status: int
    detail: str
    cause: str = ""


@dataclass(eq=False)
class Request:
    """A waiting request; ``chunks`` are the row numbers still without a prediction, shortest rows first."""

    key: Any
    batch: Batch
    deadline: float
    chunks: deque[Tensor]
    predictions: list[Prediction | None] = field(default_factory=list)

    @property
    def cost(self) -> int:
        """The number of sequence steps left to compute."""
        return sum(len(rows) * self.longest(rows) for rows in self.chunks)

    def longest(self, rows: Tensor) -> int:
        """Return the number of steps of the longest of the given rows, or 1 for data without lengths."""
        return int(self.batch["lengths"][rows].max()) if "lengths" in self.batch else 1

    def shortest(self, rows: Tensor) -> int:
        """Return the number of steps of the shortest of the given rows, or 1 for data without lengths."""
        return int(self.batch["lengths"][rows].min()) if "lengths" in self.batch else 1

    def part(self, rows: Tensor) -> Batch:
        """Return the given rows as a batch, padded only to their longest."""
        batch = {key: value[rows] for key, value in self.batch.items()}
        if "lengths" in batch:
            batch["x"] = batch["x"][:, : self.longest(rows)]
        return batch


Chunk = tuple[Request, Tensor]
Outcome = tuple[Any, list[Prediction] | Failure]


class Batcher:
    """Collects requests and computes their predictions in batches.

    Args:
        predict: returns one prediction per row of a batch.
        rows: maximum number of rows per batch.
    """

    def __init__(self, predict: Callable[[Batch], list[Prediction]], *, rows: int = 64) -> None:
        self.predict, self.rows = predict, rows
        self.waiting: list[Request] = []  # oldest first
        self.turn = 0

    def add(self, key: Any, batch: Batch, deadline: float) -> None:
        """Enqueue a request with the identifier ``key``; ``deadline`` is a time of ``time.monotonic``."""
        count = len(batch["x"])
        self.waiting.append(Request(key, batch, deadline, deque(self._cut(batch)), [None] * count))

    def _cut(self, batch: Batch) -> Iterator[Tensor]:
        """Yield the row numbers of each chunk: rows of similar length with at most STEPS steps together."""
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
        """Compute one batch and return the requests that finished, failed or missed their deadline."""
        now = time.monotonic()
        late = [request for request in self.waiting if request.deadline <= now]
        outcomes: list[Outcome] = [(request.key, Failure(504, TIMEOUT)) for request in late]
        self.waiting = [request for request in self.waiting if request.deadline > now]
        if self.waiting:
            outcomes += self._compute(self._next())
        return outcomes

    def _next(self) -> list[Chunk]:
        """Return the chunks of the next batch, starting alternately with the cheapest and the oldest request."""
        self.turn += 1
        first = self.waiting[0] if self.turn % 2 == 0 else min(self.waiting, key=lambda request: request.cost)
        chunks = [(first, first.chunks.popleft())]
        longest, shortest = first.longest(chunks[0][1]), first.shortest(chunks[0][1])
        count = len(chunks[0][1])
        for request in self.waiting:
            while request.chunks:
                rows = request.chunks[0]
                longest, shortest = max(longest, request.longest(rows)), min(shortest, request.shortest(rows))
                count += len(rows)
                if count > self.rows or count * longest > STEPS or longest > ALIKE * max(shortest, SHORT):
                    return chunks
                chunks.append((request, request.chunks.popleft()))
        return chunks

    def _compute(self, chunks: Sequence[Chunk]) -> list[Outcome]:
        try:
            predictions = self.predict(joined([request.part(rows) for request, rows in chunks]))
        except Exception as error:
            if len(chunks) > 1:
                return [outcome for chunk in chunks for outcome in self._compute([chunk])]
            request = chunks[0][0]
            if request in self.waiting:  # an earlier chunk of it may have failed
                self.waiting.remove(request)
                return [(request.key, failure(error))]
            return []
        first = 0
        for request, rows in chunks:
            for place, row in enumerate(rows.tolist()):
                request.predictions[row] = predictions[first + place]
            first += len(rows)
        finished = [request for request, _ in chunks if not request.chunks and request in self.waiting]
        finished = list(dict.fromkeys(finished))
        self.waiting = [request for request in self.waiting if request not in finished]
        return [(request.key, [one for one in request.predictions if one is not None]) for request in finished]


def failure(error: Exception) -> Failure:
    """Return the failure to report for an exception: an invalid request, a timeout or an internal error."""
    if isinstance(error, ZooError):
        return Failure(422, str(error))
    if isinstance(error, TimeoutError):
        return Failure(504, TIMEOUT)
    return Failure(500, "internal error", cause=f"{type(error).__name__}: {error}")


def joined(batches: Sequence[Batch]) -> Batch:
    """Return the concatenation of batches, with shorter ones padded to the longest."""
    longest = max(batch["x"].shape[1] for batch in batches)
    parts = []
    for batch in batches:
        x = batch["x"]
        if x.shape[1] < longest:
            x = torch.cat([x, x.new_zeros(x.shape[0], longest - x.shape[1], *x.shape[2:])], 1)
        parts.append(x)
    merged = {"x": torch.cat(parts)}
    return merged | ({"lengths": torch.cat([b["lengths"] for b in batches])} if "lengths" in batches[0] else {})
