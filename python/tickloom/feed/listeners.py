"""Listeners: who wants which events, and what happens when one of them raises (stage feed)."""

from __future__ import annotations

import inspect
import logging
import time
from typing import TYPE_CHECKING, TypeVar

from tickloom.errors import UnknownInstrument
from tickloom.events import BarClosed, BarEvent, BarRevised, BarUpdate, Event, Ticks
from tickloom.feed.queue import Bars, Batch

if TYPE_CHECKING:
    from collections.abc import Callable

    from tickloom._core import Bar, Candles, Engine
    from tickloom.feed.queue import Item

__all__ = ["Audience", "Listener", "Quiet"]

E = TypeVar("E", bound=Event)

_log = logging.getLogger("tickloom.feed")


class Quiet:
    """Lets one line through in `every` seconds, and says how many it kept back."""

    def __init__(self, every: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._every = every
        self._clock = clock
        self._next = float("-inf")
        self._kept = 0

    def admits(self) -> int | None:
        """How many were kept back since the last one that came through, or None: keep this one back."""
        now = self._clock()
        if now < self._next:
            self._kept += 1
            return None
        kept, self._kept, self._next = self._kept, 0, now + self._every
        return kept


class Listener:
    """One function and what it wants to hear."""

    def __init__(
        self,
        function: Callable[[E], object],
        kinds: tuple[type[E], ...],
        tokens: frozenset[int] | None = None,
        intervals: frozenset[str] | None = None,
    ) -> None:
        if inspect.iscoroutinefunction(function):
            raise TypeError(f"a callback cannot be async, iterate over feed.events() instead: {function!r}")
        if not callable(function):
            raise TypeError(f"a callback must be callable: {function!r}")
        self.function: Callable[..., object] = function
        self.kinds = kinds
        self.tokens = tokens
        self.intervals = intervals
        self.calls = 0
        self.raised = 0
        self._quiet = Quiet()

    def hears(self, kind: type[Event]) -> bool:
        """Whether it wants events of this type."""
        return issubclass(kind, self.kinds)

    def call(self, event: Event) -> BaseException | None:
        """Calls the function; what it raises, `SystemExit` included, is logged and given back, never raised."""
        self.calls += 1
        try:
            self.function(event)
        except BaseException as error:  # noqa: BLE001 - a callback must not end the thread it runs on, whatever it raises
            self.raised += 1
            kept = self._quiet.admits()
            if kept is not None:
                more = f" ({kept} more since the last report)" if kept else ""
                _log.error("callback %r raised%s", self.function, more, exc_info=error)
            return error
        return None


class Audience:
    """The listeners of one queue: turns its items into events, and tells those who want them.

    The tuple of listeners is replaced, never changed, so that any thread may add one while another delivers.
    """

    def __init__(self, engine: Engine, on_error: Callable[[BaseException], None] | None = None) -> None:
        self._engine = engine
        self._on_error = on_error
        self._candles: dict[tuple[int, str], Candles | None] = {}
        self._shown: dict[tuple[int, str], Bar] = {}
        self.errors = 0
        self.listeners: tuple[Listener, ...] = ()
        self._sort()

    def add(self, listener: Listener) -> None:
        """From now on this one is told too."""
        self.listeners = (*self.listeners, listener)
        self._sort()

    def remove(self, listener: Listener) -> None:
        """This one is told nothing more."""
        self.listeners = tuple(each for each in self.listeners if each is not listener)
        self._sort()

    def hears(self, kind: type[Event]) -> bool:
        """Whether anybody wants events of this type."""
        return any(listener.hears(kind) for listener in self.listeners)

    def deliver(self, item: Item) -> None:
        """Tells everybody who wants it. Never raises."""
        if isinstance(item, Batch):
            if self._ticks:
                self._deliver_ticks(Ticks(item.time_ns, item.ticks, item.connection, item.frames))
            if self._updates:
                self._deliver_updates(item)
        elif isinstance(item, Bars):
            for bar in item.bars:
                named = (item.time_ns, bar.token, bar.symbol, bar.interval, bar.bar)
                if bar.kind == "closed":
                    self._tell_bar(BarClosed(*named))
                else:
                    self._tell_bar(BarRevised(*named, "late tick" if bar.kind == "revised" else "history"))
        else:
            for listener in self.listeners:
                if listener.hears(type(item)):
                    self._call(listener, item)

    def _sort(self) -> None:
        self._ticks = tuple(listener for listener in self.listeners if listener.hears(Ticks))
        self._updates = tuple(listener for listener in self.listeners if listener.hears(BarUpdate))

    def _call(self, listener: Listener, event: Event) -> None:
        error = listener.call(event)
        if error is not None:
            self.errors += 1
            if self._on_error is not None:
                self._on_error(error)

    def _deliver_ticks(self, event: Ticks) -> None:
        for listener in self._ticks:
            chosen = event if listener.tokens is None else event.only(listener.tokens)
            if chosen is not None:
                self._call(listener, chosen)

    def _tell_bar(self, event: BarEvent) -> None:
        kind = type(event)
        for listener in self.listeners:
            if (
                listener.hears(kind)
                and (listener.tokens is None or event.token in listener.tokens)
                and (listener.intervals is None or event.interval in listener.intervals)
            ):
                self._call(listener, event)

    def _deliver_updates(self, item: Batch) -> None:
        """The forming bars are read here, on the listener's side: a slow one sees the newest and costs nobody."""
        updates = self._updates
        tokens: set[int] = set(item.ticks.array["instrument_token"].tolist())
        if all(listener.tokens is not None for listener in updates):
            tokens &= set().union(*(listener.tokens or () for listener in updates))
        everything = any(listener.intervals is None for listener in updates)
        names = self._engine.intervals if everything else set().union(*(each.intervals or () for each in updates))
        for token in tokens:
            for name in names:
                event = self._update(token, name, item.time_ns)
                if event is not None:
                    self._tell_bar(event)

    def _update(self, token: int, interval: str, time_ns: int) -> BarUpdate | None:
        key = (token, interval)
        candles = self._candles.get(key)
        if candles is None:
            try:
                candles = self._candles[key] = self._engine.candles(token, interval)
            except (UnknownInstrument, ValueError):
                # Beyond `max_instruments`, or bars finer than the instrument's tick: there are none.
                return None
        bar = candles.forming
        if bar is None or self._shown.get(key) == bar:
            return None
        self._shown[key] = bar
        return BarUpdate(time_ns, token, candles.symbol, candles.interval, bar)
