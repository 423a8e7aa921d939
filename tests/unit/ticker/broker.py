"""A small broker on a real socket, in the test's own loop."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Callable
from urllib.parse import parse_qs, urlsplit

import picows

from tests.unit.ticker.world import HEARTBEAT, frame
from tickloom.ticker import ConnectionEvent, Credentials, Settings
from tickloom.ticker.client import TickerClient

KEY, TOKEN = "canarykey0123456", "canarytoken0123456789abcdef"
SECRET = Credentials(KEY, TOKEN)
QUICK = Settings(
    ping_interval=0.1, silence_timeout=0.3, backoff_base=0.02, connect_timeout=0.5, close_timeout=0.2, token_poll=0.05,
    limited_wait=0.2,
)  # fmt: skip


class Client(picows.WSListener):
    """One client, as the broker sees it."""

    def __init__(self, broker: Broker, key: str) -> None:
        self.broker, self.key = broker, key
        self.table: dict[int, str] = {}
        self.transport: picows.WSTransport | None = None
        self.pings = 0

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self.transport = transport
        self.broker.clients.append(self)
        self.broker.served += 1
        if not self.broker.silent:
            transport.send(picows.WSMsgType.BINARY, HEARTBEAT)

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:  # noqa: ARG002 - the interface
        self.broker.clients.remove(self)

    def on_ws_frame(self, transport: picows.WSTransport, data: picows.WSFrame) -> None:
        if self.broker.silent:
            return
        match data.msg_type:
            case picows.WSMsgType.CLOSE:
                self.broker.goodbyes.append(int(data.get_close_code()))
                transport.send_close(data.get_close_code())
                transport.disconnect()
            case picows.WSMsgType.PING:
                self.pings += 1
                transport.send_pong(data.get_payload_as_bytes())
            case picows.WSMsgType.TEXT:
                self._obey(json.loads(data.get_payload_as_utf8_text()))

    def _obey(self, message: dict) -> None:
        self.broker.texts.append(message)
        match message:
            case {"a": "subscribe", "v": tokens}:
                self.table.update({token: "quote" for token in tokens if token not in self.table})
            case {"a": "unsubscribe", "v": tokens}:
                for token in tokens:
                    self.table.pop(token, None)
                return
            case {"a": "mode", "v": [mode, tokens]}:
                self.table.update(dict.fromkeys(tokens, mode))
        self.send(frame(*((token, self.table[token]) for token in tokens)))

    def send(self, data: bytes | str, **flags: bool) -> None:
        assert self.transport is not None
        kind = picows.WSMsgType.TEXT if isinstance(data, str) else picows.WSMsgType.BINARY
        self.transport.send(kind, data, **flags)


class Broker:
    """Accepts who has the right token, and misbehaves when told."""

    def __init__(self) -> None:
        self.url = ""
        self.clients: list[Client] = []
        self.requests: list[picows.WSUpgradeRequest] = []
        self.served = 0
        self.texts: list[dict] = []
        self.goodbyes: list[int] = []
        self.accepts: str | None = None  # any
        self.refusal: Callable[[], picows.WSUpgradeResponse] | None = None
        self.silent = False

    @contextlib.asynccontextmanager
    async def running(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[Broker]:
        server = await picows.ws_create_server(self._admit, "127.0.0.1", 0, ssl=tls, enable_auto_pong=False)
        port = server.sockets[0].getsockname()[1]
        self.url = f"ws://127.0.0.1:{port}" if tls is None else f"wss://127.0.0.1:{port}"
        try:
            yield self
        finally:
            server.close()
            for client in list(self.clients):
                client.transport.disconnect(graceful=False)
            await server.wait_closed()
            await asyncio.sleep(0.01)

    def _admit(self, request: picows.WSUpgradeRequest) -> picows.WSListener | picows.WSUpgradeResponseWithListener:
        self.requests.append(request)
        query = parse_qs(urlsplit(request.path.decode()).query)
        response = self.refusal() if self.refusal is not None else None
        if response is None and self.accepts not in {None, query["access_token"][0]}:
            response = picows.WSUpgradeResponse.create_error_response(403, b"TokenException")
        if response is not None:
            return picows.WSUpgradeResponseWithListener(response, None)
        return Client(self, query["api_key"][0])

    @property
    def table(self) -> dict[int, str]:
        """What all clients are subscribed to."""
        return {token: mode for client in self.clients for token, mode in client.table.items()}


class Recorder:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.frames: list[tuple[bytes, int, int]] = []
        self.texts: list[str] = []
        self.events: list[ConnectionEvent] = []

    def on_frame(self, data: bytes, received_ns: int, connection: int) -> None:
        self.frames.append((data, received_ns, connection))

    def on_text(self, text: str, received_ns: int, connection: int) -> None:  # noqa: ARG002 - the interface
        self.texts.append(text)

    def on_connection(self, event: ConnectionEvent) -> None:
        self.events.append(event)

    @property
    def states(self) -> list[str]:
        return [event.state for event in self.events]


async def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    """Wait for a condition; fails when it takes too long."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.002)


@contextlib.asynccontextmanager
async def running(client: TickerClient, sink: Recorder) -> AsyncIterator[asyncio.Task[None]]:
    """The client, while it runs."""
    task = asyncio.create_task(client.run(sink))
    try:
        yield task
    finally:
        await client.stop()
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()
