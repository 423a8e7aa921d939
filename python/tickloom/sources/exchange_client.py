"""One client of the simulated exchange, whatever its protocol: what it is sent, how its line fails (stage sources).

```
market's packets ──choose──▶ what is news to this client ──pack──▶ messages ──▶ socket, or waiting while it is congested
```

`choose`, `pack` and what is made of requests are the protocol's: `exchange_kite`, `exchange_upstox`. All of it runs on
the exchange's event loop.
"""

from __future__ import annotations

import abc
import asyncio
import socket
import struct
from typing import TYPE_CHECKING, Any

from picows import WSFrame, WSListener, WSMsgType, WSTransport

from tickloom.sources import exchange_wire as wire

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Protocol

    from tickloom.sources.exchange_clock import ExchangeClock
    from tickloom.sources.exchange_rules import Rules

    class Floor(Protocol):
        """What a client sees of its exchange."""

        rules: Rules
        protocol: Any
        max_tokens: int
        clock: ExchangeClock

        @property
        def board(self) -> Mapping[int, bytes]: ...

        @property
        def is_trading(self) -> bool: ...

        @property
        def is_over(self) -> bool: ...

        def joined(self, client: Client) -> None: ...
        def left(self, client: Client) -> None: ...
        def subscribed(self, client: Client) -> None: ...


# A client that does not read for so long gets the newest packets only, as from the real feed.
SLOW_BACKLOG = 1 << 20
SLICES_A_SECOND = 20
_KINDS = {wire.TEXT_FRAME: WSMsgType.TEXT, wire.BINARY_FRAME: WSMsgType.BINARY, wire.PONG_FRAME: WSMsgType.PONG}
# What Linux calls the state of a connection whose far end has closed it (tcp_states.h).
_PEER_CLOSED = frozenset({7, 8})


