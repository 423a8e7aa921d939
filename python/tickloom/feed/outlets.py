"""Outlets: the places where events leave a feed, each with its own queue and listeners (stage feed).

```
reader ──▶ hub ──▶ Dispatcher   a thread that calls the callbacks
              ├──▶ Inline       the callbacks, called by the reader itself
              └──▶ Stream       `async for`, `wait_tick`, `wait_bar`
```
"""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections import deque
from typing import TYPE_CHECKING, Generic, Protocol, Self, TypeVar

from tickloom.events import BarClosed, BarRevised, BarUpdate, Event, Ticks
from tickloom.feed.listeners import Audience, Listener
from tickloom.feed.queue import Account, Batch, Queue, weight

if TYPE_CHECKING:
    from collections.abc import Callable

    from tickloom._core import Engine, PriceScales
    from tickloom.feed.queue import Item, Policy
    from tickloom.feed.statistics import Histogram

__all__ = ["Dispatcher", "Hub", "Inline", "Outlet", "Stream"]

E = TypeVar("E", bound=Event)


class Outlet(Protocol):
    """What the reader offers events to."""

    audience: Audience

    def put(self, item: Item) -> None: ...
    def nudge(self) -> None: ...
    def relax(self) -> None: ...
    def finish(self) -> None: ...
    @property
    def account(self) -> Account: ...


