"""A source without a network: delivers what the test gives it, on the reader's own thread."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from tests.oracle import frames
from tickloom.sources.base import Sink
from tickloom.ticker.messages import ConnectionEvent

SECOND = 1_000_000_000
INFY = 408065
TCS = 2953217


def full(token: int = INFY, price: int = 10_000, volume: int = 0, at_ns: int | None = None) -> bytes:
    """A frame of one full packet, stamped now or at `at_ns`."""
    stamp = (time.time_ns() if at_ns is None else at_ns) // SECOND * SECOND
    return frames.frame(frames.full(token, price, volume, stamp, stamp))


def frame_of(*packets: tuple[int, int, int, int]) -> bytes:
    """A frame of full packets: token, price, volume, stamp."""
    return frames.frame(*(frames.full(token, price, volume, at, at) for token, price, volume, at in packets))


class Fake:
    """Implements `Source`. `send`, `text` and `state` may be called from any thread while it runs."""

    name = "fake"

    def __init__(
        self,
        *,
        script: Callable[[Sink], None] | None = None,
        error: BaseException | None = None,
        now_ns: int | None = None,
    ) -> None:
        """`now_ns`: what the clock says now; it goes on from there. `script`: delivers, and is then at its end."""
        if now_ns is not None:
            ahead = now_ns - time.time_ns()
            self.clock = lambda: time.time_ns() + ahead
        self.script = script
        self.error = error
        self.wanted: dict[int, str] = {}
        self.threads: list[str] = []
        self.runs = 0
        self._sink: Sink | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self, sink: Sink) -> None:
        self.runs += 1
        self._sink, self._loop = sink, asyncio.get_running_loop()
        try:
            if self.script is not None:
                sink.on_connection(ConnectionEvent("connected", 0, self.now()))
                self.script(sink)
                return
            if self.error is not None:
                raise self.error
            sink.on_connection(ConnectionEvent("connecting", 0, self.now()))
            sink.on_connection(ConnectionEvent("connected", 0, self.now()))
            await asyncio.Event().wait()
        finally:
            self._loop = None

    def subscribe(self, tokens: Sequence[int], mode: str) -> None:
        self.threads.append(threading.current_thread().name)
        if len(self.wanted.keys() | set(tokens)) > 3_000:
            raise ValueError("more than 3000 instruments")
        self.wanted = {**self.wanted, **dict.fromkeys(tokens, mode)}

    def unsubscribe(self, tokens: Sequence[int]) -> None:
        self.wanted = {token: mode for token, mode in self.wanted.items() if token not in set(tokens)}

    def subscriptions(self) -> Mapping[int, str]:
        return self.wanted

    def send(self, frame: bytes, received_ns: int | None = None, connection: int = 0) -> None:
        """One frame, as if it had just come."""
        received_ns = self.now() if received_ns is None else received_ns
        self._do(lambda sink: sink.on_frame(frame, received_ns, connection))

    def deliver(self, what: Callable[[Sink], None]) -> None:
        """Anything, in one go."""
        self._do(what)

    def now(self) -> int:
        """The time at this exchange."""
        return getattr(self, "clock", time.time_ns)()

    def text(self, text: str, connection: int = 0) -> None:
        """One text."""
        self._do(lambda sink: sink.on_text(text, self.now(), connection))

    def state(self, state: str, connection: int = 0, **more: object) -> None:
        """A connection's state."""
        event = ConnectionEvent(state, connection, self.now(), **more)
        self._do(lambda sink: sink.on_connection(event))

    def _do(self, what: Callable[[Sink], None]) -> None:
        until(lambda: self._loop is not None)
        loop, sink = self._loop, self._sink
        assert loop is not None
        assert sink is not None
        loop.call_soon_threadsafe(what, sink)


def until(true: Callable[[], object], seconds: float = 5.0) -> None:
    """Waits for something that another thread does; fails if it does not."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.002)
