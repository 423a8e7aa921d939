"""The exchange's floor: the market's clock, the board of last packets, the clients and the door (stage sources).

All of it runs on one event loop; `exchange` is its face for other threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
import time
from typing import TYPE_CHECKING

from picows import ws_create_server

from tickloom.sources.exchange_clock import SECOND_NS, ExchangeClock
from tickloom.sources.exchange_door import Door, Refusal
from tickloom.sources.exchange_faults import CLOSE_CODES
from tickloom.sources.exchange_kite import KiteProtocol
from tickloom.sources.exchange_rules import IST, closed_now, make_market, yesterdays_board
from tickloom.sources.exchange_trading import PREOPEN_NS, tell, trade
from tickloom.sources.exchange_upstox import UpstoxProtocol
from tickloom.ticker.transport_log import TransportLog

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Sequence
    from typing import ClassVar, Protocol

    from picows import WSUpgradeRequest, WSUpgradeResponseWithListener

    from tickloom.sources.exchange_client import Client
    from tickloom.sources.exchange_rules import Rules
    from tickloom.sources.simulator import Market

    class Speaks(Protocol):
        """A broker's protocol: all that differs between the exchanges that are simulated."""

        schemes: ClassVar[tuple[str, str]]
        """Of the address, without and with TLS."""
        path: ClassVar[str]
        max_tokens: ClassVar[int]
        hostile_kinds: ClassVar[Sequence[str]]

        def __init__(self, market: Market) -> None: ...
        def admit(self, request: WSUpgradeRequest, door: Door) -> WSUpgradeResponseWithListener | Client: ...
        def watch(self, packets: Iterable[tuple[int, bytes]]) -> None: ...
        def hostile(self, kind: str, rng: random.Random) -> str | bytes: ...


log = logging.getLogger("tickloom.exchange")
transport_log = TransportLog(log)


PROTOCOLS: dict[str, type[Speaks]] = {"kite": KiteProtocol, "upstox": UpstoxProtocol}


async def _abandon(server: asyncio.Server | None) -> None:
    """Ends whoever is connected and still at the door, or was just answered there: no client, and nobody's to close."""
    # asyncio's own server has it from Python 3.13 on, the one that serves here before.
    abort = getattr(server, "abort_clients", None)
    if server is not None and abort is not None:
        abort()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(server.wait_closed(), 0.5)
    await asyncio.sleep(0)


