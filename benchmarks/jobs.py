"""The jobs of a suite. They run in turn, and each row is written immediately."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """A part of a suite: ``run`` yields its rows, and ``seconds`` is the duration of an earlier run or None.

    A job without a name is not counted: it evaluates the rows of other jobs.
    """

    what: str
    run: Callable[[], Iterable[Row]]
    seconds: float | None = None


def done(jobs: Sequence[Job], *, say: Callable[[str], None] = print) -> Iterator[Row]:
    """Yield the rows of each job in turn, and print its number and the remaining time before each job.

    The estimate scales earlier durations by the pace of this session. A job without an earlier duration counts as the
    mean of the completed jobs. Without any duration no time is printed.
    """
    took: list[tuple[float, float | None]] = []  # measured and expected seconds
    counted = [job for job in jobs if job.what]
    for job in jobs:
        if not job.what:
            yield from job.run()
            continue
        left = remaining(counted[len(took) :], took)
        about = f", about {spoken(left)} left" if left is not None else ""
        say(f"[{len(took) + 1} of {len(counted)}{about}] {job.what}")
        started = time.perf_counter()
        yield from job.run()
        took.append((time.perf_counter() - started, job.seconds))


def remaining(jobs: Sequence[Job], took: Sequence[tuple[float, float | None]]) -> float | None:
    """Return the estimated seconds of ``jobs``, from the measured and expected seconds ``took`` of completed jobs."""
    both = [(seconds, expected) for seconds, expected in took if expected]
    pace = sum(s for s, _ in both) / sum(e for _, e in both) if both else 1.0
    known = [job.seconds for job in jobs if job.seconds is not None]
    typical = [s for s, _ in took] or [pace * s for s in known]
    if not typical:
        return None
    return pace * sum(known) + statistics.mean(typical) * (len(jobs) - len(known))


def spoken(seconds: float) -> str:
    """Return a duration as text, such as 40 s, 12 min or 3.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def timed(rows: Iterable[Row], key: Callable[[Row], Any], field: str) -> dict[Any, float]:
    """Return the median of ``field`` over earlier rows, grouped by ``key``."""
    seconds_by_key: dict[Any, list[float]] = {}
    for row in rows:
        if field in row:
            seconds_by_key.setdefault(key(row), []).append(row[field])
    return {name: statistics.median(values) for name, values in seconds_by_key.items()}
