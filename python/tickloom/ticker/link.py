"""One connection's shell (stage ticker, asyncio): carries out what the state machine asks for, on picows."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import socket
import time
from typing import TYPE_CHECKING

import picows

from tickloom.ticker import dial
from tickloom.ticker.failures import Failure, Kind, from_close
from tickloom.ticker.listener import Listener
from tickloom.ticker.messages import ConnectionEvent
from tickloom.ticker.protocol import Action, Connect, Connection, Disconnect, Notify, Ping, Renew, Send
from tickloom.ticker.transport_log import TransportLog

if TYPE_CHECKING:
    from collections.abc import Callable

    from tickloom.ticker.client import Sink, TickerClient
    from tickloom.ticker.credentials import Credentials

__all__ = ["Link"]

log = logging.getLogger("tickloom.ticker")
transport_log = TransportLog(log)
# The state machine's clocks count in seconds: in a flood it need not hear of every frame.
TELL_SPACING_NS = 10_000_000


class Link:
    """Runs one `Connection` for the client: sockets, timers and the sink."""

    def __init__(self, client: TickerClient, sink: Sink, number: int) -> None:
        self.number = number
        self.settings = client.settings
        self.account = client.account_of(number)
        self.dialect = client.dialect
        self.protocol = Connection(client.settings, draw=random.random, dialect=client.dialect)
        self.sink_errors = 0
        self.clock = client.clock
        self._client = client
        self._on_frame: Callable[[bytes, int, int], None] = sink.on_frame
        self._sink = sink
        self._listener: Listener | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._socket: socket.socket | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._pumping = False
        self._tell_ns = 0

    # For the client.

    def start(self) -> None:
        """Connect."""
        self.protocol.start(time.monotonic())
        self.pump()

    async def stop(self, code: int, reason: str) -> None:
        """Say goodbye, wait, be gone."""
        self.protocol.stop(code, reason)
        self.pump()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._closing:
            await asyncio.wait(self._closing)

    def pump(self) -> None:
        """Carry out what the state machine wants."""
        # A sink that sets credentials when it hears of a refusal gets here again: it is told of that after it returned.
        if self._pumping:
            return
        self._pumping = True
        try:
            while actions := self.protocol.poll(time.monotonic()):
                for action in actions:
                    self._carry_out(action)
        finally:
            self._pumping = False
        # What was done may call for a look at each frame.
        self._tell_ns = 0
        self._arm()

    def renewed(self) -> None:
        """The account has another token."""
        self.protocol.renew(time.monotonic())
        self.pump()

    # From the transport. The sink comes first: what follows is bookkeeping.

    def handle_frame(self, frame: bytes, received_ns: int) -> None:
        try:
            self._on_frame(frame, received_ns, self.number)
        except Exception:  # noqa: BLE001 - whatever the sink does, the connection stays
            self._sink_failed()
        if received_ns >= self._tell_ns:
            self._tell(frame, received_ns)

    def handle_text(self, payload: bytes, received_ns: int) -> None:
        self.protocol.handle_text(time.monotonic())
        try:
            # A server may quote the token back, and a text goes to logs, screens and journals.
            text = self.account.redact(payload.decode("utf-8", "replace"))
            self._sink.on_text(text, received_ns, self.number)
        except Exception:  # noqa: BLE001 - whatever the sink does, the connection stays
            self._sink_failed()

    def handle_byte(self) -> None:
        self.protocol.handle_byte(time.monotonic())

    def handle_connected(self, listener: Listener) -> None:
        self._listener = listener
        self.account.accepted()
        self.protocol.handle_connected(time.monotonic())
        self.pump()

    def drop(self, listener: Listener) -> None:
        """End a connection that misbehaves; the task that waits for its end tells the state machine."""
        if listener.transport is not None:
            listener.transport.disconnect(graceful=False)

    # Inside.

    def _tell(self, frame: bytes, received_ns: int) -> None:
        """Tell the state machine of a frame, and so of all since the last one that it was told of."""
        now = time.monotonic()
        if self.protocol.handle_frame(now, frame):
            self.pump()
        self._tell_ns = 0 if self.protocol.is_looking(now) else received_ns + TELL_SPACING_NS

    def _carry_out(self, action: Action) -> None:
        match action:
            case Send(text):
                kind = picows.WSMsgType.BINARY if self.dialect.binary else picows.WSMsgType.TEXT
                self._transport().send(kind, text.encode())
            case Notify():
                self._notify(action)
            case Ping():
                self._transport().send_ping(b"")
            case Connect():
                self._task = asyncio.create_task(self._live(), name=f"tickloom-connection-{self.number}")
            case Disconnect(code, reason):
                self._give_up(code, reason)
            case Renew():
                self._client.renew(self.account)

    def _transport(self) -> picows.WSTransport:
        assert self._listener is not None and self._listener.transport is not None  # noqa: S101, PT018 - connected
        return self._listener.transport

    async def _live(self) -> None:
        """One attempt, and the life of the connection if it becomes one."""
        credentials = self.account.credentials
        try:
            async with self.account.turn():
                credentials = self.account.credentials
                failure = self.account.objection()
                if failure is None:
                    listener = await self._connect(await self._address(credentials))
            if failure is None:
                failure = await _end_of(listener)
        except Exception as error:  # noqa: BLE001 - each has its row in the table of failures
            failure = dial.failure_of(error, single_use=self.dialect.single_use)
            self.account.failed(credentials, failure)
        self._listener = self._task = self._socket = None
        redacted = Failure(failure.kind, self.account.redact(failure.reason), failure.code, failure.retry_after)
        self.protocol.handle_lost(time.monotonic(), redacted)
        self.pump()

    async def _address(self, credentials: Credentials) -> str:
        client, patience = self._client, self.settings.connect_timeout
        address = await self.dialect.address(client.url, credentials, client.tls, patience)
        # What the broker gave us for this attempt is as secret as what we had.
        self.account.hide(address)
        return address

    async def _connect(self, url: str) -> Listener:
        listener = Listener(self)
        self._listener = listener
        settings = self.settings
        transport, made = await picows.ws_connect(
            lambda _request, _response: listener, url,
            ssl_context=self._client.tls,
            disconnect_on_exception=False,
            websocket_handshake_timeout=settings.connect_timeout,
            logger_name=transport_log,
            enable_auto_pong=False,
            max_frame_size=settings.max_frame_size,
            extra_headers=dict(self.dialect.headers),
            max_redirects=0,
            proxy=settings.proxy,
            socket_factory=None if settings.proxy else self._dial,
        )  # fmt: skip
        # picows hands out a transport without a listener when the server hangs up instead of answering.
        if made is None:
            raise ConnectionResetError(None, "the server hung up instead of answering")
        listener.transport = transport
        return listener

    async def _dial(self, url: picows.WSParsedURL) -> socket.socket:
        self._socket = await dial.connect_socket(url.host, url.port, self.settings.connect_timeout)
        return self._socket

    def _give_up(self, code: int | None, reason: str) -> None:
        """Leave the transport, or the attempt, to its end; nothing it still says counts."""
        listener, task = self._listener, self._task
        self._listener = self._task = None
        if listener is not None:
            listener.detach()
        if task is None:
            return
        transport = None if listener is None else listener.transport
        if transport is None:
            # Cancelled while it waits for an answer picows would keep the socket.
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)
            task.cancel()
            closing = asyncio.create_task(_settled(task))
        elif code is None:
            transport.disconnect(graceful=False)
            task.cancel()
            closing = asyncio.create_task(_gone(transport, self.settings.close_timeout))
        else:
            task.cancel()
            # A close frame has room for so many bytes, of whole characters.
            transport.send_close(picows.WSCloseCode(code), reason.encode()[:123].decode(errors="ignore").encode())
            closing = asyncio.create_task(_gone(transport, self.settings.close_timeout))
        self._socket = None
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    def _notify(self, notice: Notify) -> None:
        event = ConnectionEvent(
            notice.state, self.number, self.clock(), notice.attempt, notice.code, notice.reason, notice.retry_in
        )
        level = logging.INFO if notice.state in {"connecting", "connected", "stopped"} else logging.WARNING
        log.log(level, "connection %d %s%s", self.number, event.state, f": {event.reason}" if event.reason else "")
        try:
            self._sink.on_connection(event)
        except Exception:  # noqa: BLE001 - whatever the sink does, the connection stays
            self._sink_failed()

    def _sink_failed(self) -> None:
        self.sink_errors += 1
        # The first, the tenth, the hundredth: a sink that fails always would fill the disk.
        if str(self.sink_errors).strip("0") == "1":
            log.exception("the sink raised, %d times so far", self.sink_errors)

    def _arm(self) -> None:
        due = self.protocol.deadline()
        loop = asyncio.get_running_loop()
        if due is None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            return
        # Bytes move the deadline away all the time; a timer that fires too early finds that out and is set anew.
        when = loop.time() + max(0.0, due - time.monotonic())
        if self._timer is None or self._timer.when() > when:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = loop.call_at(when, self._handle_timer)

    def _handle_timer(self) -> None:
        self._timer = None
        now = time.monotonic()
        listener = self._listener
        if listener is not None and listener.transport is not None and self.protocol.state == "connected":
            age = dial.last_byte_age(listener.transport)
            if age is not None:
                self.protocol.handle_byte(now - age)
        self.protocol.handle_market(now, is_open=self._client.market_is_open())
        self.protocol.handle_timer(now)
        self.pump()


async def _end_of(listener: Listener) -> Failure:
    """How an open connection ended."""
    assert listener.transport is not None  # noqa: S101 - for the type checker
    try:
        await listener.transport.wait_disconnected()
    except picows.WSProtocolError as error:
        return Failure(Kind.CLOSED, f"the server broke the protocol: {error}", 1002)
    except Exception as error:  # noqa: BLE001 - an error of the socket
        return Failure(Kind.NETWORK, f"lost: {type(error).__name__}", 1006)
    return from_close(*listener.close)


async def _gone(transport: picows.WSTransport, patience: float) -> None:
    """Wait until a transport has closed, then make it."""
    with contextlib.suppress(Exception):
        try:
            async with asyncio.timeout(patience):
                await transport.wait_disconnected()
        except TimeoutError:
            transport.disconnect(graceful=False)
            await transport.wait_disconnected()


async def _settled(task: asyncio.Task[None]) -> None:
    """Wait until a cancelled task has ended."""
    with contextlib.suppress(asyncio.CancelledError, Exception):
        await task
