"""A connection, its server and the time between them, all simulated: hours of faults pass in a second."""

from __future__ import annotations

import heapq
import itertools
import json
import random
import struct
from collections.abc import Callable

from tickloom.ticker.dialect import KITE, Dialect
from tickloom.ticker.failures import Failure, Kind, from_close
from tickloom.ticker.messages import chunks
from tickloom.ticker.protocol import Action, Connect, Connection, Disconnect, Notify, Ping, Renew, Send
from tickloom.ticker.settings import Settings

LENGTHS = {"ltp": (8, 8), "quote": (44, 28), "full": (184, 32)}
HEARTBEAT = b"\x00"


def frame(*packets: tuple[int, str]) -> bytes:
    """A frame of packets (token, mode) whose fields are zero."""
    parts = [struct.pack(">H", len(packets))]
    for token, mode in packets:
        length = LENGTHS[mode][token & 0xFF == 9]
        parts.append(struct.pack(f">HI{length - 4}x", length, token))
    return b"".join(parts)


class Server:
    """The broker's end: what it was told, and how it misbehaves."""

    def __init__(self) -> None:
        self.failure: Failure | None = None  # what an attempt to connect meets
        self.hangs = False  # attempts are never answered
        self.silent = False  # nothing comes from an open connection
        self.frozen = False  # heartbeats come, ticks do not
        self.loses: Callable[[dict], bool] = lambda _: False  # texts that have no effect
        self.open = False
        self.table: dict[int, str] = {}
        self.texts: list[dict] = []

    def frame(self, *packets: tuple[int, str]) -> bytes:
        """What it sends of these."""
        return frame(*packets)

    def handle(self, text: str) -> list[tuple[int, str]]:
        """Apply a text; the cached ticks that answer it."""
        message = json.loads(text)
        self.texts.append(message)
        if self.loses(message):
            return []
        match message:
            case {"a": "subscribe", "v": tokens}:
                for token in tokens:
                    self.table.setdefault(token, "quote")
            case {"a": "unsubscribe", "v": tokens}:
                for token in tokens:
                    self.table.pop(token, None)
                return []
            case {"a": "mode", "v": [mode, tokens]}:
                # As the real one: a mode for what is not subscribed is lost.
                self.table.update({token: mode for token in tokens if token in self.table})
        return [(token, self.table[token]) for token in tokens if token in self.table]


class World:
    """Runs a `Connection` against a `Server` in virtual time."""

    def __init__(
        self, seed: int = 0, *, heartbeat: float | None = 1.0, dialect: Dialect = KITE, server: Server | None = None,
        **settings: float,
    ) -> None:  # fmt: skip
        self.now = 1_000.0
        self.settings = Settings(**settings)
        self.connection = Connection(self.settings, draw=random.Random(seed).random, dialect=dialect)
        self.server = server or Server()
        self.latency = 0.05
        self.heartbeat = heartbeat
        self.events: list[tuple[float, Notify]] = []
        self.attempts: list[float] = []
        self.pings: list[float] = []
        self.renewals: list[float] = []
        self.new_token = False
        self._epoch = 0
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    # What a test does.

    def start(self) -> World:
        self.connection.start(self.now)
        self.pump()
        return self

    def subscribe(self, tokens: list[int], mode: str = "quote") -> None:
        self.connection.subscribe(tokens, mode, self.now)
        self.pump()

    def unsubscribe(self, tokens: list[int]) -> None:
        self.connection.unsubscribe(tokens)
        self.pump()

    def run(self, seconds: float) -> World:
        """Let time pass."""
        end = self.now + seconds
        while True:
            self.pump()
            due = self.connection.deadline()
            times = [end, *([] if due is None else [due]), *([self._queue[0][0]] if self._queue else [])]
            step = max(self.now, min(times))
            if step >= end:
                self.now = end
                break
            self.now = step
            # Readable sockets come before timers, as in asyncio.
            while self._queue and self._queue[0][0] <= self.now:
                heapq.heappop(self._queue)[2]()
                self.pump()
            self.connection.handle_timer(self.now)
        self.pump()
        return self

    def lose(self, failure: Failure | None = None) -> None:
        """The open connection ends."""
        self._epoch += 1
        self.server.open = False
        self.connection.handle_lost(self.now, failure or from_close(1006))
        self.pump()

    def deliver(self, data: bytes) -> None:
        if self.server.open:
            self.connection.handle_frame(self.now, data)
            self.pump()

    @property
    def states(self) -> list[str]:
        return [notice.state for _, notice in self.events]

    def last(self, state: str) -> Notify:
        return [notice for _, notice in self.events if notice.state == state][-1]

    def settled(self) -> bool:
        """Whether the server has exactly what is desired."""
        return self.server.open and self.server.table == dict(self.connection.subscriptions.desired)

    # The other end.

    def at(self, delay: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (self.now + delay, next(self._order), act))

    def later(self, delay: float, act: Callable[[], None]) -> None:
        """On this connection only."""
        epoch = self._epoch
        self.at(delay, lambda: act() if self._epoch == epoch else None)

    def pump(self) -> None:
        while actions := self.connection.poll(self.now):
            for action in actions:
                self.carry_out(action)

    def carry_out(self, action: Action) -> None:
        match action:
            case Connect():
                self._epoch += 1
                self.attempts.append(self.now)
                if not self.server.hangs:
                    self.later(self.latency, self._answer)
            case Disconnect():
                self._epoch += 1
                self.server.open = False
            case Send(text):
                assert self.server.open, "a text on a connection that is not there"
                self.later(self.latency, lambda: self._receive(text))
            case Ping():
                self.pings.append(self.now)
                self.later(self.latency, self._pong)
            case Renew():
                self.renewals.append(self.now)
                if self.new_token:
                    self.connection.renew(self.now)
            case Notify():
                self.events.append((self.now, action))

    def _answer(self) -> None:
        if self.server.failure is not None:
            self.connection.handle_lost(self.now, self.server.failure)
            return
        self.server.open = True
        self.server.table = {}
        self.connection.handle_connected(self.now)
        self.greet()
        if self.heartbeat is not None:
            self.later(self.heartbeat, self._beat)

    def greet(self) -> None:
        """What the server says first."""

    def _receive(self, text: str) -> None:
        cached = self.server.handle(text)
        if cached and not (self.server.silent or self.server.frozen):
            for part in chunks(cached, 200):
                self.later(self.latency, lambda part=part: self.deliver(self.server.frame(*part)))

    def _pong(self) -> None:
        if not self.server.silent:
            self.connection.handle_byte(self.now)

    def _beat(self) -> None:
        if not self.server.silent:
            self.deliver(HEARTBEAT)
        assert self.heartbeat is not None
        self.later(self.heartbeat, self._beat)

    def stream(self, period: float, packets: Callable[[], list[tuple[int, str]]]) -> None:
        """Ticks every `period`, whatever connection is open."""

        def tick() -> None:
            if self.server.open and not (self.server.silent or self.server.frozen):
                self.deliver(self.server.frame(*packets()))
            self.at(period, tick)

        self.at(period, tick)


REFUSED = Failure(Kind.AUTHENTICATION, "refused", 403)
DOWN = Failure(Kind.NETWORK, "connection failed: refused")
