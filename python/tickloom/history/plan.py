"""Plan: which days to ask for, in how few requests (stage history). Dates in, dates out."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from tickloom import market_hours

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from tickloom.history.base import Instrument
    from tickloom.market_hours import MarketHours

__all__ = ["KITE_DAYS", "Calendar", "days_back", "trading_days", "windows"]

KITE_DAYS = {
    "minute": 60, "3minute": 100, "5minute": 100, "10minute": 100, "15minute": 200, "30minute": 200, "60minute": 400,
    "day": 2000,
}  # fmt: skip
"""How many days one request may span, by interval (kite-protocol §7)."""

_ONE = dt.timedelta(days=1)
# Markets have never been closed for so long; a predicate that knows no trading day must end the search.
_LONGEST_BREAK = 30
_KEPT = 1_024


class Calendar:
    """When an instrument trades, by `hours`, the shipped ones without; of a year that they do not know, weekdays."""

    def __init__(self, hours: MarketHours | None = None) -> None:
        self.hours = hours or market_hours.default()
        self._minutes: dict[tuple[str | int, dt.date], NDArray[np.int64]] = {}

    def trading_day(self, date: dt.date) -> bool:
        """Whether stocks or commodities trade on a date."""
        return self.hours.trades(date, "NSE") or self.hours.trades(date, "MCX")

    def trades(self, instrument: Instrument, date: dt.date) -> bool:
        """Whether this one does."""
        return self.hours.trades(date, instrument.hours)

    def minutes(self, instrument: Instrument, date: dt.date) -> NDArray[np.int64]:
        """(minutes,) int64: the start of every minute that it can trade in on a date, ns UTC."""
        key = instrument.hours, date
        if key not in self._minutes:
            if len(self._minutes) > _KEPT:
                self._minutes = {}
            self._minutes[key] = self.hours.minutes(date, instrument.hours)
        return self._minutes[key]


def trading_days(first: dt.date, last: dt.date, is_open: Callable[[dt.date], bool]) -> list[dt.date]:
    """The trading days from `first` to `last`, both included."""
    span = (first + _ONE * nth for nth in range((last - first).days + 1))
    return [day for day in span if is_open(day)]


def days_back(today: dt.date, days: int, is_open: Callable[[dt.date], bool]) -> dt.date:
    """The date so many trading days before today; nearer, if the predicate knows of no earlier one."""
    found = at = today
    closed = 0
    while days > 0 and closed < _LONGEST_BREAK:
        at -= _ONE
        closed += 1
        if is_open(at):
            found, days, closed = at, days - 1, 0
    return found


def windows(days: Iterable[dt.date], limit: int) -> Iterator[tuple[dt.date, dt.date]]:
    """Spans (first, last), each at most `limit` days long, that cover these days, ascending, in as few as can be."""
    first = last = None
    for day in days:
        if first is not None and last is not None and (day - first).days >= limit:
            yield first, last
            first = None
        first = first or day
        last = day
    if first is not None and last is not None:
        yield first, last
