"""Warming: the half of `Feed` through which history comes in: warm-up, repair, readiness (stage feed)."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Literal

from tickloom.errors import ConnectionFailed
from tickloom.feed.backfill import Backfill, WarmupStatus
from tickloom.feed.listening import Listening
from tickloom.feed.parity import compare, settled_part
from tickloom.history.base import date_of, midnight
from tickloom.model import Flags

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta

    from tickloom.feed.parity import Match
    from tickloom.feed.reader import Reader
    from tickloom.feed.session import Session
    from tickloom.history.base import History, Minutes

__all__ = ["Warming", "checked", "days_of"]

_DOUBTFUL = Flags.PARTIAL | Flags.GAP | Flags.MISSING
_LOOK = 0.02
_AUTHORITIES = ("live", "broker", "newest")
_METHODS = ("fetch", "forget", "requests", "trading_day")


def checked(history: History | None) -> History | None:
    """The same, if it has all that a history has. Raises TypeError where it is given, not when it is first needed."""
    lacks = [] if history is None else [name for name in _METHODS if not hasattr(history, name)]
    if lacks:
        raise TypeError(f"history lacks {', '.join(lacks)} (docs/history.md): {history!r}")
    return history


def days_of(warmup: str | int | None) -> int | None:
    """The trading days of `"2d"` or 2; 0 is today alone. Raises ValueError for what is neither."""
    if warmup is None:
        return None
    text = warmup.removesuffix("d") if isinstance(warmup, str) else str(warmup)
    if not text.isdecimal() or len(text) > 4:
        raise ValueError(f'a warm-up is a number of trading days, such as "2d": {warmup!r}')
    return int(text)


class Warming(Listening):
    """History for the feed. Not made by itself: `Feed` is one."""

    _history: History | None
    _backfill: Backfill | None
    _reader: Reader

    def is_ready(self, instrument: int | str, interval: str | timedelta, bars: int = 1) -> bool:
        """Whether there are so many sealed bars, the last of them without a doubt, and no history left to join.

        A bar is in doubt if the feed missed a part of it (PARTIAL, GAP, MISSING) and history has not repaired it.
        An instrument that is not ready is read first from now on. Without a warm-up the bars alone decide. Raises
        UnknownInstrument, and ValueError for an interval that is not kept and for `bars` below 1.
        """
        self._check_process()
        if bars < 1:
            raise ValueError(f"bars must be 1 or more: {bars}")
        token = self._symbols.token(instrument)
        flags = self._engine.candles(token, interval).flags[-bars:]
        whole = len(flags) >= bars and not any(
            flag & _DOUBTFUL and not flag & Flags.REPAIRED for flag in map(int, flags)
        )
        backfill = self._backfill
        if backfill is None or (whole and backfill.settled(token)):
            return whole
        backfill.prefer(token)
        return False

    def wait_warm(self, timeout: float | None = None) -> WarmupStatus:
        """Returns when every instrument has its days, or will not get them: look at `state`.

        TimeoutError after `timeout` seconds, ConnectionFailed if the feed stops or does not run.
        """
        self._check_process()
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            backfill = self._backfill
            if backfill is None or not self.running:
                raise ConnectionFailed("the feed does not run, or has no history")
            status = backfill.status()
            if status.state not in {"waiting", "running"}:
                return status
            if deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError(f"not warm within {timeout} s: {status.done} of {status.wanted}")
            time.sleep(_LOOK)

    def reconcile(
        self,
        instruments: Iterable[int | str] | int | str | None = None,
        authority: Literal["live", "broker", "newest"] = "live",
    ) -> dict[int, Match]:
        """Reads this day's minutes of all that is subscribed, or of these, and says how live ones agree (R40).

        What the feed missed is filled; complete live minutes stay, unless `authority` is "broker" (R34). Takes one
        request an instrument, in the caller's thread; not in an inline callback. The interval "1m" must be kept.
        Raises ValueError without a history or "1m", UnknownInstrument, and what `History.fetch` raises.
        """
        self._check_process()
        history = self._history
        if history is None:
            raise ValueError("to reconcile needs a history: Feed(source, history=KiteHistory(...))")
        if authority not in _AUTHORITIES:
            raise ValueError(f"authority is one of {', '.join(_AUTHORITIES)}: {authority!r}")
        wanted = self._reader.wanted() if instruments is None else self._symbols.tokens(instruments)
        matches: dict[int, Match] = {}
        for token in wanted:
            ours = self._engine.candles(token, "1m").columns()
            now_ns = self._reader.clock()
            instrument = self._symbols.instrument(token)
            minutes = history.fetch(instrument, midnight(date_of(now_ns)), now_ns, now_ns=now_ns)
            theirs = settled_part(minutes, now_ns)
            matches[token] = compare(ours, theirs)
            self._join(token, theirs, now_ns, authority)
        return matches

    def history_due(self) -> bool:
        """Whether history is to be read now; False once all is joined whose time has come.

        For a source that makes its own time, and has to wait with it for what takes real time.
        """
        backfill = self._backfill
        return backfill is not None and backfill.due()

    def _start_history(self, session: Session, days: int | None) -> None:
        if self._history is None:
            return

        self._backfill = Backfill(
            self._history, self._engine, days, instrument=self._symbols.instrument, wanted=self._reader.wanted,
            clock=self._reader.clock, join=self._join, alive=lambda: session.alive,
        )  # fmt: skip
        self._reader.on_gap = self._backfill.lost
        self._backfill.start()

    def _join(self, token: int, minutes: Minutes, now_ns: int, authority: str) -> tuple[int, int]:
        given: list[tuple[int, int]] = []

        def join() -> None:
            given.append(self._reader.join(token, minutes, now_ns, authority))

        if self._session is None:
            join()
        else:
            self._session.on_reader(join)
        return given[0]

    def _stop_history(self, timeout: float) -> None:
        self._reader.on_gap = None
        if self._backfill is not None:
            # The reader cannot wait for those who may be waiting for it.
            on_reader = self._session is not None and threading.current_thread() is self._session.thread
            self._backfill.stop(0.0 if on_reader else timeout)

    def _warmup(self) -> WarmupStatus:
        return WarmupStatus() if self._backfill is None else self._backfill.status()

    def _check_warmup(self, warmup: Any) -> int | None:
        if warmup is not None and self._history is None:
            raise ValueError("a warm-up needs a history: Feed(source, history=KiteHistory(...))")
        return days_of(warmup)
