"""Market hours: when each kind of instrument trades, by date (beside `candles`, knows only the core's table).

```
rust/core/data/sessions.txt ─▶ holidays.txt ─▶ your overrides ─▶ MarketHours ─▶ is_open · next_open · bar_starts ...
```

The hours are the core's own (R5, docs/sessions.md), the same that bars are cut from; the holidays come on top. A
segment is an exchange (`"NSE"`, `"NFO"`, `"MCX"`, `"CDS"` ...), a broker's segment (`"NFO-OPT"`, `"INDICES"`), a class
of docs/sessions.md (`"cash_cas"`) or the last byte of a token. Instants are aware datetimes or nanoseconds UTC.
"""

from __future__ import annotations

import re
import warnings
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tickloom._core import Sessions
from tickloom.model import ist, to_ns

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

__all__ = ["MarketHours", "Span", "SpecialDay", "TradingDay", "UnknownHolidays", "class_of", "default"]

_EPOCH = date(1970, 1, 1)
_DAY_NS = 86_400_000_000_000
_IST_NS = 19_800_000_000_000
# Each exchange closes on more weekdays of a year than this; a year with fewer rows was not entered, or not whole.
_FEWEST = 8
_FAR = 400
_SEGMENTS = {
    "NSE": "cash", "BSE": "cash", "NFO": "derivatives", "BFO": "derivatives", "CDS": "currency", "BCD": "currency",
    "MCX": "commodity", "NCO": "commodity", "INDICES": "index",
}  # fmt: skip
_classes: dict[int, str] = {}
_ROW = re.compile(r"([a-z_ ]+?)\s*\|\s*(\d{4}-\d\d-\d\d)\s*\|\s*\2\s*\|[^#]*#\s*(.+)")


class UnknownHolidays(UserWarning):
    """The holidays of a year are not known: its weekdays are taken for ordinary days."""


class Span(NamedTuple):
    """A stretch of a day, [start, end), in Indian time."""

    start: datetime
    end: datetime


class TradingDay(NamedTuple):
    """A date of a class: all of it is empty or None when nothing trades."""

    date: date
    session_class: str
    preopen: Span | None
    """Order entry of the opening auction (R8)."""
    legs: tuple[Span, ...]
    """Continuous trading, the only time that makes bars."""
    closing_auction: Span | None
    post_close: Span | None
    name: str
    """The holiday's or special day's name, "" if there is none."""

    @property
    def is_open(self) -> bool:
        """Whether anything trades."""
        return bool(self.legs)


class SpecialDay(NamedTuple):
    """A date with a row of its own: a holiday when it has no legs."""

    date: date
    name: str
    legs: tuple[Span, ...]


def class_of(segment: str | int) -> str:
    """The session class of a segment. Raises ValueError for one that is none."""
    if not isinstance(segment, str):
        # The table is read for the answer, and timers ask often.
        if segment not in _classes:
            _classes[segment] = Sessions.class_of_segment(segment)
        return _classes[segment]
    found = _SEGMENTS.get(segment.partition("-")[0].upper(), segment)
    if found not in Sessions.classes():
        known = ", ".join([*_SEGMENTS, *Sessions.classes()])
        raise ValueError(f"a segment is one of {known}: {segment!r}")
    return found


