"""One run of a connection for the drop-in: the socket's thread on one side, the inbox on the other.

The thread only moves bytes into the inbox, and only those that somebody listens to.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
from typing import TYPE_CHECKING

from tickloom.kite.inbox import Call, Inbox

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tickloom.kite.translate import Translator
    from tickloom.ticker.client import TickerClient
    from tickloom.ticker.messages import ConnectionEvent

__all__ = ["Session"]

log = logging.getLogger("tickloom.kite")

# Calls of one callback (subscribe, then set_mode) go out together, so that no token streams in a mode nobody asked for.
GATHER_S = 0.02


class Session:
    """A thread with an event loop and one `TickerClient`. Also the client's sink."""

    def __init__(
        self,
        client: TickerClient,
        translator: Translator,
        *,
        wants_frame: Callable[[int], bool],
        desired: Callable[[], Mapping[int, str]],
    ) -> None:
        self.inbox = Inbox()
        self.connected = False
        self.ending = False
        self._client = client
        self._translator = translator
        self._wants_frame = wants_frame
        self._desired = desired
        self._loop: asyncio.AbstractEventLoop | None = None
        self._before: list[Callable[[], None]] = []
        # Entered again by a signal's handler that stops in the middle of a command.
        self._guard = threading.RLock()
        self._process = os.getpid()
        self._gathering = False
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name="tickloom-kite-reader", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def join(self, timeout: float | None = None) -> None:
        """Wait for the thread's end."""
        self._thread.join(timeout)

    # Commands, from any thread

    def refresh(self) -> None:
        """The desired subscriptions have changed: bring the connection there, soon."""
        self._tell(self._gather)

    def resend(self) -> None:
        """Ask for all subscriptions again."""
        self._tell(self._resend)

    def stop(self) -> None:
        """End without waiting for the server."""
        self.ending = True
        self.inbox.hurry = True
        self._translator.stop()
        self._tell(self._finish)

    def close(self, code: int | None, reason: str | None) -> None:
        """Close the connection and try no more."""
        self.ending = True
        self._tell(lambda: self._close(code, reason))

    def stop_retry(self) -> None:
        """Try no more once the connection is lost."""
        self._tell(self._stop_retry)

    @property
    def forked(self) -> bool:
        """Whether this is a copy in another process, where its threads are not."""
        return os.getpid() != self._process

    def _tell(self, command: Callable[[], None]) -> None:
        if self.forked:
            raise RuntimeError("this ticker was started before the fork, make a new one in the child")
        with self._guard:
            if self._loop is None:
                self._before.append(command)
                return
            # A loop that has ended has nothing left to command.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(command)

    # On the loop's thread

    def _run(self) -> None:
        failure: BaseException | None = None
        try:
            asyncio.run(self._read())
        except Exception as error:  # noqa: BLE001 - it belongs to the caller of connect(), not to this thread
            failure = error
        self.connected = False
        for call in self._translator.finish():
            self.inbox.put(call)
        self.inbox.put(Call("end", (failure,)))

    async def _read(self) -> None:
        self._reconcile()
        with self._guard:
            self._loop = asyncio.get_running_loop()
            for command in self._before:
                self._loop.call_soon(command)
        await self._client.run(self)

    def _gather(self) -> None:
        if not self._gathering and self._loop is not None:
            self._gathering = True
            self._loop.call_later(GATHER_S, self._reconcile)

    def _reconcile(self) -> None:
        """Tell the client what differs from what it knows."""
        self._gathering = False
        wanted, known = self._desired(), self._client.subscriptions()
        if gone := [token for token in known if token not in wanted]:
            self._client.unsubscribe(gone)
        changed: dict[str, list[int]] = {}
        for token, mode in wanted.items():
            if known.get(token) != mode:
                changed.setdefault(mode, []).append(token)
        for mode, tokens in changed.items():
            self._client.subscribe(tokens, mode)

    def _resend(self) -> None:
        """Let go of everything and want it again: what is wanted already is not sent a second time."""
        self._client.unsubscribe(list(self._client.subscriptions()))
        if self._loop is not None:
            # Behind the client's own turn, which sends the first half.
            self._loop.call_soon(self._reconcile)

    def _close(self, code: int | None, reason: str | None) -> None:
        self._translator.close(code, reason)
        self._finish(1000 if code is None else code, reason or "")

    def _stop_retry(self) -> None:
        self._translator.stop_retrying()
        if self._translator.over:
            self._finish()

    def _finish(self, code: int = 1000, reason: str = "") -> None:
        if self._task is None:
            self.ending = True
            self._task = asyncio.ensure_future(self._client.stop(code, reason))

    # The sink

    def on_frame(self, frame: bytes, received_ns: int, connection: int) -> None:  # noqa: ARG002 - the sink's signature
        """A binary message, kept only if somebody listens."""
        if self._wants_frame(len(frame)):
            self.inbox.put(Call.of_frame(frame))

    def on_text(self, text: str, received_ns: int, connection: int) -> None:  # noqa: ARG002 - the sink's signature
        """A text message."""
        self.inbox.put(Call("text", (text,)))

    def on_connection(self, event: ConnectionEvent) -> None:
        """A change of the connection's state."""
        log.debug("connection: %s", event)
        calls = self._translator.handle(event)
        self.connected = self._translator.open
        for call in calls:
            self.inbox.put(call)
        if self._translator.over:
            self._finish()
