"""Reader: what a source delivers to; bytes to engine, and nothing else that could take time (stage feed)."""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from tickloom.errors import DecodeError
from tickloom.events import BrokerError, Connection, Gap, Message, Order, Stale
from tickloom.feed.listeners import Quiet
from tickloom.feed.queue import Bars, Batch
from tickloom.feed.staleness import Staleness
from tickloom.feed.statistics import Lags, Rate
from tickloom.ticker.messages import parse_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tickloom._core import Engine, UpstoxDecoder
    from tickloom.feed.outlets import Hub
    from tickloom.history.base import Minutes
    from tickloom.sources.pushed import PushedTicks
    from tickloom.ticker.messages import ConnectionEvent

__all__ = ["Reader", "Tee"]

_log = logging.getLogger("tickloom.feed")

# So far apart are the frames that are timed: often enough to see, too seldom to be felt.
_SAMPLE_NS = 100_000_000
_DOWN = frozenset({"disconnected", "waiting", "stopped", "authentication_failed"})


class Tee(Protocol):
    """Where raw frames go before they are read: a `Recorder`."""

    def write_frame(self, frame: bytes, received_ns: int, connection: int) -> None: ...
    def write_ticks(self, ticks: PushedTicks, connection: int) -> None: ...
    def write_text(self, text: str, received_ns: int, connection: int) -> None: ...
    def write_event(self, event: ConnectionEvent) -> None: ...
    def write_clock(self, now_ns: int) -> None: ...
    def close(self) -> None: ...


