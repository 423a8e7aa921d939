"""What one transport says, made into messages for its link (stage ticker, asyncio)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import picows

if TYPE_CHECKING:
    from tickloom.ticker.link import Link

__all__ = ["Listener"]

BINARY, TEXT, CONTINUATION = picows.WSMsgType.BINARY, picows.WSMsgType.TEXT, picows.WSMsgType.CONTINUATION
PING, CLOSE = picows.WSMsgType.PING, picows.WSMsgType.CLOSE


class Listener(picows.WSListener):
    """Takes what picows reads to the link, until the link has given up this transport."""

    # For the hot path: looked up faster than in a dict.
    __slots__ = ("_clock", "_link", "_parts", "_parts_kind", "close", "transport")

    def __init__(self, link: Link) -> None:
        self._link: Link | None = link
        self._clock = link.clock
        self._parts: list[bytes] = []
        self._parts_kind = CONTINUATION
        self.transport: picows.WSTransport | None = None
        self.close: tuple[int | None, str] = (None, "")

    def detach(self) -> None:
        """Whatever this transport still says is of no interest."""
        self._link = None

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self.transport = transport
        if self._link is None:
            transport.disconnect(graceful=False)
        else:
            self._link.handle_connected(self)

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        received_ns = self._clock()
        kind = frame.msg_type
        link = self._link
        # Nearly every message: here it costs nothing to be first.
        if kind is BINARY and link is not None and frame.fin:
            link.handle_frame(frame.get_payload_as_bytes(), received_ns)
            return
        if kind == CLOSE:
            self._handle_close(transport, frame.get_payload_as_bytes())
            return
        if link is None:
            return
        if kind == TEXT and frame.fin:
            link.handle_text(frame.get_payload_as_bytes(), received_ns)
        elif kind in {BINARY, TEXT, CONTINUATION}:
            self._gather(link, frame, received_ns)
        else:
            # Pings are answered here, not by picows, because it would not tell of them.
            if kind == PING:
                transport.send_pong(frame.get_payload_as_bytes())
            link.handle_byte()

    def _gather(self, link: Link, frame: picows.WSFrame, received_ns: int) -> None:
        """A message in several frames."""
        link.handle_byte()
        if frame.msg_type != CONTINUATION:
            self._parts_kind = frame.msg_type
            self._parts.clear()
        elif self._parts_kind == CONTINUATION:
            return  # the rest of a message that never began
        self._parts.append(frame.get_payload_as_bytes())
        if sum(map(len, self._parts)) > link.settings.max_frame_size:
            self._parts.clear()
            self.close = (1009, "")
            link.drop(self)
        elif frame.fin:
            handle = link.handle_frame if self._parts_kind == BINARY else link.handle_text
            whole = b"".join(self._parts)
            self._parts.clear()
            self._parts_kind = CONTINUATION
            handle(whole, received_ns)

    def _handle_close(self, transport: picows.WSTransport, payload: bytes) -> None:
        # Read from the bytes: codes from 3000 on are nobody's enumeration.
        code = struct.unpack_from(">H", payload)[0] if len(payload) >= 2 else 1005
        self.close = (code, payload[2:].decode("utf-8", "replace"))
        transport.send_close(picows.WSCloseCode.OK)
        transport.disconnect()

    def pause_writing(self) -> None:
        """A few texts of subscriptions may wait in the buffer: nothing to do."""

    def resume_writing(self) -> None:
        """See `pause_writing`."""
