"""Parse time stamps with one format per column: day or month first, offsets, epochs, quarters, weeks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from zoo.data.series.calendar import SECOND, grid_of

_NAMES = (  # in English, German, French, Spanish, Italian
    "jan january januar janvier janv ene enero gen gennaio|feb february februar fév févr février febrero febbraio|"
    "mar march mär märz mrz mars marzo|apr april avr avril abr abril aprile|may mai mayo mag maggio|"
    "jun june juni juin junio giu giugno|jul july juli juil juillet julio lug luglio|aug august août ago agosto|"
    "sep sept september septembre septiembre set settembre|oct october okt oktober octobre octubre ott ottobre|"
    "nov november novembre noviembre|dec december dez dezember déc décembre dic diciembre dicembre"
)
MONTH_NAMES = {name: n for n, names in enumerate(_NAMES.split("|"), start=1) for name in names.split()}
EPOCHS = {"unix_s": (1e8, 1e10, SECOND), "unix_ms": (1e11, 1e13, 1e3), "unix_us": (1e14, 1e16, 1.0)}
EPOCHS |= {"unix_ns": (1e17, 1e19, 1e-3)}  # minimum, maximum, microseconds per unit
LIKELY = 0.9  # minimum fraction of times in a column, where other cells are errors
PEEK = 50  # cells inspected to skip columns without times

_NAME, _GAP, _NTH = r"(?P<name>[^\W\d_]{3,10})\.?", r"[-/.,\s]*", r"(?:st|nd|rd|th)?\.?"
_YEAR, _SHORT = r"(?P<year>\d{4})", r"(?P<year>\d{4}|\d{2})"
_DATES = (
    rf"{_YEAR}(?P<s>[-/.\s])(?P<month>\d{{1,2}})(?P=s)(?P<day>\d{{1,2}})",
    rf"{_YEAR}(?P<month>\d{{2}})(?P<day>\d{{2}})",
    rf"(?P<a>\d{{1,2}})(?P<s>[-/.\s])\s?(?P<b>\d{{1,2}})(?P=s)\s?{_SHORT}",
    rf"(?P<day>\d{{1,2}}){_NTH}{_GAP}{_NAME}{_GAP}'?{_SHORT}",
    rf"{_NAME}\s?(?P<day>\d{{1,2}}){_NTH},?\s{_YEAR}",
    rf"{_NAME}{_GAP}'?{_SHORT}",
    rf"{_YEAR}{_GAP}{_NAME}(?:{_GAP}(?P<day>\d{{1,2}}))?",
    rf"{_YEAR}[-/.\s]?M?(?P<month>\d{{2}})",
    rf"{_YEAR}[-/.\s]M?(?P<month>\d)",
    rf"(?P<month>\d{{1,2}})[-/.\s]{_YEAR}",
    rf"{_YEAR}[-/.:\s]?Q(?P<quarter>[1-4])",
    rf"(?:Q(?P<quarter>[1-4])|(?P<q>[1-4])Q)[-/.:\s]?'?{_SHORT}",
    rf"{_YEAR}[-/.:\s]?[HS](?P<half>[12])",
    rf"{_YEAR}[-/.\s]?K?W(?P<week>\d{{1,2}})(?:[-\s]?(?P<weekday>[1-7]))?",
    rf"K?W\s?(?P<week>\d{{1,2}})[-/.\s]{_YEAR}",
    _YEAR,
)
_WEEKDAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,?\s+)?"
_CLOCK = (
    r"(?P<hour>\d{1,2})(?:[:.](?P<minute>\d{2})(?:[:.](?P<second>\d{2}(?:[.,]\d+)?))?)?(?:\s?(?P<noon>[ap])\.?m\.?)?"
)
_COMPACT = r"(?P<hour>\d{2})(?P<minute>\d{2})(?P<second>\d{2})?"
_OFFSET = r"(?:\s?(?P<offset>Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?))?"
PATTERNS = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        *(rf"{_WEEKDAY}{date}(?:(?:\s*T\s*|,?\s+){_CLOCK}{_OFFSET})?" for date in _DATES),
        *(rf"{_WEEKDAY}{date}(?:\s*T\s*|\s+){_COMPACT}{_OFFSET}" for date in _DATES),
        *(rf"{_CLOCK}{_OFFSET},?\s+{_WEEKDAY}{date}" for date in _DATES),
        rf"{_WEEKDAY}{_NAME}\s+(?P<day>\d{{1,2}})\s+{_CLOCK}{_OFFSET}\s+{_YEAR}",  # format of C's ctime
    )
]
TIME_OF_DAY = re.compile(r"\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?(\s?[ap]\.?m\.?)?|\d{1,2}\s?[ap]\.?m\.?", re.IGNORECASE)
DIGITS = {4: "%Y", 6: "%Y%m", 8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}


@dataclass(frozen=True)
class Times:
    """A column of times: ``values`` (N,), datetime64[us] or numbers, with NaT or NaN for invalid cells.

    ``format`` is dmy or mdy if the day or the month comes first in numeric dates, otherwise ymd. It may also be
    digits, years, number, or one of EPOCHS. ``zone`` is utc if cells have offsets and values are in UTC, and wall if
    values are as written. ``offset`` is that of the last cell, in seconds.
    """

    values: np.ndarray
    format: str
    zone: str = ""
    offset: float | None = None

    @property
    def valid(self) -> np.ndarray:
        """Mask (N,) of the valid times."""
        return np.asarray(~(np.isnat if self.values.dtype.kind == "M" else np.isnan)(self.values))

    @property
    def evenness(self) -> tuple[int, int, int]:
        """Irregularity of the times: invalid cells, then gaps. Smaller is more regular."""
        times = np.unique(self.values[self.valid])
        grid = grid_of(times) if len(times) > 1 else None
        stray = int((~self.valid).sum())
        return (stray, 1, 0) if grid is None else (stray, 0, grid.missing)


def readings(cells: pd.Series, *, format: str = "", zone: str = "") -> list[Times]:
    """Return the possible readings of a column as times, the most likely first.

    The list is empty if the column has no times. ``format`` and ``zone`` are those of training, if known. If they do
    not fit, all readings are tried.
    """
    if is_numeric(cells):
        ways = list(_of_numbers(cells))
    elif isinstance(cells.dtype, pd.PeriodDtype):
        ways = [Times(_microseconds(cells.dt.to_timestamp()), "ymd")]
    elif pd.api.types.is_datetime64_any_dtype(cells):
        ways = list(_of_datetimes(cells))
    else:
        ways = list(_of_texts(cells.map(lambda cell: str(cell).strip(), na_action="ignore")))
    known = [way for way in ways if format in ("", way.format) and way.valid.all()] or ways
    return [way for way in known if zone in ("", way.zone)] or known


def is_numeric(cells: pd.Series) -> bool:
    """Return whether a column is numeric, except for gaps and other markers."""
    filled = cells.dropna()
    if pd.api.types.is_numeric_dtype(cells) or not len(filled):
        return True
    dates = isinstance(filled.dtype, pd.PeriodDtype) or pd.api.types.is_datetime64_any_dtype(filled)
    return not dates and bool(pd.to_numeric(filled, errors="coerce").notna().mean() > 0.5)


def _of_numbers(cells: pd.Series) -> Iterator[Times]:
    """Yield readings of numbers as epochs, dates written as digits, and plain numbers."""
    numbers = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    if np.isfinite(numbers).all() and len(numbers):
        for name, (low, high, unit) in EPOCHS.items():
            if (numbers >= low).all() and (numbers < high).all():
                exact = numbers if (numbers % 1).any() else pd.to_numeric(cells).to_numpy().astype(np.int64)
                yield Times(np.round(exact * unit).astype("datetime64[us]"), name)
        texts = pd.Series([f"{number:.0f}" for number in numbers], dtype=object)
        digits = DIGITS.get(len(texts.iloc[0])) if not (numbers % 1).any() else None
        if digits and (texts.str.len() == len(texts.iloc[0])).all() and texts.str.fullmatch(r"[12]\d+").all():
            dates = pd.to_datetime(texts, format=digits, errors="coerce")
            if dates.notna().all():
                yield Times(_microseconds(dates), "years" if digits == "%Y" else "digits")
    yield Times(numbers, "number")


def _of_datetimes(cells: pd.Series) -> Iterator[Times]:
    """Yield readings of a datetime column, with or without a time zone."""
    if cells.dt.tz is None:
        yield Times(_microseconds(cells), "ymd")
        return
    wall = cells.dt.tz_localize(None)
    instants = cells.dt.tz_convert("UTC").dt.tz_localize(None)
    offset = (wall - instants).dropna().dt.total_seconds()
    last = float(offset.iloc[-1]) if len(offset) else 0.0
    yield Times(_microseconds(instants), "ymd", "utc", last)
    if offset.nunique() > 1:
        yield Times(_microseconds(wall), "ymd", "wall", last)


def _microseconds(cells: pd.Series) -> np.ndarray:
    return np.asarray(cells.to_numpy(), dtype="datetime64[us]")


def _of_texts(texts: pd.Series) -> Iterator[Times]:
    """Yield readings of texts as times, by the pattern that most of them match."""
    filled = texts.dropna()
    if not len(filled):
        return
    peek = list(filled.iloc[:PEEK])
    counts = [(sum(bool(pattern.fullmatch(text)) for text in peek), -n) for n, pattern in enumerate(PATTERNS)]
    if max(counts)[0] == 0:
        return
    iso = _iso(texts) if re.match(r"\d{4}-\d", peek[0]) else None
    if iso is not None:
        yield Times(iso, "ymd")
        return
    best = max(n for n, _ in counts)
    patterns = [PATTERNS[-place] for n, place in sorted(counts, reverse=True) if n > 0][: 1 if best == len(peek) else 3]
    matches = max(
        ([_match(pattern, text) for text in texts] for pattern in patterns), key=lambda one: len(one) - one.count(None)
    )
    parts = pd.DataFrame([match or {} for match in matches], dtype=object)
    dotted = parts.get("s", pd.Series(dtype=object)).eq(".").any()  # with dots, the day is first almost everywhere
    orders = ("dmy", "mdy", "ymd") if dotted else ("mdy", "dmy", "ymd")
    short = "a" in parts and bool((parts["year"].str.len() == 2).all())
    for order in (orders if short else orders[:2]) if "a" in parts else ("ymd",):
        yield from _zoned(parts, order)


def _match(pattern: re.Pattern[str], text: Any) -> dict[str, str | None] | None:
    match = pattern.fullmatch(text) if isinstance(text, str) else None
    return match.groupdict() if match else None


def _iso(texts: pd.Series) -> np.ndarray | None:
    """Return ISO 8601 times without offsets, None if a text differs. This is the fast path for most files."""
    try:
        times = pd.to_datetime(texts, format="ISO8601", errors="coerce")
    except ValueError:  # different offsets
        return None
    naive = isinstance(times.dtype, np.dtype) and times.notna().all()
    return _microseconds(times) if naive else None


def _zoned(parts: pd.DataFrame, order: str) -> Iterator[Times]:
    """Yield the times of matched parts in UTC, and also as written if offsets differ."""
    local = _local(parts, order)
    if np.isnat(local).all():
        return
    offset = _offsets(parts)
    there = ~np.isnan(offset)
    if not there.any():
        yield Times(local, order)
        return
    instants = local - np.where(there, offset * SECOND, 0).astype("timedelta64[us]")
    instants[~there] = np.datetime64("NaT")  # a time without an offset in a column with offsets
    last = float(offset[there][-1])
    yield Times(instants, order, "utc", last)
    if len(np.unique(offset[there])) > 1:
        yield Times(local, order, "wall", last)


def _column(parts: pd.DataFrame, name: str) -> np.ndarray:
    """Return one part of each time as a number, NaN if it is missing."""
    if name not in parts:
        return np.full(len(parts), np.nan)
    texts = parts[name].map(lambda text: text.replace(",", "."), na_action="ignore")
    return np.asarray(pd.to_numeric(texts).to_numpy(dtype=float, na_value=np.nan))


def _local(parts: pd.DataFrame, order: str) -> np.ndarray:
    """Return the local times, NaT for invalid dates."""
    year, month, day = (_column(parts, name) for name in ("year", "month", "day"))
    short = parts["year"].map(lambda text: isinstance(text, str) and len(text) == 2).to_numpy(dtype=bool)
    if "a" in parts:
        a, b = _column(parts, "a"), _column(parts, "b")
        if order == "ymd":
            year, month, day = a, b, year
        else:
            day, month = (a, b) if order == "dmy" else (b, a)
    year = year + np.where(short, np.where(year < 69, 2000, 1900), 0)  # as in POSIX
    quarter = np.fmax(_column(parts, "quarter"), _column(parts, "q"))
    month = np.fmax(month, np.fmax(3 * quarter - 2, 6 * _column(parts, "half") - 5))
    month, day = (np.where(np.isnan(part), 1, part) for part in (month, day))
    if "name" in parts:
        month = parts["name"].map(lambda text: MONTH_NAMES.get(str(text).lower(), np.nan)).to_numpy(dtype=float)
    week = _column(parts, "week")
    days = np.where(np.isnan(week), _dates(year, month, day), _mondays(year, week, _column(parts, "weekday")))
    clock = _clock(parts)
    good = ~np.isnan(clock)
    return np.where(good, days.astype("datetime64[us]") + np.where(good, clock, 0).astype("timedelta64[us]"), _NAT)


_NAT = np.datetime64("NaT", "us")


def _dates(year: np.ndarray, month: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Return days, NaT for an invalid month or day."""
    right = (month >= 1) & (month <= 12) & (day >= 1) & ~np.isnan(year)
    months = np.where(right, (year - 1970) * 12 + month - 1, 0).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + np.where(right, day - 1, 0).astype("timedelta64[D]")
    return np.where(right & (days.astype("datetime64[M]") == months), days, np.datetime64("NaT", "D"))