class Hub:
    """All outlets of a feed. What they want is looked up when it changes, not when a frame comes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.RLock()
        self._outlets: tuple[Outlet, ...] = ()
        self._retired = Account()
        self.for_ticks: tuple[Outlet, ...] = ()
        self.for_bars: tuple[Outlet, ...] = ()

    @property
    def outlets(self) -> tuple[Outlet, ...]:
        """All of them."""
        return self._outlets

    def add(self, outlet: Outlet) -> None:
        """Offers events to it from now on."""
        with self._lock:
            self._outlets = (*self._outlets, outlet)
            self.look()

    def drop(self, outlet: Outlet) -> None:
        """Offers it nothing more."""
        with self._lock:
            self._outlets = tuple(each for each in self._outlets if each is not outlet)
            self.look()

    def retire(self, outlet: Outlet) -> None:
        """Offers a stream nothing more; keeps its figures."""
        with self._lock:
            self.drop(outlet)
            self._retired.add(outlet.account)

    def streams(self) -> Account:
        """The figures of all streams that there are and were."""
        total = Account()
        with self._lock:
            total.add(self._retired)
            for outlet in self._outlets:
                if isinstance(outlet, _StreamOutlet):
                    total.add(outlet.account)
        return total

    def look(self) -> None:
        """Finds out anew who wants what, after listeners came or went."""
        with self._lock:
            wanting = [(outlet, outlet.audience.hears) for outlet in self._outlets]
            bars = tuple(outlet for outlet, hears in wanting if hears(BarClosed) or hears(BarRevised))
            if bars and not self.for_bars:
                # Bars closed before anybody listened are no news; nobody may get them late.
                self._engine.drain_closed()
            self.for_ticks = tuple(outlet for outlet, hears in wanting if hears(Ticks) or hears(BarUpdate))
            self.for_bars = bars

    def offer(self, event: Event) -> None:
        """Offers an event that is neither ticks nor bars."""
        for outlet in self._outlets:
            if outlet.audience.hears(type(event)):
                outlet.put(event)

    def nudge(self) -> None:
        """Wakes a reader that waits for room in a queue."""
        for outlet in self._outlets:
            outlet.nudge()

    def relax(self) -> None:
        """Lets the reader wait for nobody any more."""
        for outlet in self._outlets:
            outlet.relax()

    def finish(self) -> None:
        """Nothing more comes; what is queued can still be taken."""
        for outlet in self._outlets:
            outlet.finish()


class Inline:
    """No queue: the reader calls the callbacks. A slow one delays the feed; that was asked for."""

    def __init__(self, audience: Audience, lag: Histogram) -> None:
        self.audience = audience
        self._account = Account()
        self._lag = lag

    def put(self, item: Item) -> None:
        events = weight(item)
        self._account.offered += events
        self._account.delivered += events
        if isinstance(item, Batch):
            self._lag.add(time.time_ns() - item.time_ns)
        self.audience.deliver(item)

    def nudge(self) -> None:
        """Nobody waits here."""

    def relax(self) -> None:
        """Nobody waits here."""

    def finish(self) -> None:
        """Nothing is left over."""

    @property
    def account(self) -> Account:
        return self._account


class _Queued:
    """What the outlets with a queue have in common."""

    def __init__(self, audience: Audience, queue: Queue) -> None:
        self.audience = audience
        self.queue = queue
        self.put = queue.put
        self.nudge = queue.nudge
        self.relax = queue.relax
        self.finish = queue.close

    @property
    def account(self) -> Account:
        return self.queue.account


class Dispatcher(_Queued):
    """A thread that calls the callbacks of one run."""

    def __init__(self, audience: Audience, queue: Queue, lag: Histogram, clock: Callable[[], int]) -> None:
        super().__init__(audience, queue)
        self._lag = lag
        self._clock = clock
        self.thread = threading.Thread(target=self._work, name="tickloom-dispatcher", daemon=True)

    def end(self, timeout: float) -> None:
        """Lets the callbacks have what is queued; what is left after `timeout` seconds is dropped, and counted."""
        self.finish()
        if self.thread is not threading.current_thread() and self.thread.is_alive():
            self.thread.join(timeout)
        self.queue.discard()

    def _work(self) -> None:
        take, deliver, clock, lag = self.queue.take, self.audience.deliver, self._clock, self._lag
        while (item := take()) is not None:
            if isinstance(item, Batch):
                lag.add(clock() - item.time_ns)
            deliver(item)


class Stream(Generic[E]):
    """Events one by one, for `async for event in stream` or `stream.get()`; ends when the feed stops.

    It has its own queue, so it neither waits for callbacks nor for other streams.
    """

    def __init__(
        self, hub: Hub, engine: Engine, listener: Callable[[Callable[[E], None]], Listener],
        limit: int, policy: Policy, scales: PriceScales | None, idle: Callable[[], None],
    ) -> None:  # fmt: skip
        self._events: deque[E] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready: asyncio.Event | None = None
        # The feed holds the outlet, the outlet does not hold the stream: a stream that nobody reads any more goes away.
        self._outlet = _StreamOutlet(engine, Queue(limit, policy, scales=scales, ready=self._waker(), idle=idle))
        self._outlet.audience.add(listener(self._events.append))
        self._finalizer = weakref.finalize(self, _retire, hub, self._outlet)
        # Left to run at exit it would come too late for anything.
        self._finalizer.atexit = False
        hub.add(self._outlet)

    @property
    def account(self) -> Account:
        """offered == delivered + dropped + queued."""
        return self._outlet.account

    def get(self, timeout: float | None = None) -> E | None:
        """The next event; None if the feed has stopped. TimeoutError if none comes within `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._events:
            left = None if deadline is None else max(deadline - time.monotonic(), 0)
            item = self._outlet.queue.take(left)
            if item is not None:
                self._outlet.audience.deliver(item)
            elif self._outlet.queue.closed:
                return None
            elif left == 0:
                raise TimeoutError(f"no event within {timeout} s")
        return self._events.popleft()

    def close(self) -> None:
        """Wants nothing more."""
        self._finalizer()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> E:
        if self._ready is None:
            self._loop, self._ready = asyncio.get_running_loop(), asyncio.Event()
        while not self._events:
            self._ready.clear()
            item = self._outlet.queue.take_now()
            if item is not None:
                self._outlet.audience.deliver(item)
            elif self._outlet.queue.closed:
                self.close()
                raise StopAsyncIteration
            else:
                await self._ready.wait()
        return self._events.popleft()

    async def aclose(self) -> None:
        """Wants nothing more."""
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _waker(self) -> Callable[[], bool]:
        reference = weakref.ref(self)

        def wake() -> bool:
            stream = reference()
            if stream is None or stream._loop is None or stream._ready is None:
                return True
            try:
                stream._loop.call_soon_threadsafe(stream._ready.set)
            except RuntimeError:
                # Its loop is closed: nobody will ever read again.
                return False
            return True

        return wake


class _StreamOutlet(_Queued):
    def __init__(self, engine: Engine, queue: Queue) -> None:
        super().__init__(Audience(engine), queue)


def _retire(hub: Hub, outlet: _StreamOutlet) -> None:
    outlet.queue.discard()
    hub.retire(outlet)
