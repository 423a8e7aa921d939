"""Dealings: when an instrument of a feed trades, as its history sees it (stage feed)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tickloom import market_hours
from tickloom.history.base import MINUTE_NS, date_of, midnight
from tickloom.history.plan import Calendar, days_back

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from tickloom.history.base import History, Instrument

__all__ = ["Dealings"]


class Dealings:
    """By the history's own hours if it has some. `instrument` tells whose hours a token has."""

    def __init__(self, history: History, instrument: Callable[[int], Instrument]) -> None:
        self._history = history
        self._instrument = instrument
        self._calendar = Calendar(getattr(history, "hours", None))

    def start(self, token: int, now_ns: int, days: int) -> int:
        """The midnight before the first of so many trading days before today."""
        instrument = self._instrument(token)

        def is_open(date: dt.date) -> bool:
            trades = getattr(self._history, "trades", None)
            return bool(trades(instrument, date) if trades else self._history.trading_day(date))

        return midnight(days_back(date_of(now_ns), days, is_open))

    def open(self, token: int, at_ns: int) -> bool:
        """Whether it is known to trade at an instant."""
        return self._calendar.hours.any_open(at_ns, [market_hours.class_of(self._instrument(token).hours)])

    def traded(self, token: int, start_ns: int, end_ns: int) -> bool:
        """Whether it may have traded in [start, end): so on a day of which the hours are not known to have any."""
        day, instrument = date_of(start_ns), self._instrument(token)
        if day != date_of(end_ns) or not self._calendar.trades(instrument, day):
            return True
        minutes = self._calendar.minutes(instrument, day)
        return bool(((minutes < end_ns) & (minutes + MINUTE_NS > start_ns)).any())
