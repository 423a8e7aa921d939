"""One client of the simulated exchange: its subscriptions, what it is sent, how its line fails (stage sources).

All of it runs on the exchange's event loop.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING

from picows import WSFrame, WSListener, WSMsgType, WSTransport

from tickloom.sources import exchange_wire as wire

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Protocol

    from tickloom.sources.exchange_clock import ExchangeClock

    class Floor(Protocol):
        """What a client sees of its exchange."""

        max_tokens: int

        clock: ExchangeClock

        @property
        def board(self) -> Mapping[int, bytes]: ...

        def joined(self, client: Client) -> None: ...
        def left(self, client: Client) -> None: ...
        def subscribed(self, client: Client) -> None: ...


# A client that does not read for so long gets the newest packets only, as from the real feed.
SLOW_BACKLOG = 1 << 20
SLICES_A_SECOND = 20
_KINDS = {wire.TEXT_FRAME: WSMsgType.TEXT, wire.BINARY_FRAME: WSMsgType.BINARY, wire.PONG_FRAME: WSMsgType.PONG}
# What Linux calls the state of a connection whose far end has closed it (tcp_states.h).
_PEER_CLOSED = frozenset({7, 8})


class Client(WSListener):
    """The server's end of one connection."""

    def __init__(
        self, floor: Floor, number: int, api_key: str, *, greeting: bool, heartbeat: float, timed: bool
    ) -> None:
        self.floor = floor
        self.number = number
        self.api_key = api_key
        self.modes: dict[int, str] = {}
        self.messages_received = 0
        self.frames_sent = 0
        self.packets_sent = 0
        self.packets_conflated = 0
        self.bytes_a_second: float | None = None
        self.silent = False
        self.is_half_open = False
        self._greeting = greeting
        self._timed = timed
        self._told_ns = 0
        self._heartbeat = heartbeat
        self._loop = asyncio.get_running_loop()
        self._transport: WSTransport | None = None
        self._pieces = wire.Pieces()
        self._sizes: dict[int, int] = {}
        self._shown: dict[int, bytes] = {}
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
        self.tell_time()
        if self._greeting:
            self.send_text(wire.text("instruments_meta", {"count": len(self.floor.board), "etag": "simulated"}))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:  # noqa: ARG002 - the library's signature
        kind = frame.msg_type
        if kind == WSMsgType.CLOSE:
            if not self.mute:
                # The code goes back as it came, those that the library has no name for included.
                self._end(frame.get_payload_as_bytes()[:2])
        elif kind == WSMsgType.PING:
            self._send(wire.PONG_FRAME, frame.get_payload_as_bytes())
        elif kind in {WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION}:
            try:
                first = kind != WSMsgType.CONTINUATION
                message = self._pieces.add(frame.get_payload_as_bytes(), first=first, final=frame.fin)
            except wire.BrokenRules as error:
                self.close(error.code, str(error))
                return
            if message is not None:
                self._hear(message)

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

    # Requests.

    def _hear(self, message: bytes) -> None:
        self.messages_received += 1
        try:
            self._obey(message.decode())
        except UnicodeDecodeError:
            self.send_text(wire.text("error", "not a text message"))
        except wire.BadRequest as error:
            self.send_text(wire.text("error", str(error)))

    def _obey(self, message: str) -> None:
        action, mode, tokens = wire.request_of(message)
        if action == "unsubscribe":
            for token in tokens:
                for table in (self.modes, self._sizes, self._shown, self._waiting):
                    table.pop(token, None)
            return
        if action == "subscribe":
            tokens, refused = wire.within(tokens, self.modes, self.floor.max_tokens - len(self.modes))
            # A bare subscribe streams in quote mode, whatever the mode was before.
            mode = "quote"
        else:
            tokens, refused = [token for token in tokens if token in self.modes], 0
        for token in tokens:
            self.modes[token] = mode
            self._sizes[token] = wire.size_in(mode, token)
            self._shown.pop(token, None)
        if refused:
            limit = f"{self.floor.max_tokens} instruments a connection"
            self.send_text(wire.text("error", f"limit of {limit} reached, tokens left out: {refused}"))
        board = self.floor.board
        self.offer([(token, board[token]) for token in tokens if token in board])
        if action == "subscribe":
            self.floor.subscribed(self)

    # What the client is sent.

    def offer(self, packets: Iterable[tuple[int, bytes]]) -> None:
        """Full packets; those that the client wants go to it, in its modes, in frames of at most 65,535."""
        if self.mute:
            return
        sizes, shown = self._sizes, self._shown
        wanted: list[tuple[int, bytes]] = []
        for token, packet in packets:
            if (size := sizes.get(token)) is not None:
                piece = packet[:size]
                # The feed sends what changed in any field of the mode, and nothing else.
                if shown.get(token) != piece:
                    shown[token] = piece
                    wanted.append((token, piece))
        if not wanted:
            return
        if self.congested:
            self.packets_conflated += len(wanted)
            for token, piece in wanted:
                self._waiting[token] = piece
            return
        self.packets_sent += len(wanted)
        self.tell_time()
        self.send_binary(wire.join([piece for _, piece in wanted]))

    def _flush(self) -> None:
        if self._waiting and not self.mute and not self.congested:
            waiting, self._waiting = self._waiting, {}
            self.packets_sent += len(waiting)
            self.packets_conflated -= len(waiting)
            self.tell_time()
            self.send_binary(wire.join(list(waiting.values())))

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
        due = self._last_sent + self._heartbeat - self._loop.time()
        if due <= 1e-3:
            self._last_sent = self._loop.time()
            if not self.congested:
                self.send_binary(wire.HEARTBEAT)
            due = self._heartbeat
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
