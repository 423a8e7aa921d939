"""Listening: the half of `Feed` through which events leave it: callbacks, streams, waits (stage feed)."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, TypeVar, overload

from tickloom._core import Engine
from tickloom.errors import ConnectionFailed
from tickloom.events import (
    BarClosed,
    BarRevised,
    BarUpdate,
    BrokerError,
    Connection,
    Event,
    Gap,
    Message,
    Order,
    Stale,
    Ticks,
)
from tickloom.feed.listeners import Audience, Listener
from tickloom.feed.outlets import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import timedelta

    from tickloom._core import Bar, PriceScales, Tick
    from tickloom.feed.outlets import Hub
    from tickloom.feed.queue import Policy
    from tickloom.feed.session import Orders, Session
    from tickloom.feed.symbols import Symbols
    from tickloom.sources.pushed import PushedTick

__all__ = ["Listening"]

E = TypeVar("E", bound=Event)
F = TypeVar("F", bound="Callable[..., object]")
NEWS = (Ticks, BarClosed, BarRevised, Connection, Gap, Stale, Order, BrokerError, Message)
"""What `events()` gives if it is not told: all but `BarUpdate`, of which there is one a bar and tick."""


class Listening:
    """Subscription by type of event. Not made by itself: `Feed` is one."""

    def __init__(
        self,
        engine: Engine,
        hub: Hub,
        symbols: Symbols,
        limit: int,
        policy: Policy,
        scales: PriceScales | None,
        orders: Orders,
    ) -> None:
        self._engine = engine
        self._hub = hub
        self._symbols = symbols
        self._limit: int = limit
        self._policy: Policy = policy
        self._scales = scales
        self._orders = orders
        self._audience = Audience(engine, self._on_error)
        self._listeners: list[Listener] = []
        self._woken = threading.Event()
        self._blocking = False
        self._exit: BaseException | None = None
        self._session: Session | None = None
        self.process: int | None = None
        """The process that started it first, None before."""

    # Callbacks.

    def on(
        self,
        kinds: type[E] | tuple[type[E], ...],
        function: Callable[[E], object],
        *,
        symbols: Iterable[int | str] | int | str | None = None,
        interval: str | timedelta | None = None,
    ) -> Callable[[E], object]:
        """Calls `function` with every event of these types, of all instruments and intervals or the named ones.

        What it raises is logged, at most once in ten seconds, and changes nothing else. It runs on the dispatcher's
        thread, or on the reader's if the feed is `inline`. Takes effect at once, before or after `start`. Gives the
        function, for `off`. Raises UnknownInstrument, ValueError for an interval that is not kept, TypeError for an
        async function.
        """
        self._check_process()
        listener = self._listener(function, kinds if isinstance(kinds, tuple) else (kinds,), symbols, interval)
        self._listeners.append(listener)
        self._audience.add(listener)
        self._hub.look()
        return function

    def off(self, function: Callable[..., object]) -> None:
        """Calls this function no more."""
        for listener in [each for each in self._listeners if each.function is function or each.function == function]:
            self._listeners.remove(listener)
            self._audience.remove(listener)
        self._hub.look()

    def on_tick(
        self, function: Callable[[Ticks], object], symbols: Iterable[int | str] | int | str | None = None
    ) -> Callable[[Ticks], object]:
        """Calls `function` with the ticks of each frame, all together: iterate over the event."""
        return self.on(Ticks, function, symbols=symbols)

    @overload
    def on_bar(
        self, function: Callable[[BarClosed], object], interval: str | timedelta | None = None,
        symbols: Iterable[int | str] | int | str | None = None,
    ) -> Callable[[BarClosed], object]: ...  # fmt: skip
    @overload
    def on_bar(
        self, function: Callable[[Any], object], interval: str | timedelta | None = None,
        symbols: Iterable[int | str] | int | str | None = None, *, revised: bool = False, forming: bool = False,
    ) -> Callable[[Any], object]: ...  # fmt: skip
    def on_bar(
        self, function: Callable[[Any], object], interval: str | timedelta | None = None,
        symbols: Iterable[int | str] | int | str | None = None, *, revised: bool = False, forming: bool = False,
    ) -> Callable[[Any], object]:  # fmt: skip
        """Calls `function` with each closed bar; with `revised` and `forming` also when one is corrected or changes."""
        kinds = (BarClosed, *(BarRevised,) * revised, *(BarUpdate,) * forming)
        return self.on(kinds, function, symbols=symbols, interval=interval)

    def on_status(self, function: Callable[[Connection | Gap | Stale], object]) -> Callable[..., object]:
        """Calls `function` when the state of the line changes."""
        return self.on((Connection, Gap, Stale), function)

    # Streams.

    @overload
    def events(
        self, *, symbols: Iterable[int | str] | int | str | None = None, interval: str | timedelta | None = None,
        queue: int | None = None, policy: Policy | None = None,
    ) -> Stream[Event]: ...  # fmt: skip
    @overload
    def events(
        self, kind: type[E], /, *kinds: type[E], symbols: Iterable[int | str] | int | str | None = None,
        interval: str | timedelta | None = None, queue: int | None = None, policy: Policy | None = None,
    ) -> Stream[E]: ...  # fmt: skip
    def events(
        self,
        *kinds: type[Event],
        symbols: Iterable[int | str] | int | str | None = None,
        interval: str | timedelta | None = None,
        queue: int | None = None,
        policy: Policy | None = None,
    ) -> Stream[Any]:
        """Events from now on, for `async for` (or `stream.get()` in a thread); ends when the feed stops.

        All types but `BarUpdate` if none is named. It has a queue of its own; `queue` and `policy` are the feed's if
        not given. Raises as `on`.
        """
        self._check_process()

        def listener(function: Callable[[Event], None]) -> Listener:
            return self._listener(function, kinds or NEWS, symbols, interval)

        return Stream(
            self._hub, self._engine, listener, self._limit if queue is None else queue, policy or self._policy,
            self._scales, self._orders.obey,
        )  # fmt: skip

    # Waits.

    def wait_tick(
        self, symbols: Iterable[int | str] | int | str | None = None, timeout: float | None = None
    ) -> list[Tick | PushedTick]:
        """The next ticks, of these instruments if they are named. TimeoutError after `timeout` seconds,
        ConnectionFailed if the feed stops or does not run."""
        with self._wait_on(Ticks, symbols, None) as stream:
            event = stream.get(timeout)
        if not isinstance(event, Ticks):
            raise ConnectionFailed("the feed stopped while a tick was waited for")
        return list(event)

    def wait_bar(
        self, symbol: int | str, interval: str | timedelta, timeout: float | None = None, *, after: int | None = None
    ) -> Bar:
        """The next bar that closes; with `after`, the first that starts later than that (ns UTC), at once if there
        is one, so that a loop which passes the last bar's `time` misses none. Raises as `wait_tick`."""
        with self._wait_on(BarClosed, symbol, interval) as stream:
            if after is not None:
                candles = self._engine.candles(self._symbols.token(symbol), interval)
                while newer := int(((times := candles.time) > after).sum()):
                    first = candles.last(newer)[0]
                    # The reader may have sealed another one since: then these are the last of more.
                    if first.time == times[-newer]:
                        return first
            while True:
                event = stream.get(timeout)
                if not isinstance(event, BarClosed):
                    raise ConnectionFailed("the feed stopped while a bar was waited for")
                if after is None or event.bar.time > after:
                    return event.bar

    # What the rest of the feed needs.

    @property
    def running(self) -> bool:
        """Whether the source runs."""
        return self._session is not None and self._session.alive

    def _wait_on(self, kind: type[E], symbols: Any, interval: str | timedelta | None) -> Stream[E]:
        session = self._session
        if session is None or not session.alive:
            raise ConnectionFailed("the feed does not run")
        if threading.current_thread() is session.thread:
            raise RuntimeError("the reader cannot wait for itself: no waiting in inline callbacks")
        return self.events(kind, symbols=symbols, interval=interval, policy="drop_oldest")

    def _listener(
        self,
        function: Callable[..., object],
        kinds: tuple[Any, ...],
        symbols: Iterable[int | str] | int | str | None,
        interval: str | timedelta | None,
    ) -> Listener:
        for kind in kinds:
            if not (isinstance(kind, type) and issubclass(kind, Event)):
                raise TypeError(f"not a type of event: {kind!r}")
        tokens = None if symbols is None else frozenset(self._symbols.tokens(symbols))
        return Listener(function, kinds, tokens, None if interval is None else frozenset({self._interval(interval)}))

    def _interval(self, interval: str | timedelta) -> str:
        (name,) = Engine([interval]).intervals
        if name not in self._engine.intervals:
            raise ValueError(f"interval is not kept, the feed has {', '.join(self._engine.intervals)}: {interval}")
        return name

    def _on_error(self, error: BaseException) -> None:
        # Only a program that blocks in `run` can be ended from here; a thread's `sys.exit` ends the thread at most.
        if self._blocking and isinstance(error, (SystemExit, KeyboardInterrupt)):
            self._exit = error
            self._woken.set()

    def _on_source(self, what: Callable[[], None]) -> None:
        self._check_process()
        session = self._session
        if session is not None and session.alive:
            session.on_reader(what)
        else:
            what()

    def _check_process(self) -> None:
        if self.process is not None and self.process != os.getpid():
            raise RuntimeError(
                f"this feed belongs to process {self.process}, and its threads did not come along into "
                f"{os.getpid()}: make the feed after the fork"
            )
