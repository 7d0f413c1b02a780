"""Calendars of time series: regular grids of time stamps, and the times that follow.

A step is one of four kinds:

- a fixed duration
- a number of months, with a rule for the day, such as a day of the month, the business end or the third Friday
- several days of each month, such as the 15th and the last
- a weekly pattern, such as business days or trading hours

The model stores the step as a tuple of plain values, so that new data uses the same calendar.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

Step = tuple[Any, ...]
SECOND = 1_000_000  # in microseconds, the unit of all times here
DAY = 86_400 * SECOND
WEEK = 7 * DAY
MONDAY = 4 * DAY  # the first Monday after the start of 1970
FINEST_SEASON = 900 * SECOND  # with finer steps, a day is longer than the context of a model
PATTERN_WEEKS = 3  # minimum length of data to recognize a weekly pattern
PATTERN_SLOTS = 1000  # maximum number of slots per week
PATTERN_SHARE = 0.9  # of all steps of a week; a pattern with more slots is a series with gaps
PATTERN_GAPS = 0.1  # maximum fraction of missing times in a pattern, for example holidays


class Calendar(Protocol):
    """Regular times, numbered from the first time of a series."""

    @property
    def step(self) -> Step:
        """The step as plain values."""

    def positions(self, times: np.ndarray) -> np.ndarray | None:
        """Return the position of each time, None if one is not on this calendar."""

    def at(self, positions: np.ndarray) -> np.ndarray:
        """Return the times at these positions."""


@dataclass(frozen=True)
class Grid:
    """The regular times of a series, and the position of each row among them."""

    times: np.ndarray
    positions: np.ndarray
    calendar: Calendar

    @property
    def missing(self) -> int:
        """Number of times without a row."""
        return len(self.times) - len(self.positions)

    def following(self, count: int) -> np.ndarray:
        """Return the ``count`` times after the last one."""
        return self.calendar.at(np.arange(len(self.times), len(self.times) + count))


@dataclass(frozen=True)
class Numbers:
    """Numeric times with a constant difference."""

    first: float
    difference: float

    @property
    def step(self) -> Step:
        """The step as plain values."""
        return ("number", self.difference)

    def positions(self, times: np.ndarray) -> np.ndarray | None:
        """Return the position of each time. Deviations below a millionth of a step are rounding."""
        exact = (times - self.first) / self.difference
        numbers = exact.round()
        return numbers.astype(np.int64) if (abs(exact - numbers) < 1e-6).all() else None

    def at(self, positions: np.ndarray) -> np.ndarray:
        """Return the times at these positions."""
        return self.first + self.difference * positions


@dataclass(frozen=True)
class Fixed:
    """Times with a constant difference in microseconds."""

    first: np.datetime64
    microseconds: int

    @property
    def step(self) -> Step:
        """The step as plain values, in seconds."""
        return ("seconds", self.microseconds / SECOND)

    def positions(self, times: np.ndarray) -> np.ndarray | None:
        """Return the position of each time."""
        numbers, rest = np.divmod((times - self.first).astype(np.int64), self.microseconds)
        return None if rest.any() else numbers

    def at(self, positions: np.ndarray) -> np.ndarray:
        """Return the times at these positions."""
        return self.first + (positions * self.microseconds).astype("timedelta64[us]")


@dataclass(frozen=True)
class Months:
    """Times with a step of some months, on the day that a rule gives, at a fixed time of day.

    The rule ("day", 31) is that day, or the last day of a shorter month. Other rules are ("business_end",) and
    ("business_start",). The rule ("weekday", 3, 4) is the third Friday, and ("weekday", -1, 4) the last.
    """

    first: np.datetime64
    count: int
    rule: Step

    @property
    def step(self) -> Step:
        """The step as plain values."""
        return ("months", self.count, *self.rule)

    def positions(self, times: np.ndarray) -> np.ndarray | None:
        """Return the position of each time."""
        months = times.astype("datetime64[M]")
        numbers, rest = np.divmod((months - self.first.astype("datetime64[M]")).astype(np.int64), self.count)
        days = times.astype("datetime64[D]")
        clock = self.first - self.first.astype("datetime64[D]")
        if rest.any() or (times - days != clock).any() or (days != _days(months, self.rule)).any():
            return None
        return np.asarray(numbers)

    def at(self, positions: np.ndarray) -> np.ndarray:
        """Return the times at these positions."""
        months = self.first.astype("datetime64[M]") + positions * self.count
        return np.asarray(_days(months, self.rule) + (self.first - self.first.astype("datetime64[D]")))


def _days(months: np.ndarray, rule: Step) -> np.ndarray:
    """Return the day of each month according to a rule."""
    first = months.astype("datetime64[D]")
    last = (months + 1).astype("datetime64[D]") - 1
    name, *rest = rule
    if name == "day":
        return np.asarray(np.minimum(first + (int(rest[0]) - 1), last))
    if name == "business_end":
        return np.busday_offset(last, 0, roll="backward")
    if name == "business_start":
        return np.busday_offset(first, 0, roll="forward")
    nth, weekday = map(int, rest)
    mask = [day == weekday for day in range(7)]
    if nth < 0:
        return np.busday_offset(last, 0, roll="backward", weekmask=mask)
    return np.busday_offset(first, nth - 1, roll="forward", weekmask=mask)


@dataclass(frozen=True)
class MonthDays:
    """Times on fixed days of each month (31: the last day), at a fixed time of day."""

    first: np.datetime64
    days: tuple[int, ...]

    @property
    def step(self) -> Step:
        """The step as plain values."""
        return ("month_days", *self.days)

    def _place(self, times: np.ndarray) -> np.ndarray:
        """Return for each time the number of such times between 1970 and it."""
        months, days = times.astype("datetime64[M]"), times.astype("datetime64[D]")
        before = sum((days > _days(months, ("day", day))).astype(np.int64) for day in self.days)
        return np.asarray(months.astype(np.int64) * len(self.days) + before)

    def positions(self, times: np.ndarray) -> np.ndarray | None:
        """Return the position of each time."""
        numbers = self._place(times) - self._place(np.array([self.first]))[0]
        return numbers if (self.at(numbers) == times).all() else None

    def at(self, positions: np.ndarray) -> np.ndarray:
        """Return the times at these positions."""
        month, place = np.divmod(positions + self._place(np.array([self.first]))[0], len(self.days))
        months = month.astype("datetime64[M]")
        choices = [_days(months, ("day", day)) for day in self.days]
        return np.asarray(np.choose(place, choices) + (self.first - self.first.astype("datetime64[D]")))


@dataclass(frozen=True)
class Weekly:
    """Times that repeat every week. ``slots`` are in microseconds after the start of Monday."""

    first: np.datetime64
    slots: tuple[int, ...]
    epoch: ClassVar[np.datetime64] = np.datetime64(MONDAY, "us")

    @property
    def step(self) -> Step:
        """The step as plain values, in seconds after the start of Monday."""
        return ("week", *(slot / SECOND for slot in self.slots))

    def _numbers(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        week, rest = np.divmod((times - self.epoch).astype(np.int64), WEEK)
        place = np.searchsorted(self.slots, rest).clip(max=len(self.slots) - 1)
        return week * len(self.slots) + place, np.array(self.slots)[place] == rest

    def positions(self, times: np.ndarray) -> np.ndarray | None:
        """Return the position of each time."""
        (start,), _ = self._numbers(np.array([self.first]))
        numbers, right = self._numbers(times)
        return numbers - start if right.all() else None

    def at(self, positions: np.ndarray) -> np.ndarray:
        """Return the times at these positions."""
        (start,), _ = self._numbers(np.array([self.first]))
        week, place = np.divmod(positions + start, len(self.slots))
        return np.asarray(self.epoch + (week * WEEK + np.array(self.slots)[place]).astype("timedelta64[us]"))


def grid_of(times: np.ndarray, step: Step = ()) -> Grid | None:
    """Return the grid of increasing times with the fewest missing times. None if no calendar fits.

    A calendar fits if all times are on it, and at least half of its times are present. If ``step`` is given, only its
    calendar is tried.
    """
    best: tuple[int, Calendar, np.ndarray] | None = None
    for calendar in _known(times, step) if step else _candidates(times):
        positions = calendar.positions(times)
        if positions is None:
            continue
        size = int(positions[-1]) + 1
        if size <= 2 * len(times) and (best is None or size < best[0]):
            best = size, calendar, positions
            if size == len(times):
                break
    return None if best is None else Grid(best[1].at(np.arange(best[0])), best[2], best[1])


def _known(times: np.ndarray, step: Step) -> Iterator[Calendar]:
    """Yield the calendars of a known step. For months, also try other days."""
    name, *rest = step
    if (name == "number") != (times.dtype.kind != "M"):
        return
    if name == "number":
        yield Numbers(times[0], rest[0])
    elif name == "seconds":
        yield Fixed(times[0], round(rest[0] * SECOND))
    elif name == "week":
        yield Weekly(times[0], tuple(round(slot * SECOND) for slot in rest))
    elif name == "month_days":
        yield MonthDays(times[0], tuple(rest))
    else:
        yield Months(times[0], rest[0], tuple(rest[1:]))
        yield from (Months(times[0], rest[0], rule) for rule in _rules(times))


def _candidates(times: np.ndarray) -> Iterator[Calendar]:
    """Yield candidate calendars for times, the simplest first."""
    if len(times) < 2:
        return
    if times.dtype.kind != "M":
        differences = np.diff(times)
        for difference in dict.fromkeys((_mode(differences), differences.min())):
            length = float(times[-1] - times[0])
            yield Numbers(
                times[0], length / max(round(length / float(difference)), 1)
            )  # avoids the rounding of a single step
        return
    differences = np.diff(times).astype(np.int64)
    mode, least = _mode(differences), differences.min()
    fixed = list(dict.fromkeys(int(step) for step in (mode, least, np.gcd.reduce(differences))))
    yield from (Fixed(times[0], step) for step in fixed)
    if least >= 27 * DAY:
        months = np.diff(times.astype("datetime64[M]")).astype(np.int64)
        counts = dict.fromkeys(int(count) for count in (_mode(months), months.min(), np.gcd.reduce(months)))
        yield from (Months(times[0], count, rule) for rule in _rules(times) for count in counts if count)
    elif least >= 7 * DAY:
        yield MonthDays(times[0], _month_days(times))
    if times[-1] - times[0] >= np.timedelta64(PATTERN_WEEKS * WEEK, "us") and mode <= 4 * DAY:
        slots = np.unique((times - Weekly.epoch).astype(np.int64) % WEEK)
        weekly = Weekly(times[0], tuple(slots.tolist()))
        if 0 < len(weekly.slots) <= min(PATTERN_SLOTS, PATTERN_SHARE * WEEK / least):
            positions = weekly.positions(times)
            if positions is not None and positions[-1] + 1 <= len(times) / (1 - PATTERN_GAPS):
                yield weekly


def _mode(differences: np.ndarray) -> Any:
    values, counts = np.unique(differences, return_counts=True)
    return values[counts.argmax()]


def _month_days(times: np.ndarray) -> tuple[int, ...]:
    """Return the days of the month on which times fall, with 31 for the last day."""
    days = times.astype("datetime64[D]")
    last = days == _days(times.astype("datetime64[M]"), ("day", 31))
    numbers = (days - times.astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64) + 1
    return tuple(np.unique(np.where(last & (numbers >= 28), 31, numbers)).tolist())


def _rules(times: np.ndarray) -> Iterator[Step]:
    """Yield the day rules that all times may follow."""
    months, days = times.astype("datetime64[M]"), times.astype("datetime64[D]")
    numbers = (days - months.astype("datetime64[D]")).astype(np.int64) + 1
    weekdays = (days.astype(np.int64) + 3) % 7
    ends = days == _days(months, ("day", 31))
    yield ("day", 31 if ends.all() else int(numbers.max()))
    yield ("business_end",)
    yield ("business_start",)
    if (weekdays == weekdays[0]).all():
        yield ("weekday", int(numbers.max() - 1) // 7 + 1, int(weekdays[0]))
        yield ("weekday", -1, int(weekdays[0]))


def seasonal_period_of(step: Step) -> int:
    """Return the seasonal period in steps: a day, a week or a year. 1 if it is unknown."""
    name, *rest = step
    if name == "months":
        return int(12 // rest[0]) if 12 % rest[0] == 0 else 1
    if name == "month_days":
        return int(12 * len(rest))
    if name == "week":
        days = len({int(slot // 86_400) for slot in rest})
        each, more = divmod(len(rest), days)
        return days if each == 1 else each if not more and each <= DAY // FINEST_SEASON else 1
    if name == "number":
        return 1
    length = round(float(rest[0]) * SECOND)
    if length % WEEK == 0:
        return max(round(52 / (length // WEEK)), 1)
    if length == DAY:
        return 7
    return DAY // length if DAY % length == 0 and length >= FINEST_SEASON else 1


def step_text(step: Step) -> str:
    """Return a step as text, for example 15 minutes, 1 month or 5 times a week."""
    name, *rest = step
    if name == "number":
        return f"{rest[0]:g}"
    if name == "months":
        return _counted(rest[0], "month")
    if name in ("week", "month_days"):
        return f"{len(rest)} times a {name.partition('_')[0]}"
    return duration(rest[0])


def duration(seconds: float) -> str:
    """Return a duration in the largest unit that gives an integer."""
    for unit, size in (("week", 604_800), ("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= size and seconds % size == 0:
            return _counted(int(seconds // size), unit)
    return _counted(seconds, "second")


def _counted(count: float, unit: str) -> str:
    return f"{count:g} {unit}" + ("" if count == 1 else "s")


def direction(times: Sequence[Any] | np.ndarray) -> int:
    """Return the direction of times: 1 if they increase, −1 if they decrease, otherwise 0."""
    differences = np.diff(np.asarray(times))
    zero = differences.dtype.type(0) if len(differences) else 0
    return 1 if (differences > zero).all() else -1 if (differences < zero).all() else 0
