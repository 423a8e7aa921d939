"""Fetcher: what every broker's history has in common: days, windows, turns, retries, what is kept (stage history)."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from tickloom.history.base import MINUTE_NS, Instrument, Minutes, Wait, date_of, midnight, plain_wait
from tickloom.history.cache import Cache
from tickloom.history.pace import Pacer, Retries
from tickloom.history.plan import traded, trading_days, windows

if TYPE_CHECKING:
    import datetime as dt
    import os
    from collections.abc import Callable, Sequence

    from tickloom.history.limiter import Limiter

__all__ = ["Fetcher"]

_log = logging.getLogger("tickloom.history")

_DAY_NS = 86_400_000_000_000
# No exchange in India opens earlier: before that there is nothing of today.
_EARLIEST_NS = 9 * 3_600_000_000_000


class Fetcher:
    """Implements `History` but for `_ask`, which a broker's own class adds.

    `trading_day` tells whether there is trading on a date; `expected` how many minutes an instrument trades on one, if
    somebody knows: a past day with fewer is read a second time on another occasion, and then believed (R37). A trading
    day without any minute is always read twice.
    """

    name = "history"
    days_a_request = 60

    def __init__(
        self,
        limiter: Limiter,
        *,
        cache: Cache | str | os.PathLike[str] | bool,
        retries: Retries | None,
        trading_day: Callable[[dt.date], bool] = traded,
        expected: Callable[[Instrument, dt.date], int] | None = None,
    ) -> None:
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
        return self._is_open(date)

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
        absent: dict[dt.date, int] = {}
        for day in trading_days(date_of(start_ns), date_of(end_ns - 1), self._is_open):
            kept = self._cache.get(self.name, instrument, day, today) if self._cache and day < today else None
            if kept is not None and (kept.reads > 1 or self._whole(instrument, day, kept.minutes)):
                found[day] = kept.minutes
            else:
                absent[day] = 0 if kept is None else kept.reads
        for first, last in windows(absent, self.days_a_request):
            # A day that is over is read whole, to be kept; of this one no more than was asked for.
            begin = midnight(first) if first < today else max(start_ns, midnight(first))
            until = midnight(last) + _DAY_NS if last < today else end_ns
            rows = self._read(instrument, begin, until, today, wait)
            minutes, bad = Minutes.of_rows(rows, instrument)
            self.bad_rows += bad
            for day in [day for day in absent if first <= day <= last]:
                found[day] = minutes.between(midnight(day), midnight(day) + _DAY_NS)
                if day < today:
                    self._keep(instrument, day, found[day], absent[day] + 1, today)
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
        """One request: rows (time, open, high, low, close, volume, oi) of minutes in [start, end)."""
        raise NotImplementedError

    def _whole(self, instrument: Instrument, day: dt.date, minutes: Minutes) -> bool:
        least = 1 if self._expected is None else self._expected(instrument, day)
        return len(minutes) >= least

    def _keep(self, instrument: Instrument, day: dt.date, minutes: Minutes, reads: int, today: dt.date) -> None:
        if self._cache is None:
            return
        try:
            self._cache.put(self.name, instrument, day, minutes, reads=reads, today=today)
        except OSError as error:
            _log.error("the minutes of %s could not be kept: %s", instrument.key, error)