class Reader:
    """A `Sink`: keeps one engine up to date and offers what happens to a hub. No method of a sink raises.

    It lives as long as its feed, over many runs, and so do its counters.
    """

    def __init__(
        self, engine: Engine, hub: Hub, *, wanted: Callable[[], Iterable[int]], stale_after: float | None,
        decoder: UpstoxDecoder | None = None,
    ) -> None:  # fmt: skip
        self.engine = engine
        self.wanted = wanted
        self._apply = engine.apply if decoder is None else partial(engine.apply_upstox, decoder)
        self.hub = hub
        self.lags = Lags.empty()
        self.rate = Rate()
        self.tee: Tee | None = None
        self.live = True
        self.clock: Callable[[], int] = time.time_ns
        self.on_gap: Callable[[int, int], None] | None = None
        """Told of each gap, (from, to) in nanoseconds UTC. Must return at once."""
        self.states: dict[int, str] = {}
        self.heard: dict[int, int] = {}
        self.push_rejected = 0
        self.frames = self.texts = self.bad_frames = self.reconnects = self.gaps = self.record_errors = 0
        self._up: set[int] = set()
        self._lost: dict[int, int] = {}
        self._put_down: set[int] = set()
        self._sample_ns = 0
        self._quiet = {
            "record": Quiet(),
            "frame": Quiet(),
            "push": Quiet(),
            "text": Quiet(),
            "connection": Quiet(),
            "timer": Quiet(),
        }
        self._staleness = None if stale_after is None else Staleness(engine, stale_after, wanted)

    # What a source calls.

    def on_frame(self, frame: bytes, received_ns: int, connection: int) -> None:
        """Records, reads, aggregates, and offers what somebody listens to."""
        if self.tee is not None:
            self._record("write_frame", frame, received_ns, connection)
        try:
            batch = self._apply(frame, received_ns)
            self.frames += 1
            self.heard[connection] = received_ns
            if received_ns >= self._sample_ns:
                self._sample(batch[-1].exchange_timestamp if len(batch) else None, received_ns)
            hub = self.hub
            if hub.for_ticks and len(batch):
                for outlet in hub.for_ticks:
                    outlet.put(Batch(batch, received_ns, connection))
            if hub.for_bars:
                self.offer_bars(received_ns)
        except DecodeError as error:
            self.frames += 1
            self.bad_frames += 1
            self.heard[connection] = received_ns
            self._complain("frame", "a frame could not be read", error)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the connection must not die of it
            self._complain("frame", "a frame was not handled", error)

    def on_ticks(self, ticks: PushedTicks, connection: int) -> None:
        """Aggregates ticks of another make than Kite's, records what was taken, and offers what somebody listens to."""
        try:
            received_ns = ticks.received_ns
            taken = ticks.into(self.engine)
            self.push_rejected += taken.rejected
            self.heard[connection] = received_ns
            if taken.error is not None:
                self._complain("push", "a pushed tick could not be true and was left out", taken.error)
            if not len(taken):
                return
            if self.tee is not None:
                # What was left out has no place there: a replay would have to leave it out again.
                self._record("write_ticks", taken, connection)
            if received_ns >= self._sample_ns:
                self._sample(taken[-1].exchange_timestamp, received_ns)
            hub = self.hub
            for outlet in hub.for_ticks:
                outlet.put(Batch(taken, received_ns, connection))
            if hub.for_bars:
                self.offer_bars(received_ns)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the connection must not die of it
            self._complain("push", "pushed ticks were not handled", error)

    def on_text(self, text: str, received_ns: int, connection: int) -> None:
        """Orders, complaints, notices, and what nobody knows: each to its listeners."""
        if self.tee is not None:
            self._record("write_text", text, received_ns, connection)
        try:
            self.texts += 1
            self.heard[connection] = received_ns
            message = parse_text(text)
            if message.kind == "order":
                self.hub.offer(Order(received_ns, message.data, connection))
            elif message.kind == "error":
                self.hub.offer(BrokerError(received_ns, message.data, connection))
            else:
                self.hub.offer(Message(received_ns, message.kind, message.data, connection))
        except BaseException as error:  # noqa: BLE001 - whatever it is, the connection must not die of it
            self._complain("text", "a text was not handled", error)

    def on_connection(self, event: ConnectionEvent) -> None:
        """Tells the engine where its gaps are, and everybody what happened."""
        # Before the time is known nothing has come; what was tried until then has no place in a journal of that time.
        if self.tee is not None and self.clock():
            self._record("write_event", event)
        try:
            self._note(event)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the connection must not die of it
            self._complain("connection", "a connection event was not handled", error)

    def on_clock(self, now_ns: int) -> None:
        """The time of a source that has its own closes quiet bars."""
        try:
            self._advance(now_ns)
            if self.hub.for_bars:
                self.offer_bars(now_ns)
        except BaseException as error:  # noqa: BLE001 - a time that is none must not end the feed
            self._complain("timer", "the time was not taken", error)

    # What the run calls, on the reader's thread.

    def started(self, *, live: bool, clock: Callable[[], int]) -> None:
        """A run begins."""
        self.live, self.clock = live, clock
        self._sample_ns = 0
        self.states.clear()
        # Those that a stop took down: they come back, but they were not lost.
        self._put_down = set(self._lost)

    def beat(self) -> None:
        """The timer: closes bars that are quiet, and looks who is."""
        # A clock that was set back must not end the timing.
        self._sample_ns = 0
        try:
            now_ns = self.clock()
            if not now_ns:
                # A source that does not know the time yet has delivered nothing.
                return
            if self.live:
                self._advance(now_ns)
            if self.hub.for_bars:
                self.offer_bars(now_ns)
            stats = self.engine.stats()
            self.rate.sample(time.monotonic(), stats["ticks"] + stats["pushed"])
            if self._staleness is not None:
                for stale in self._staleness.look(now_ns):
                    self.hub.offer(stale)
        except BaseException as error:  # noqa: BLE001 - a beat that fails must not be the last one
            self._complain("timer", "the timer failed", error)

    def ended(self) -> None:
        """A run is over: what trades from now on is in a gap, until another run's ticks settle it."""
        try:
            for connection in sorted(self._up):
                self._lose(connection, self.clock())
            if self.hub.for_bars:
                self.offer_bars(self.clock())
        finally:
            tee, self.tee = self.tee, None
            if tee is not None:
                tee.close()

    def offer_bars(self, time_ns: int) -> None:
        """Offers what was closed and revised since the last call."""
        bars = self.engine.drain_closed()
        if bars:
            for outlet in self.hub.for_bars:
                outlet.put(Bars(bars, time_ns))

    @property
    def connected(self) -> bool:
        """Whether every connection that told of itself is up."""
        return all(connection in self._up for connection in tuple(self.states))

    def join(self, token: int, minutes: Minutes, now_ns: int, authority: Any) -> tuple[int, int]:
        """Joins history that was read at this time; gives how many bars changed, and how many minutes came too early.

        On the reader's thread, so that nobody hears of its bars out of order.
        """
        before = self.engine.stats()["history_early"]
        changed = self.engine.join_history(token, **minutes.columns(), now_ns=now_ns, authority=authority)
        if self.hub.for_bars:
            self.offer_bars(now_ns)
        return changed, self.engine.stats()["history_early"] - before

    def _advance(self, now_ns: int) -> None:
        if self.tee is not None:
            # With the times that the engine was told, a journal gives the very bars that were live.
            self._record("write_clock", now_ns)
        self.engine.advance(now_ns)

    def _note(self, event: ConnectionEvent) -> None:
        connection = event.connection
        self.states[connection] = event.state
        since_ns = self.heard.get(connection, event.time_ns)
        if event.state == "connected":
            self._up.add(connection)
            self.engine.connected(event.time_ns)
        elif event.state in _DOWN and connection in self._up:
            self._lose(connection, event.time_ns)
        self.hub.offer(
            Connection(
                event.time_ns, event.state, connection, event.attempt, event.code, event.reason, event.retry_in
            )
        )  # fmt: skip
        if event.state == "stale":
            self.hub.offer(Stale(event.time_ns, since_ns, connection=connection))
        elif event.state == "connected" and connection in self._lost:
            self.reconnects += connection not in self._put_down
            self._put_down.discard(connection)
            self.gaps += 1
            since_ns = self._lost.pop(connection)
            if self.on_gap is not None:
                self.on_gap(since_ns, event.time_ns)
            self.hub.offer(Gap(event.time_ns, connection, since_ns))

    def _lose(self, connection: int, now_ns: int) -> None:
        # The line was dead since the last thing that came over it, not since somebody noticed.
        since_ns = min(self.heard.get(connection, now_ns), now_ns)
        self._up.discard(connection)
        self._lost[connection] = since_ns
        self.engine.disconnected(since_ns)

    def _sample(self, stamp_ns: int | None, received_ns: int) -> None:
        self._sample_ns = received_ns + _SAMPLE_NS
        self.lags.receive_to_engine.add(self.clock() - received_ns)
        if stamp_ns:
            self.lags.exchange_to_receive.add(received_ns - stamp_ns)

    def _record(self, method: str, *what: object) -> None:
        try:
            getattr(self.tee, method)(*what)
        except BaseException as error:  # noqa: BLE001 - a full disk must not end the feed
            self.record_errors += 1
            self._complain("record", "recording failed", error)

    def _complain(self, about: str, sentence: str, error: BaseException) -> None:
        kept = self._quiet[about].admits()
        if kept is not None:
            _log.error("%s%s", sentence, f" ({kept} more since the last report)" if kept else "", exc_info=error)