def _mondays(year: np.ndarray, week: np.ndarray, weekday: np.ndarray) -> np.ndarray:
    """Return the days of ISO weeks. Without a weekday, return Monday."""
    fourth = _dates(year, np.ones(len(year)), np.full(len(year), 4.0))  # January 4 is in the first week
    monday = fourth - ((fourth.astype(np.int64) + 3) % 7).astype("timedelta64[D]")
    right = (week >= 1) & (week <= 53)
    ahead = np.where(right, (week - 1) * 7 + np.where(np.isnan(weekday), 1, weekday) - 1, 0).astype("timedelta64[D]")
    return np.where(right, monday + ahead, np.datetime64("NaT", "D"))


def _clock(parts: pd.DataFrame) -> np.ndarray:
    """Return microseconds after midnight, NaN for invalid times. 24:00 is midnight of the next day."""
    hour, minute, second = (np.nan_to_num(_column(parts, name)) for name in ("hour", "minute", "second"))
    right = (hour <= 24) & (minute < 60) & (second < 61) & ((hour < 24) | (minute + second == 0))
    if "noon" in parts:
        half = parts["noon"].map(lambda text: text.lower(), na_action="ignore")
        written = half.notna().to_numpy()
        right &= ~written | ((hour >= 1) & (hour <= 12))
        hour = np.where(written, hour % 12 + np.where((half == "p").to_numpy(dtype=bool), 12, 0), hour)
    return np.where(right, (hour * 3600 + minute * 60) * SECOND + np.round(second * SECOND), np.nan)


