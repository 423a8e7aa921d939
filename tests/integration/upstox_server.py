"""A stand-in for Upstox: HTTP that authorises, and a WebSocket that speaks protobuf, on loopback, on its own thread.

An address that it gives out opens one connection and no second one. What a connection sends is scripted by a function
that gets the keys it wants; what arrives is kept.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Callable, Sequence
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, WSUpgradeResponse, ws_create_server
from picows.common import WSUpgradeResponseWithListener

TOKEN = "-".join(("canary", "token", "0123456789"))
Answer = int | str | None
"""To an authorisation: a status, a body, or the usual."""


class Client(WSListener):
    """One accepted connection."""

    def __init__(self, server: UpstoxServer) -> None:
        self.server = server
        self.wanted: dict[str, str] = {}
        self.requests: list[Any] = []
        self.transport: WSTransport | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        for message in self.server.greeting:
            transport.send(WSMsgType.BINARY, message)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()
        elif frame.msg_type == WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.BINARY:
            self._request(json.loads(frame.get_payload_as_bytes()))
        elif frame.msg_type == WSMsgType.TEXT:
            self.requests.append("a text, which the broker does not read")

    def _request(self, request: Any) -> None:
        self.requests.append(request)
        keys, mode = request["data"]["instrumentKeys"], request["data"].get("mode", "ltpc")
        match request["method"]:
            case "sub" | "change_mode":
                self.wanted |= dict.fromkeys(keys, mode)
                for message in self.server.answer(len(self.server.clients) - 1, keys):
                    self.send(message)
            case "unsub":
                for key in keys:
                    self.wanted.pop(key, None)

    def send(self, message: bytes) -> None:
        assert self.transport is not None
        self.transport.send(WSMsgType.BINARY, message)


class UpstoxServer:
    """`answers` are those to authorisations, in order; when they are used up all is well. `answer` gives the messages
    that a subscription is answered with, `greeting` is what every connection begins with."""

    def __init__(
        self, answers: Sequence[Answer] = (), *, greeting: Sequence[bytes] = (),
        answer: Callable[[int, list[str]], Sequence[bytes]] = lambda *_: (), ssl_context: ssl.SSLContext | None = None,
    ) -> None:  # fmt: skip
        self.answers = list(answers)
        self.greeting = list(greeting)
        self.answer = answer
        self.tls = ssl_context
        self.clients: list[Client] = []
        self.authorisations: list[str] = []
        self.codes: set[str] = set()
        self.given = 0
        self.refused = 0
        self.url = self.socket_url = ""
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def call(self, what: Callable[[], None]) -> None:
        """Does something on the server's thread, and waits for it."""

        async def run() -> None:
            what()

        asyncio.run_coroutine_threadsafe(run(), self._loop).result(5)

    async def _authorise(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
        self.authorisations.append(headers.get("Authorization", ""))
        answer = self.answers.pop(0) if self.answers else None
        status, body = 200, answer if isinstance(answer, str) else ""
        if isinstance(answer, int):
            status = answer
        elif headers.get("Authorization") != f"Bearer {TOKEN}":
            status = 401
        elif answer is None:
            self.given += 1
            code = f"single-use-code-{self.given:04}"
            self.codes.add(code)
            body = json.dumps({"status": "success", "data": {"authorized_redirect_uri": self.address(code)}})
        payload = body.encode()
        extra = "Retry-After: 0\r\n" if status == 429 else ""
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(payload)}\r\n{extra}\r\n".encode() + payload)
        await writer.drain()
        writer.close()

    def address(self, code: str) -> str:
        """Where a code is good."""
        return f"{self.socket_url}/market-data-feeder/v3?requestId=x&code={code}"

    def _accept(self, request: WSUpgradeRequest) -> Any:
        code = parse_qs(urlsplit(request.path.decode()).query).get("code", [""])[0]
        if code not in self.codes:
            self.refused += 1
            return WSUpgradeResponseWithListener(WSUpgradeResponse.create_error_response(403, b"refused"), None)
        self.codes.remove(code)
        self.clients.append(Client(self))
        return self.clients[-1]

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        run = self._loop.run_until_complete
        sockets = run(ws_create_server(self._accept, "127.0.0.1", 0, ssl=self.tls))
        http = run(asyncio.start_server(self._authorise, "127.0.0.1", 0, ssl=self.tls))
        s = "" if self.tls is None else "s"
        self.socket_url = f"ws{s}://127.0.0.1:{sockets.sockets[0].getsockname()[1]}"
        self.url = f"http{s}://127.0.0.1:{http.sockets[0].getsockname()[1]}/v3/feed/market-data-feed/authorize"
        self._started.set()
        self._loop.run_forever()
        sockets.close()
        http.close()
        for client in self.clients:
            if client.transport is not None:
                client.transport.disconnect(graceful=False)
        run(asyncio.sleep(0.01))
        self._loop.close()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
