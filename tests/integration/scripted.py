"""A server that follows a script, so that two clients are shown exactly the same, connection for connection."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, WSUpgradeResponse, ws_create_server
from picows.common import WSUpgradeResponseWithListener


@dataclass(frozen=True)
class Close:
    """Ends the connection: with a close frame, or without one (no code)."""

    code: int | None
    reason: str = ""


@dataclass(frozen=True)
class Awaits:
    """Goes on when the client has subscribed to exactly this, or, with None, has closed."""

    modes: dict[int, str]


Step = bytes | str | Close | Awaits | float
Connection = int | Sequence[Step]
"""An HTTP status that refuses it, or what happens on it."""


@dataclass
class Client(WSListener):
    """One accepted connection: what it wants, and the steps that are left."""

    steps: list[Step]
    modes: dict[int, str] = field(default_factory=dict)
    received: list[Any] = field(default_factory=list)
    closed: list[tuple[int, str]] = field(default_factory=list)
    transport: WSTransport | None = None
    resting: bool = False

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        self.proceed()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            self.closed.append((int(frame.get_close_code()), frame.get_close_reason() or ""))
            # A close without a code is answered with one without: `send_close` would make a code 0 of it.
            transport.send(WSMsgType.CLOSE, frame.get_payload_as_bytes())
            transport.disconnect()
        elif frame.msg_type in {WSMsgType.TEXT, WSMsgType.BINARY}:
            message = json.loads(frame.get_payload_as_bytes())
            self.received.append(message)
            match message:
                case {"a": "subscribe", "v": tokens}:
                    self.modes |= dict.fromkeys(tokens, "quote")
                case {"a": "mode", "v": [mode, tokens]}:
                    self.modes |= dict.fromkeys(tokens, mode)
                case {"a": "unsubscribe", "v": tokens}:
                    for token in tokens:
                        self.modes.pop(token, None)
            self.proceed()

    def wake(self) -> None:
        """The rest is over."""
        self.resting = False
        self.proceed()

    def proceed(self) -> None:
        """Do what comes next, up to the step that has to wait."""
        assert self.transport is not None
        while self.steps and not self.resting:
            step = self.steps[0]
            if isinstance(step, Awaits) and self.modes != step.modes:
                return
            self.steps.pop(0)
            if isinstance(step, bytes):
                self.transport.send(WSMsgType.BINARY, step)
            elif isinstance(step, str):
                self.transport.send(WSMsgType.TEXT, step.encode())
            elif isinstance(step, float):
                self.resting = True
                asyncio.get_running_loop().call_later(step, self.wake)
            elif isinstance(step, Close) and step.code is None:
                self.transport.disconnect(graceful=False)
            elif isinstance(step, Close):
                self.transport.send_close(step.code, step.reason.encode())
                self.transport.disconnect()


class ScriptedServer:
    """Plays `connections`, one after the other; any further one is refused with 503. Runs on a thread of its own."""

    def __init__(self, connections: Sequence[Connection], ssl_context: Any = None) -> None:
        self.connections = list(connections)
        self.clients: list[Client] = []
        self.attempts = 0
        self.requests: list[str] = []
        self.ssl_context = ssl_context
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.url = ""

    def _accept(self, request: WSUpgradeRequest) -> Any:
        number = self.attempts
        self.attempts += 1
        self.requests.append(request.path.decode())
        connection = self.connections[number] if number < len(self.connections) else 503
        if isinstance(connection, int):
            return WSUpgradeResponseWithListener(WSUpgradeResponse.create_error_response(connection, b"refused"), None)
        self.clients.append(Client(list(connection)))
        return self.clients[-1]

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(ws_create_server(self._accept, "127.0.0.1", 0, ssl=self.ssl_context))
        scheme = "ws" if self.ssl_context is None else "wss"
        self.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._started.set()
        self._loop.run_forever()
        server.close()
        for client in self.clients:
            if client.transport is not None:
                client.transport.disconnect(graceful=False)
        self._loop.run_until_complete(asyncio.sleep(0.01))
        self._loop.close()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(5)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