class Client(WSListener, abc.ABC):
    """The server's end of one connection."""

    heartbeat: bytes | None = None
    """What is sent into silence, if anything."""

    def __init__(self, floor: Floor, number: int, account: str, *, timed: bool) -> None:
        self.floor = floor
        self.number = number
        self.account = account
        self.modes: dict[Any, str] = {}
        self.messages_received = 0
        self.frames_sent = 0
        self.packets_sent = 0
        self.packets_conflated = 0
        self.bytes_a_second: float | None = None
        self.silent = False
        self.is_half_open = False
        self._timed = timed
        self._told_ns = 0
        self._period = floor.rules.heartbeat
        self._loop = asyncio.get_running_loop()
        self._transport: WSTransport | None = None
        self._pieces = wire.Pieces()
        self._shown: dict[int, bytes] = {}
        self._binary = False
        self._paused = False
        self._waiting: dict[int, bytes] = {}
        self._backlog = bytearray()
        self._dripping: asyncio.TimerHandle | None = None
        self._beating: asyncio.TimerHandle | None = None
        self._last_sent = 0.0

    @property
    def mute(self) -> bool:
        """Whether nothing at all leaves for this client."""
        return self.silent or self.is_half_open

    @property
    def congested(self) -> bool:
        """Whether the client reads slower than it is sent to."""
        return self._paused or len(self._backlog) > SLOW_BACKLOG

    # The listener's part: called by the transport.

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        tcp = transport.underlying_transport.get_extra_info("socket")
        if tcp is not None:
            tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.floor.joined(self)
        self._last_sent = self._loop.time()
        self._beat()
        self.tell()
        self.greet()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:  # noqa: ARG002 - the library's signature
        kind = frame.msg_type
        if kind == WSMsgType.CLOSE:
            if not self.mute:
                # The code goes back as it came, those that the library has no name for included.
                self._end(frame.get_payload_as_bytes()[:2])
        elif kind == WSMsgType.PING:
            self._send(wire.PONG_FRAME, frame.get_payload_as_bytes())
        elif kind in {WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION}:
            if kind != WSMsgType.CONTINUATION:
                self._binary = kind == WSMsgType.BINARY
            try:
                first = kind != WSMsgType.CONTINUATION
                message = self._pieces.add(frame.get_payload_as_bytes(), first=first, final=frame.fin)
            except wire.BrokenRules as error:
                self.close(error.code, str(error))
                return
            if message is not None:
                self.messages_received += 1
                self.hear(message, binary=self._binary)

    def on_ws_disconnected(self, transport: WSTransport) -> None:  # noqa: ARG002 - the library's signature
        self._transport = None
        for timer in (self._beating, self._dripping):
            if timer is not None:
                timer.cancel()
        self.floor.left(self)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._flush()

    # The protocol's part.

    @abc.abstractmethod
    def greet(self) -> None:
        """The first messages."""

    @abc.abstractmethod
    def hear(self, message: bytes, *, binary: bool) -> None:
        """A request, or what is meant to be one."""

    @abc.abstractmethod
    def choose(self, packets: Iterable[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
        """Of full packets those that are wanted and show something new in their mode, as `pack` takes them."""

    @abc.abstractmethod
    def pack(self, chosen: list[tuple[int, bytes]]) -> Iterable[bytes]:
        """Binary messages of what was chosen."""

    def forget(self, tokens: Iterable[int]) -> None:
        """What was shown of these, and what waits, is as if it had never been."""
        for token in tokens:
            self._shown.pop(token, None)
            self._waiting.pop(token, None)

    # What the client is sent.

    def offer(self, packets: Iterable[tuple[int, bytes]]) -> None:
        """Full packets; those that the client wants go to it, in its modes."""
        if self.mute:
            return
        chosen = self.choose(packets)
        if not chosen:
            return
        if self.congested:
            self.packets_conflated += len(chosen)
            self._waiting.update(chosen)
            return
        self._deliver(chosen)

    def _flush(self) -> None:
        if self._waiting and not self.mute and not self.congested:
            waiting, self._waiting = self._waiting, {}
            self.packets_conflated -= len(waiting)
            self._deliver(list(waiting.items()))

    def _deliver(self, chosen: list[tuple[int, bytes]]) -> None:
        self.packets_sent += len(chosen)
        self.tell()
        for message in self.pack(chosen):
            self.send_binary(message)

    def tell(self) -> None:
        """What has changed of what is the same for all: the market's time, for those who asked for it."""
        self.tell_time()

    def tell_time(self) -> None:
        """The market's time, to a client that asked for it, if it is another than it knows."""
        now_ns = self.floor.clock.told_ns
        if self._timed and now_ns != self._told_ns and not self.mute and not self.congested:
            self._told_ns = now_ns
            self.send_text(wire.text(wire.MARKET_TIME, now_ns))

    def send_text(self, message: str) -> None:
        """One text message as it is."""
        self._send(wire.TEXT_FRAME, message.encode("utf-8", "replace"))

    def send_binary(self, payload: bytes) -> None:
        """One binary message as it is."""
        self._send(wire.BINARY_FRAME, payload)

    def _send(self, opcode: int, payload: bytes) -> None:
        transport = self._transport
        if transport is None or transport.is_disconnected or transport.is_close_frame_sent or self.mute:
            return
        if transport.underlying_transport.is_closing():
            # It broke a moment ago, and the listener is not told yet.
            return
        if opcode != wire.PONG_FRAME:
            self.frames_sent += 1
            self._last_sent = self._loop.time()
        if self.bytes_a_second is None and not self._backlog:
            transport.send(_KINDS[opcode], payload)
            return
        self._backlog += wire.websocket_head(opcode, len(payload)) + payload
        if self._dripping is None:
            self._drip()

    def _drip(self) -> None:
        """Lets a slice of the backlog out, whole frames or not, and comes back for the next."""
        self._dripping = None
        transport = self._transport
        if transport is None or transport.is_disconnected:
            return
        rate = self.bytes_a_second
        size = len(self._backlog) if rate is None else max(int(rate / SLICES_A_SECOND), 1)
        if not self.mute:
            transport.underlying_transport.write(bytes(self._backlog[:size]))
            del self._backlog[:size]
        if self._backlog:
            self._dripping = self._loop.call_later(1 / SLICES_A_SECOND, self._drip)
        else:
            self._flush()

    def _beat(self) -> None:
        """A heartbeat when nothing else was sent for so long."""
        if self.is_half_open and self._peer_is_gone():
            self.reset()
            return
        due = self._last_sent + self._period - self._loop.time()
        if due <= 1e-3:
            self._last_sent = self._loop.time()
            if self.heartbeat is not None and not self.congested:
                self.send_binary(self.heartbeat)
            due = self._period
        self._beating = self._loop.call_later(due, self._beat)

    # How the line fails.

    def half_open(self) -> None:
        """Nothing leaves any more and nothing is read: the far end is gone without a word."""
        self.is_half_open = True
        if self._transport is not None:
            self._transport.underlying_transport.pause_reading()

    def _peer_is_gone(self) -> bool:
        """Whether the client has closed a line that nobody reads any more, so that its end goes unnoticed."""
        tcp = self._transport and self._transport.underlying_transport.get_extra_info("socket")
        if not tcp or not hasattr(socket, "TCP_INFO"):
            return False
        return tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] in _PEER_CLOSED

    def close(self, code: int, reason: str = "") -> None:
        """Closes with this code; 1005, 1006 and 1015 are no codes on the wire: the connection ends without one."""
        if code in wire.UNSENDABLE_CODES:
            if self._transport is not None:
                self._transport.disconnect()
            return
        self._end(struct.pack(">H", code) + reason.encode()[:123])

    def _end(self, payload: bytes) -> None:
        """A close frame behind everything that is still to be sent, and the end of the connection."""
        if self._transport is not None:
            rest = bytes(self._backlog) + wire.websocket_head(wire.CLOSE_FRAME, len(payload)) + payload
            self._backlog.clear()
            self._transport.underlying_transport.write(rest)
            self._transport.disconnect()

    def reset(self) -> None:
        """Ends the connection with a TCP reset."""
        if self._transport is None:
            return
        tcp = self._transport.underlying_transport.get_extra_info("socket")
        if tcp is not None:
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.disconnect(graceful=False)

    def cut_frame(self) -> None:
        """Begins a binary message, and ends the connection in the middle of it."""
        if self._transport is not None:
            self._transport.underlying_transport.write(wire.websocket_head(wire.BINARY_FRAME, 1_000) + bytes(500))
            self._transport.disconnect()

    def slow(self, bytes_a_second: float | None) -> None:
        """Sends no more than so many bytes a second, in slices that heed no frame; None: as fast as it goes."""
        self.bytes_a_second = bytes_a_second