def _offsets(parts: pd.DataFrame) -> np.ndarray:
    """Return offsets from UTC in seconds, NaN if missing."""
    if "offset" not in parts:
        return np.full(len(parts), np.nan)

    def seconds(text: str) -> float:
        if text[0] not in "+-":
            return 0.0
        digits = text[1:].replace(":", "").ljust(4, "0")
        return (1 if text[0] == "+" else -1) * (int(digits[:2]) * 3600 + int(digits[2:]) * 60)

    return np.asarray(parts["offset"].map(seconds, na_action="ignore").to_numpy(dtype=float, na_value=np.nan))


def chosen(ways: Sequence[Times]) -> tuple[Times, bool]:
    """Return the reading with the most regular times, and whether another reading is equally regular."""
    if len(ways) == 1:
        return ways[0], False
    measured = [way.evenness for way in ways]
    place = min(range(len(ways)), key=lambda n: measured[n])
    rest = [m for way, m in zip(ways, measured, strict=True) if way.format != ways[place].format]
    return ways[place], measured[place] in rest


def written(times: np.ndarray, like: Times) -> list[str]:
    """Format times as text: only dates if all are at midnight, and with an offset if the column has offsets."""
    if times.dtype.kind != "M":
        return [f"{time:.12g}" for time in times]
    if like.zone == "utc":
        local = times + np.timedelta64(round((like.offset or 0.0) * SECOND), "us")
        sign, minutes = "-" if (like.offset or 0.0) < 0 else "+", round(abs(like.offset or 0.0) / 60)
        offset = f"{sign}{minutes // 60:02}:{minutes % 60:02}"
        return [f"{pd.Timestamp(time)}{offset}" for time in local]
    if (times.astype("datetime64[D]") == times).all():
        return [str(time.astype("datetime64[Y]" if like.format == "years" else "datetime64[D]")) for time in times]
    return [str(pd.Timestamp(time)) for time in times]


