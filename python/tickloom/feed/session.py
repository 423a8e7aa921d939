"""Session: one run of a feed, from start to stop: the reader's thread with its event loop (stage feed)."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import selectors
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tickloom.feed.outlets import Dispatcher, Hub
    from tickloom.feed.reader import Reader
    from tickloom.sources.base import Source

__all__ = ["BusySelector", "Orders", "Session"]

_log = logging.getLogger("tickloom.feed")

_BEAT = 0.25


class BusySelector(selectors.DefaultSelector):
    """Asks the kernel again and again instead of sleeping: no wake-up to wait for, at the price of a core.

    Every question releases the interpreter, so other threads run.
    """

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """As its base, without ever sleeping."""
        ask, now = super().select, time.monotonic
        if timeout is None:
            while not (ready := ask(0)):
                pass
            return ready
        until = now() + timeout
        while not (ready := ask(0)) and now() < until:
            pass
        return ready


class Orders:
    """What other threads ask of the reader's: done between two frames, or while the reader waits for a queue."""

    def __init__(self) -> None:
        self._asked: deque[tuple[Callable[[], None], concurrent.futures.Future[None]]] = deque()

    def ask(self, what: Callable[[], None]) -> concurrent.futures.Future[None]:
        """Puts it in the line; somebody has to see to it that `obey` is called."""
        future: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._asked.append((what, future))
        return future

    def obey(self) -> None:
        """Does all that was asked, in order. What one of them raises goes to who asked."""
        while self._asked:
            try:
                what, future = self._asked.popleft()
            except IndexError:
                return
            try:
                what()
            except Exception as error:  # noqa: BLE001 - it is handed to the thread that asked
                future.set_exception(error)
            else:
                future.set_result(None)


class Session:
    """One start of a feed. Not used again after its stop; a feed makes a new one."""

    def __init__(
        self, source: Source, reader: Reader, hub: Hub, dispatcher: Dispatcher | None, orders: Orders, *, busy: bool
    ) -> None:
        self._source = source
        self._reader = reader
        self._hub = hub
        self._dispatcher = dispatcher
        self._orders = orders
        self._busy = busy
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._up = threading.Event()
        self.stopping = False
        """Whether it was told to stop."""
        self.error: BaseException | None = None
        """What ended the source, if it was not the end and not `stop`."""
        self.ended = threading.Event()
        """Set when the reader is done."""
        self.started = time.monotonic()
        self.thread = threading.Thread(target=self._work, name="tickloom-reader", daemon=True)

    def start(self) -> None:
        """Returns when the loop is there."""
        if self._dispatcher is not None:
            self._dispatcher.thread.start()
        self.thread.start()
        self._up.wait()

    def on_reader(self, what: Callable[[], None]) -> None:
        """Does `what` on the reader's thread and waits for it; raises what it raises."""
        if threading.current_thread() is self.thread:
            what()
            return
        future = self._orders.ask(what)
        loop = self._loop
        if loop is not None:
            # Closed if the source has ended just now.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._orders.obey)
        self._hub.nudge()
        while True:
            try:
                future.result(0.1)
                return
            except concurrent.futures.TimeoutError:
                if future.done():
                    raise
                if self.ended.is_set():
                    # Without a reader there is no thread to keep it from.
                    self._orders.obey()

    def stop(self, timeout: float) -> None:
        """Ends the source, then the callbacks; waits no longer than `timeout` seconds for both together."""
        deadline = time.monotonic() + timeout
        self.stopping = True
        self._hub.relax()
        loop, task = self._loop, self._task
        if loop is not None and task is not None:
            # Closed if it has ended by itself.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(task.cancel)
        if threading.current_thread() is self.thread:
            return
        self.thread.join(timeout)
        if self.thread.is_alive():
            _log.error("the reader did not stop within %s s", timeout)
        if self._dispatcher is not None:
            self._dispatcher.end(max(deadline - time.monotonic(), 0))

    @property
    def alive(self) -> bool:
        """Whether the source runs."""
        return not self.ended.is_set()

    @property
    def active(self) -> bool:
        """Whether the source runs, or callbacks have not yet had everything."""
        return self.alive or (self._dispatcher is not None and self._dispatcher.thread.is_alive())

    def _work(self) -> None:
        try:
            with asyncio.Runner(loop_factory=self._make_loop) as runner:
                runner.run(self._run())
        except asyncio.CancelledError:
            pass
        except BaseException as error:  # noqa: BLE001 - it is kept for `run` and `status`
            self.error = error
            _log.error("the source %s failed", getattr(self._source, "name", self._source), exc_info=error)
        finally:
            try:
                self._reader.ended()
            except BaseException as error:  # noqa: BLE001 - a journal that cannot be closed must not keep the feed from ending
                self.error = self.error or error
                _log.error("the feed did not end cleanly", exc_info=error)
            self._hub.finish()
            self._up.set()
            self.ended.set()
            self._orders.obey()

    def _make_loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.SelectorEventLoop(BusySelector()) if self._busy else asyncio.SelectorEventLoop()

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        beats = asyncio.create_task(self._beats())
        self._up.set()
        try:
            if not self.stopping:
                await self._source.run(self._reader)
        finally:
            beats.cancel()

    async def _beats(self) -> None:
        while True:
            self._orders.obey()
            self._reader.beat()
            await asyncio.sleep(_BEAT)
