"""Fetcher: what every broker's history has in common: days, windows, turns, retries, what is kept (stage history)."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from tickloom.history.base import MINUTE_NS, Instrument, Minutes, Wait, date_of, midnight, plain_wait
from tickloom.history.cache import Cache
from tickloom.history.pace import Pacer, Retries
from tickloom.history.plan import Calendar, trading_days, windows

if TYPE_CHECKING:
    import datetime as dt
    import os
    from collections.abc import Callable, Iterator, Sequence

    from tickloom.history.cache import Kept
    from tickloom.history.limiter import Limiter
    from tickloom.market_hours import MarketHours

__all__ = ["Fetcher", "readable"]

_log = logging.getLogger("tickloom.history")

_DAY_NS = 86_400_000_000_000
# No exchange in India opens earlier: before that there is nothing of today.
_EARLIEST_NS = 9 * 3_600_000_000_000


_UNREADABLE = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError)


def readable(rows: Any, read: Callable[[Any], tuple[Any, ...]]) -> list[tuple[Any, ...] | None]:
    """Each row as `read` has it, None for one that it cannot read. Raises TypeError for what is no list, and
    ValueError if all of them are unreadable: then it is another kind of answer."""
    if not isinstance(rows, list):
        raise TypeError(f"rows must be a list: {type(rows).__name__}")

    def each() -> Iterator[tuple[Any, ...] | None]:
        for row in rows:
            try:
                yield read(row)
            except _UNREADABLE:
                yield None

    found = list(each())
    if found and all(row is None for row in found):
        raise ValueError("no row can be read")
    return found


class Fetcher:
    """Implements `History` but for `_ask`, which a broker's own class adds.

    `hours` tells when each instrument trades, the shipped calendar without it; `trading_day` replaces its dates, and
    `expected` its minutes, by how many an instrument has on a date. A past day that lacks some is read once more on a
    later date, one that lacks all on the next occasion, and then both are believed (R37).
    """

    name = "history"
    days_a_request = 60

    def __init__(
        self,
        limiter: Limiter,
        *,
        cache: Cache | str | os.PathLike[str] | bool,
        retries: Retries | None,
        trading_day: Callable[[dt.date], bool] | None = None,
        expected: Callable[[Instrument, dt.date], int] | None = None,
        hours: MarketHours | None = None,
    ) -> None:
        self._calendar = Calendar(hours)
        self.hours = self._calendar.hours
        self._pacer = Pacer(limiter, retries or Retries())
        if isinstance(cache, bool):
            self._cache = Cache() if cache else None
        else:
            self._cache = cache if isinstance(cache, Cache) else Cache(cache)
        self._is_open = trading_day
        self._expected = expected
        self.bad_rows = 0
        """Rows that were no minute and were left out."""

    @property
    def requests(self) -> int:
        """How many were sent, those that failed included."""
        return self._pacer.requests

    def trading_day(self, date: dt.date) -> bool:
        """Whether there is trading on this date."""
        return self._calendar.trading_day(date) if self._is_open is None else self._is_open(date)

    def trades(self, instrument: Instrument, date: dt.date) -> bool:
        """Whether this instrument trades on this date."""
        return self._calendar.trades(instrument, date) if self._is_open is None else self._is_open(date)

    def fetch(
        self, instrument: Instrument, start_ns: int, end_ns: int, *, now_ns: int | None = None, wait: Wait = plain_wait
    ) -> Minutes:
        """The minutes that start in [start, end), of trading days; see `History.fetch`."""
        now_ns = time.time_ns() if now_ns is None else now_ns
        end_ns = min(end_ns, now_ns // MINUTE_NS * MINUTE_NS)
        today = date_of(now_ns)
        if end_ns <= midnight(today) + _EARLIEST_NS:
            end_ns = min(end_ns, midnight(today))
        if start_ns >= end_ns:
            return Minutes.empty()
        found: dict[dt.date, Minutes] = {}
        absent: dict[dt.date, Kept | None] = {}
        for day in trading_days(date_of(start_ns), date_of(end_ns - 1), lambda day: self.trades(instrument, day)):
            kept = self._cache.get(self.name, instrument, day, today) if self._cache and day < today else None
            if kept is not None and self._believed(instrument, day, kept, today):
                found[day] = kept.minutes
            else:
                absent[day] = kept
        for first, last in windows(absent, self.days_a_request):
            # A day that is over is read whole, to be kept; of this one no more than was asked for.
            begin = midnight(first) if first < today else max(start_ns, midnight(first))
            until = midnight(last) + _DAY_NS if last < today else end_ns
            rows = self._read(instrument, begin, until, today, wait)
            minutes, bad = Minutes.of_rows(rows, instrument)
            self.bad_rows += bad
            for day in [day for day in absent if first <= day <= last]:
                found[day] = minutes.between(midnight(day), midnight(day) + _DAY_NS)
                known = absent[day]
                if known is not None and len(known.minutes) > len(found[day]):
                    found[day] = known.minutes
                if day < today:
                    self._keep(instrument, day, found[day], 1 + (known.reads if known else 0), today)
        if not found:
            return Minutes.empty()
        return Minutes.joined([found[day] for day in sorted(found)]).between(start_ns, end_ns)

    def forget(self, instrument: Instrument) -> None:
        """Believes nothing that was kept of this instrument (R35)."""
        if self._cache is not None:
            self._cache.forget(self.name, instrument)

    def _read(self, instrument: Instrument, begin: int, until: int, today: dt.date, wait: Wait) -> Sequence[Any]:
        del today  # Only those need it whose broker has today's minutes at another place.
        return self._pacer.call(lambda: self._ask(instrument, begin, until), wait)

    def _ask(self, instrument: Instrument, start_ns: int, end_ns: int) -> Sequence[Any]:
        """One request: rows (time, open, high, low, close, volume, oi) of minutes in [start, end), None for one that
        cannot be read."""
        raise NotImplementedError

    def _believed(self, instrument: Instrument, day: dt.date, kept: Kept, today: dt.date) -> bool:
        if kept.reads > 1 or self._whole(instrument, day, kept.minutes):
            return True
        # What a broker lacks it mends over night; a thin name lacks minutes every day.
        return len(kept.minutes) > 0 and kept.on == today

    def _whole(self, instrument: Instrument, day: dt.date, minutes: Minutes) -> bool:
        if self._expected is not None:
            return len(minutes) >= self._expected(instrument, day)
        return len(minutes) > 0 and bool(np.isin(self._calendar.minutes(instrument, day), minutes.time).all())

    def _keep(self, instrument: Instrument, day: dt.date, minutes: Minutes, reads: int, today: dt.date) -> None:
        if self._cache is None:
            return
        try:
            self._cache.put(self.name, instrument, day, minutes, reads=reads, today=today)
        except OSError as error:
            _log.error("the minutes of %s could not be kept: %s", instrument.key, error)
