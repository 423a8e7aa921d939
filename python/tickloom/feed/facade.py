"""Facade: `Feed`, a source and an engine and who listens to them (stage feed, the orchestrator)."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any, Self, cast

from tickloom._core import Engine
from tickloom.errors import ConnectionFailed
from tickloom.feed import lifecycle
from tickloom.feed.moved import Moved
from tickloom.feed.outlets import Dispatcher, Hub, Inline
from tickloom.feed.queue import Account, Queue
from tickloom.feed.reader import Reader
from tickloom.feed.session import Orders, Session
from tickloom.feed.statistics import Status
from tickloom.feed.symbols import Symbols
from tickloom.feed.wanting import Wanting
from tickloom.feed.warming import checked

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import timedelta
    from types import TracebackType

    from tickloom._core import Candles
    from tickloom.feed.backfill import Backfill
    from tickloom.feed.queue import Policy
    from tickloom.feed.reader import Tee
    from tickloom.history.base import History
    from tickloom.sources.base import Source
    from tickloom.watchlists import Watchlists

__all__ = ["Feed"]

_STOP = 1.0
_LOOK = 0.05


class Feed(Wanting):
    """Live candles from a source: `start` it, read `candles`, and be told by callbacks or `events()`.

    The reader's thread only turns bytes into candles. Callbacks run on another, behind a queue of `queue` items with
    the policy "conflate" (a slow callback gets the newest tick of each instrument), "drop_oldest" or "block" (the
    reader waits, nothing is lost); with `inline` the reader calls them itself. `record` is a path, or a `Recorder`, for
    the raw frames. `busy` gives a whole core for a few microseconds less. `stale_after` seconds without a tick make an
    instrument `Stale`. A `history` repairs what the feed misses and warms up a start (docs/history.md). `symbols` maps
    names to tokens where the source does not: a dict, or `Instruments`, from which tick sizes and hours are taken too;
    with these a name may be one of `watchlists`, of the shipped ones without it. An `engine` may be given, else one is
    made with `intervals` and the other options of `Engine`.

    It can be started and stopped any number of times; several can run at once, also where an event loop runs
    already. Any thread may call any method. After a fork a feed that ever ran raises RuntimeError in the child.
    """

    def __init__(
        self,
        source: Source,
        intervals: Iterable[str | timedelta] | None = None,
        *,
        engine: Engine | None = None,
        symbols: Mapping[str, int] | None = None,
        watchlists: Watchlists | None = None,
        queue: int = 256,
        policy: Policy = "conflate",
        inline: bool = False,
        record: str | os.PathLike[str] | Tee | None = None,
        busy: bool = False,
        stale_after: float | None = None,
        history: History | None = None,
        **options: Any,
    ) -> None:
        if engine is not None and (intervals is not None or options):
            raise TypeError("a feed with an engine of its own takes no options for one")
        self._engine = engine or Engine(intervals, **options)
        # Refuses wrong options now, not at the start.
        Queue(queue, policy)
        if getattr(record, "decoder", decoder := getattr(source, "decoder", None)) is not decoder:
            raise ValueError("the recorder must have the source's decoder, Recorder(..., decoder=source.decoder)")
        self.source = source
        self._symbols = Symbols(self._engine, source, symbols, watchlists)
        self._moved = Moved()
        self._hub = Hub(self._engine)
        self._reader = Reader(
            self._engine, self._hub, wanted=self._wanted, stale_after=stale_after,
            decoder=decoder,
        )  # fmt: skip
        self._orders = Orders()
        super().__init__(self._engine, self._hub, self._symbols, queue, policy, options.get("scales"), self._orders)
        self._inline = Inline(self._audience, self._reader.lags.receive_to_callback) if inline else None
        self._record = record
        self._recorded = False
        self._busy = busy
        self._session: Session | None = None
        self._history = checked(history)
        self._backfill: Backfill | None = None
        self._dispatched = Account()
        self._dispatcher: Dispatcher | None = None
        self._starts = 0
        self._lock = threading.RLock()
        if self._inline is not None:
            self._hub.add(self._inline)

    # Run it.

    def start(self, warmup: str | int | None = None) -> None:
        """Starts the threads and returns; does nothing if it runs. Raises what opening the journal raises, and
        RuntimeError if a `stop` has not come to its end.

        With `warmup`, trading days before today such as "2d", history fills the candles of all that is subscribed, in
        the background, in the order of subscription; ValueError without a `history`.
        """
        self._check_process()
        days = self._check_warmup(warmup)
        with self._lock:
            if self._session is not None and self._session.alive:
                if self._session.stopping:
                    raise RuntimeError("the feed is still stopping: its reader is in a callback or its source hangs")
                return
            self.process = self.process or os.getpid()
            self._reader.tee = self._open_tee()
            clock = getattr(self.source, "clock", time.time_ns)
            self._reader.started(live=getattr(self.source, "live", True), clock=clock)
            self._retire_dispatcher()
            if self._inline is None:
                queue = Queue(
                    self._limit, self._policy, scales=self._scales, idle=self._orders.obey
                )  # fmt: skip
                lag = self._reader.lags.receive_to_callback
                self._dispatcher = Dispatcher(self._audience, queue, lag, clock)
                self._hub.add(self._dispatcher)
            self._exit = None
            self._session = Session(
                self.source, self._reader, self._hub, self._dispatcher, self._orders, busy=self._busy
            )
            self._starts += 1
            lifecycle.ran(self)
            self._session.start()
            self._start_history(self._session, days)

    def stop(self, timeout: float = _STOP) -> None:
        """Stops it; does nothing if it does not run. From any thread, from a callback too.

        Callbacks get what is queued, for at most `timeout` seconds; what is left is dropped, and counted.
        """
        self._check_process()
        session = self._session
        if session is not None:
            self._stop_history(timeout)
            session.stop(timeout)
            lifecycle.running.discard(self)
            self._woken.set()

    def run(self, warmup: str | int | None = None) -> None:
        """Starts it and returns when it ends: its source has no more, or `stop` was called.

        Ctrl-C stops it and raises KeyboardInterrupt; SIGTERM, if nobody else handles it, stops it and ends the
        process. `sys.exit` in a callback stops it and is raised here. Raises what made the source fail.
        """
        terminated: list[int] = []
        handled = (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        )  # fmt: skip
        self._woken.clear()
        self._exit = None
        self._blocking = True
        try:
            if handled:
                # The handler only notes it: it may run while this thread holds any lock.
                signal.signal(signal.SIGTERM, lambda number, _: terminated.append(number))
            self.start(warmup)
            session = self._session
            while not self._woken.wait(_LOOK) and not terminated and session is not None and session.active:
                pass
        finally:
            self._blocking = False
            self.stop()
            if handled:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if terminated:
            signal.raise_signal(signal.SIGTERM)
        if self._exit is not None:
            raise self._exit
        if self.error is not None:
            raise self.error

    def wait_connected(self, timeout: float | None = None) -> None:
        """Returns when every connection is up. TimeoutError after `timeout` seconds, ConnectionFailed if it stops."""
        self._check_process()
        deadline = None if timeout is None else time.monotonic() + timeout
        while not (self.running and self._reader.connected and self._reader.states):
            if not self.running:
                raise ConnectionFailed("the feed does not run")
            if deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError(f"not connected within {timeout} s")
            time.sleep(0.005)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)

    # What there is.

    @property
    def engine(self) -> Engine:
        """The engine; reading from it is safe from any thread."""
        self._check_process()
        return self._engine

    def candles(self, instrument: int | str, interval: str | timedelta) -> Candles:
        """Live candles. Raises UnknownInstrument, and ValueError for an interval that is not kept."""
        self._check_process()
        return self._engine.candles(self._symbols.token(instrument), interval)

    @property
    def error(self) -> BaseException | None:
        """What ended the source, if it failed."""
        return None if self._session is None else self._session.error

    def status(self) -> Status:
        """The figures of this moment."""
        self._check_process()
        reader, stats = self._reader, self._engine.stats()
        callbacks = Account()
        callbacks.add(self._dispatched)
        outlet = self._inline or self._dispatcher
        if outlet is not None:
            callbacks.add(outlet.account)
        running = self.running
        return Status(
            running=running, connected=running and reader.connected, connections=dict(reader.states),
            subscribed=len(self.source.subscriptions()),
            uptime=time.monotonic() - self._session.started if running and self._session is not None else 0.0,
            starts=self._starts, reconnects=reader.reconnects, gaps=reader.gaps, frames=reader.frames,
            packets=stats["packets"], ticks=stats["ticks"], rejected=stats["rejected"], pushed=stats["pushed"],
            push_rejected=reader.push_rejected, bad_frames=reader.bad_frames,
            ticks_per_second=reader.rate.per_second if running else 0.0, texts=reader.texts,
            last_frame_ns=max(tuple(reader.heard.values()), default=0),
            queued=callbacks.offered - callbacks.delivered - callbacks.dropped, callbacks=callbacks,
            streams=self._hub.streams(), callback_errors=self._audience.errors, record_errors=reader.record_errors,
            lags=reader.lags.copy(), warmup=self._warmup(),
        )  # fmt: skip

    def _wanted(self) -> Iterable[int]:
        return tuple(self.source.subscriptions())

    def _open_tee(self) -> Tee | None:
        if self._record is None or not isinstance(self._record, (str, os.PathLike)):
            return self._record
        # Only who records needs it.
        from tickloom.sources.recorder import Recorder  # noqa: PLC0415 - only who records needs it

        decoder = getattr(self.source, "decoder", None)
        recorder = Recorder(self._record, source=self.source.name, append=self._recorded, decoder=decoder)
        self._recorded = True
        return cast("Tee", recorder)

    def _retire_dispatcher(self) -> None:
        before, self._dispatcher = self._dispatcher, None
        if before is not None:
            self._hub.drop(before)
            self._dispatched.add(before.account)