def _tell(task: asyncio.Task[None]) -> None:
    """Logs what ended a task before its time; `stop` raises it too, but that may be hours later."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("the exchange stands still", exc_info=error)


class Floor:
    """The exchange on its loop. `start` it, `stop` it; everything else only in between."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        protocol = PROTOCOLS[rules.broker]
        self.max_tokens = protocol.max_tokens if rules.max_tokens is None else rules.max_tokens
        now = dt.datetime.now(IST)
        self.is_closed = closed_now(rules, now)
        self.market = make_market(rules, None if self.is_closed else now)
        self.protocol = protocol(self.market)
        self.board: dict[int, bytes] = yesterdays_board(rules)
        self.clients: dict[int, Client] = {}
        self.port = rules.port
        self.opened = asyncio.Event()
        self.finished = asyncio.Event()
        self.counts = dict.fromkeys(("attempts", "refused", "connections", "frames_sent", "packets_sent",
                                     "packets_conflated", "market_frames", "market_packets", "faults"), 0)  # fmt: skip
        self.door = Door(self)
        self.rate: float | None = rules.faults.slow
        self._silent = False
        self._silence: asyncio.TimerHandle | None = None
        self._server: asyncio.Server | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.begins_ns = self.market.session_open_ns - (PREOPEN_NS if rules.preopen else 0)
        wall = rules.hours == "wall"
        self.clock = ExchangeClock(int(now.timestamp() * SECOND_NS) if wall else self.begins_ns, 1.0 if wall else 0.0)

    async def start(self) -> None:
        """Listens. Raises OSError if the port cannot be had."""
        await self.listen()
        if self.rules.opens == "at once":
            self.opened.set()
        self._tasks = [asyncio.create_task(work) for work in (trade(self), tell(self), self._fail())]
        for task in self._tasks:
            task.add_done_callback(_tell)

    async def stop(self) -> None:
        """Ends everything; clients are told 1001."""
        for task in self._tasks:
            task.cancel()
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        for client in list(self.clients.values()):
            client.close(1001)
        server = await self._stop_listening()
        if self._silence is not None:
            self._silence.cancel()
        deadline = time.monotonic() + 0.5
        while self.clients and time.monotonic() < deadline:
            await asyncio.sleep(0.005)
        for client in list(self.clients.values()):
            client.reset()
        await _abandon(server)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def listen(self) -> None:
        """Opens the door, on the same port as before if there was one."""
        if self._server is None:
            rules = self.rules
            self._server = await ws_create_server(
                lambda request: self.protocol.admit(request, self.door),
                rules.host,
                self.port,
                ssl=rules.ssl_context,
                enable_auto_pong=False,
                logger_name=transport_log,
            )
            self.port = self._server.sockets[0].getsockname()[1]

    async def go_down(self) -> None:
        """Nobody listens any more, every connection is reset."""
        server = await self._stop_listening()
        for client in list(self.clients.values()):
            client.reset()
        await _abandon(server)

    async def _stop_listening(self) -> asyncio.Server | None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
            await asyncio.sleep(0)
        return server

    def now_ns(self) -> int:
        """The time at this exchange. Safe from any thread."""
        return self.clock.now_ns()

    @property
    def is_over(self) -> bool:
        """Whether nothing is traded any more."""
        return self.is_closed or self.finished.is_set()

    @property
    def is_trading(self) -> bool:
        """Whether the market runs."""
        return self.opened.is_set() and not self.is_over

    def show(self, packets: list[tuple[int, bytes]]) -> None:
        """The market shows these: they are on the board from now on."""
        self.board.update(packets)
        self.protocol.watch(packets)

    # Clients.

    def joined(self, client: Client) -> None:
        """A client came in."""
        self.counts["connections"] += 1
        self.clients[client.number] = client
        client.silent = self._silent
        client.slow(self.rate)

    def left(self, client: Client) -> None:
        """A client is gone; what it was sent still counts."""
        if self.clients.pop(client.number, None) is not None:
            for name in ("frames_sent", "packets_sent", "packets_conflated"):
                self.counts[name] += getattr(client, name)

    def subscribed(self, client: Client) -> None:  # noqa: ARG002 - any client's first subscription will do
        """A client has subscribed."""
        if self.rules.opens == "subscription":
            self.opened.set()

    # Faults.

    @property
    def is_silent(self) -> bool:
        """Whether nothing is sent to anyone."""
        return self._silent

    def silence(self, seconds: float | None) -> None:
        """Nothing is sent to anyone for so long; None: until `silence(0)`."""
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None
        self._silent = seconds is None or seconds > 0
        for client in self.clients.values():
            client.silent = self._silent
        if seconds is not None and seconds > 0:
            self._silence = asyncio.get_running_loop().call_later(seconds, self.silence, 0)

    async def _fail(self) -> None:
        for wait, kind, rng in self.rules.faults.plan():
            await asyncio.sleep(wait)
            self.counts["faults"] += 1
            await self._fail_once(kind, rng)

    async def _fail_once(self, kind: str, rng: random.Random) -> None:
        faults = self.rules.faults
        if kind == "silence":
            self.silence(faults.silence_seconds)
        elif kind == "outage":
            await self.go_down()
            await asyncio.sleep(faults.outage_seconds)
            while self._server is None:
                try:
                    await self.listen()
                except OSError as error:
                    # Somebody else took the port in the meantime; the outage lasts until it is free.
                    log.warning("cannot listen again: %s", error)
                    await asyncio.sleep(1)
        elif kind == "refuse":
            self.door.refusal = Refusal(rng.choice([403, 429, 503]), None, 1, "")
        elif self.clients:
            client = rng.choice(list(self.clients.values()))
            if kind == "half_open":
                client.half_open()
            elif kind == "close":
                client.close(rng.choice(CLOSE_CODES))
            elif kind == "reset":
                client.reset()
            elif kind == "cut":
                client.cut_frame()
            else:
                message = self.protocol.hostile(rng.choice(self.protocol.hostile_kinds), rng)
                client.send_text(message) if isinstance(message, str) else client.send_binary(message)
