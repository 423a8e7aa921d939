"""A plain WebSocket client for the tests of the exchange: it asks, and keeps everything that comes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Coroutine
from typing import Any

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from tickloom.sources import exchange_wire as wire


class Line(WSListener):
    """One connection. Times are `time.monotonic`."""

    def __init__(self) -> None:
        self.frames: list[tuple[float, bytes]] = []
        self.texts: list[dict[str, Any]] = []
        self.raw_texts: list[bytes] = []
        self.pongs: list[bytes] = []
        self.close_code: int | None = None
        self.ended_at: float | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        payload, kind = frame.get_payload_as_bytes(), frame.msg_type
        if kind == WSMsgType.BINARY:
            self.frames.append((time.monotonic(), payload))
        elif kind == WSMsgType.TEXT:
            self.raw_texts.append(payload)
            with contextlib.suppress(ValueError):
                self.texts.append(json.loads(payload))
        elif kind == WSMsgType.PONG:
            self.pongs.append(payload)
        elif kind == WSMsgType.CLOSE:
            self.close_code = int.from_bytes(payload[:2], "big") if payload else 0
            transport.send(WSMsgType.CLOSE, payload[:2])
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:  # noqa: ARG002 - the library's signature
        self.ended_at = time.monotonic()

    def say(self, message: object) -> None:
        text = message if isinstance(message, str) else json.dumps(message)
        self.transport.send(WSMsgType.TEXT, text.encode())

    def subscribe(self, tokens: list[int]) -> None:
        self.say({"a": "subscribe", "v": tokens})

    def mode(self, mode: str, tokens: list[int]) -> None:
        self.say({"a": "mode", "v": [mode, tokens]})

    def packets(self) -> list[tuple[int, bytes]]:
        """(token, packet) of everything that came."""
        return [packet for _, frame in self.frames for packet in wire.split(frame)]

    def heartbeats(self) -> list[float]:
        return [at for at, frame in self.frames if len(frame) == 1]

    def errors(self) -> list[str]:
        return [text["data"] for text in self.texts if text["type"] == "error"]


async def connect(url: str, query: str = "?api_key=key&access_token=any", **options: Any) -> Line:
    """A new connection. Raises what the transport raises."""
    return await connect_to(url + "/" + query, **options)


async def connect_to(address: str, **options: Any) -> Line:
    """A new connection to exactly this address."""
    options.setdefault("max_redirects", 0)
    _, line = await ws_connect(Line, address, **options)
    _open.append(line)
    return line


async def until(true: Callable[[], object], timeout: float = 5.0) -> None:
    """Returns as soon as it is true. Fails if that takes too long."""
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.005)


_open: list[Line] = []


def play(session: Coroutine[Any, Any, None]) -> None:
    """Runs it on a loop of its own, and ends the lines that it opened."""

    async def whole() -> None:
        try:
            await session
        finally:
            for line in _open:
                line.transport.disconnect(graceful=False)
            await until(lambda: all(line.ended_at for line in _open))
            _open.clear()
            await asyncio.sleep(0)

    asyncio.run(whole())