class MarketHours:
    """The shipped hours and holidays, and rows of your own on top.

    `overrides` is a file in the format of docs/sessions.md, `rows` the same as text. Raises OSError for a file that
    cannot be opened and ValueError, naming the file and the line, for one that cannot be read. Any thread may ask.
    """

    def __init__(self, overrides: str | os.PathLike[str] | None = None, *, rows: str | None = None) -> None:
        self._rows = ""
        self._names: dict[tuple[str, str], str] = {}
        self._read_names(Sessions.HOLIDAYS)
        self._table = Sessions()
        self._days: dict[tuple[str, date], TradingDay] = {}
        self._known: dict[tuple[str, int], bool] = {}
        if overrides is not None:
            self.override(overrides)
        if rows is not None:
            self._overlay(rows, "rows")

    def override(self, path: str | os.PathLike[str]) -> None:
        """Lays a file on top: the whole of it or, if it raises as the class does, nothing: what was there serves on."""
        raw = Path(path).read_bytes()
        try:
            text = raw.decode()
        except UnicodeDecodeError as error:
            line = raw.count(b"\n", 0, error.start) + 1
            raise ValueError(f"not UTF-8, save it so: {path}, line {line}") from None
        self._overlay(text, str(path))

    def _overlay(self, text: str, name: str) -> None:
        try:
            Sessions(text, holidays=False)
        except ValueError as error:
            raise ValueError(f"{name}, {error}") from None
        self._rows += text + "\n"
        self._table = Sessions(self._rows)
        self._read_names(text)
        self._days, self._known = {}, {}

    def _read_names(self, text: str) -> None:
        for classes, day, name in _ROW.findall(text):
            self._names.update({(each, day): name.strip() for each in classes.split()})

    # One date.

    def sessions(self, on: date, segment: str | int = "NSE") -> TradingDay:
        """The hours of a date. A Saturday or Sunday trades only by a row for that very date.

        Warns `UnknownHolidays` if the holidays of a weekday's year are not known.
        """
        return self._warned(on, class_of(segment))

    def is_trading_day(self, on: date, segment: str | int = "NSE") -> bool:
        """Whether anything trades on a date, be it for an hour."""
        return self.sessions(on, segment).is_open

    def bar_starts(
        self, interval: str | timedelta, on: date, segment: str | int = "NSE",
        *, anchor: str = "leg", tail: str = "stub",
    ) -> NDArray[np.int64]:  # fmt: skip
        """(bars,) int64: the start of every bar that a date can have, ns UTC, oldest first (R6, R7).

        `anchor` and `tail` as in `Engine`. Raises ValueError for an interval that is none. A "1d", "1w" or "1mo" has
        the first leg's start.
        """
        name = class_of(segment)
        bars = self._table.bars(name, _number(on), interval, anchor=anchor, tail=tail)
        return np.array([start for start, _ in bars] if self._warned(on, name).is_open else [], np.int64)

    # An instant.

    def is_open(self, at: datetime | int, segment: str | int = "NSE") -> bool:
        """Whether an instant lies in continuous trading. Raises ValueError for a datetime without a zone."""
        at_ns = _ns(at)
        day = self._warned(_date(at_ns), class_of(segment))
        return any(to_ns(leg.start) <= at_ns < to_ns(leg.end) for leg in day.legs)

    def phase(self, at: datetime | int, segment: str | int = "NSE") -> str:
        """The part of the day: "closed" on a day without trading, else "before", "preopen", "continuous", "break",
        "closing_auction", "post_close" or "after". A stamp at a leg's end still belongs to it (R3)."""
        at_ns, name = _ns(at), class_of(segment)
        on = _date(at_ns)
        return self._table.phase(name, _number(on), at_ns) if self._warned(on, name).is_open else "closed"

    def next_open(self, at: datetime | int, segment: str | int = "NSE") -> datetime:
        """The next start of a leg after an instant. ValueError if there is none within 400 days."""
        return self._next(at, segment, lambda leg: leg.start)

    def next_close(self, at: datetime | int, segment: str | int = "NSE") -> datetime:
        """The next end of a leg after an instant. ValueError if there is none within 400 days."""
        return self._next(at, segment, lambda leg: leg.end)

    def _next(self, at: datetime | int, segment: str | int, edge: Callable[[Span], datetime]) -> datetime:
        at_ns, name = _ns(at), class_of(segment)
        for day in self._walk(_date(at_ns), name, 1):
            for leg in day.legs:
                if to_ns(edge(leg)) > at_ns:
                    return edge(leg)
        raise ValueError(f"nothing trades within {_FAR} days, look at the overrides: {name}")

    # Several dates.

    def next_trading_day(self, on: date, segment: str | int = "NSE") -> date:
        """The first trading day after a date. ValueError if there is none within 400 days."""
        return self._step(on, segment, 1)

    def previous_trading_day(self, on: date, segment: str | int = "NSE") -> date:
        """The last trading day before a date. ValueError if there is none within 400 days."""
        return self._step(on, segment, -1)

    def trading_days(self, first: date, last: date, segment: str | int = "NSE") -> list[date]:
        """The trading days from `first` to `last`, both included, oldest first."""
        name = class_of(segment)
        days = (first + timedelta(days=n) for n in range((last - first).days + 1))
        return [day for day in days if self._warned(day, name).is_open]

    def special_days(self, year: int, segment: str | int = "NSE") -> list[SpecialDay]:
        """The dates of a year with a row of their own: holidays, half days, Muhurat, Saturdays that trade."""
        name = class_of(segment)
        return [SpecialDay(day.date, day.name, day.legs) for day in self._named(name, year)]

    def is_known(self, year: int, segment: str | int = "NSE") -> bool:
        """Whether the holidays of a year are there: rows for at least eight of its weekdays."""
        name = class_of(segment)
        if (name, year) not in self._known:
            weekdays = sum(day.date.weekday() < 5 for day in self._named(name, year))
            self._known[name, year] = weekdays >= _FEWEST
        return self._known[name, year]

    def trades(self, on: date, segment: str | int = "NSE") -> bool:
        """`is_trading_day` that warns of nothing."""
        return self._day(on, class_of(segment)).is_open

    def minutes(self, on: date, segment: str | int = "NSE") -> NDArray[np.int64]:
        """The `bar_starts` of "1m"; warns of nothing."""
        name = class_of(segment)
        bars = self._table.bars(name, _number(on), "1m") if self._day(on, name).is_open else []
        return np.array([start for start, _ in bars], np.int64)

    def any_open(self, at_ns: int, classes: Iterable[str]) -> bool:
        """Whether any of these classes trades at an instant, ns UTC. Warns of nothing: for loops and timers."""
        on = _date(at_ns)
        days = (self._day(on, name) for name in classes)
        return any(to_ns(leg.start) <= at_ns < to_ns(leg.end) for day in days for leg in day.legs)

    def _step(self, on: date, segment: str | int, way: int) -> date:
        name = class_of(segment)
        for day in self._walk(on + timedelta(days=way), name, way):
            if day.is_open:
                return day.date
        raise ValueError(f"nothing trades within {_FAR} days, look at the overrides: {name}")

    def _walk(self, on: date, name: str, way: int) -> Iterator[TradingDay]:
        return (self._warned(on + timedelta(days=way * n), name) for n in range(_FAR))

    def _named(self, name: str, year: int) -> Iterator[TradingDay]:
        first = _number(date(year, 1, 1))
        for n in range(first, _number(date(year, 12, 31)) + 1):
            if self._table.day(name, n)[4]:
                yield self._day(_EPOCH + timedelta(days=n), name)

    def _warned(self, on: date, name: str) -> TradingDay:
        day = self._day(on, name)
        if day.is_open and on.weekday() < 5 and not self.is_known(on.year, name):
            message = f"the holidays of {on.year} are not known, weekdays are taken for open, add an override: {name}"
            warnings.warn(message, UnknownHolidays, stacklevel=3)
        return day

    def _day(self, on: date, name: str) -> TradingDay:
        found = self._days.get((name, on))
        if found is None:
            preopen, legs, auction, post, named = self._table.day(name, _number(on))
            if on.weekday() >= 5 and not named:
                preopen, legs, auction, post = None, [], None, None
            title = self._names.get((name, on.isoformat()), "") if named else ""
            open_legs = tuple(Span(ist(start), ist(end)) for start, end in legs)
            found = TradingDay(on, name, _span(preopen), open_legs, _span(auction), _span(post), title)
            if len(self._days) > 8192:
                self._days = {}
            self._days[name, on] = found
        return found


def default() -> MarketHours:
    """The shipped hours without overrides, made once."""
    if not _made:
        _made.append(MarketHours())
    return _made[0]


_made: list[MarketHours] = []


def _number(on: date) -> int:
    return on.toordinal() - _EPOCH.toordinal()


def _date(at_ns: int) -> date:
    return _EPOCH + timedelta(days=(at_ns + _IST_NS) // _DAY_NS)


def _ns(at: datetime | int) -> int:
    return to_ns(at) if isinstance(at, datetime) else int(at)


def _span(pair: tuple[int, int] | None) -> Span | None:
    return None if pair is None else Span(ist(pair[0]), ist(pair[1]))