def joined(cells: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    """Join several columns into one text: a date and a time of day, or year, month, day and hour."""
    parts = [cells[name].map(_cell_text, na_action="ignore") for name in columns]
    units = [unit_of(name) for name in columns]
    if units[0] == "year":
        texts = parts[0].str.zfill(4)
        for unit, part in zip(units[1:], parts[1:], strict=True):
            texts = texts + SIGNS[unit] + part.str.zfill(2)
        return texts + ":00" if units[-1] == "hour" else texts
    texts = parts[0] + " " + parts[1]
    return texts + ":00" if units[1] == "hour" and not cells[columns[1]].astype(str).str.contains(":").any() else texts


def _cell_text(cell: Any) -> str:
    return f"{cell:g}" if isinstance(cell, float) else str(cell).strip()


SIGNS = {"year": "", "month": "-", "day": "-", "hour": " ", "minute": ":", "second": ":"}  # separator before each unit


def unit_of(column: str) -> str:
    """Return the time unit that a column name denotes, otherwise ""."""
    name = str(column).strip().lower()
    return name if name in SIGNS else ""


def partner_sets(cells: pd.DataFrame, clock: str | None) -> Iterator[list[str]]:
    """Yield columns that may form one time: the date column ``clock`` and a time of day, or year, month, day, …."""
    names = [str(name) for name in cells.columns]
    if clock is None:
        by_unit = {unit_of(name): name for name in names}
        run = [by_unit[unit] for unit in SIGNS if unit in by_unit]
        if len(run) > 1 and [unit_of(name) for name in run] == list(SIGNS)[: len(run)]:
            yield run
        return
    for name in names:
        texts = cells[name].dropna().astype(str).str.strip()
        hours = len(texts) and texts.iloc[:PEEK].map(lambda text: bool(TIME_OF_DAY.fullmatch(text))).all()
        if name != clock and (hours or unit_of(name) == "hour"):
            yield [clock, name]
