"""Exchange: the seeded market served in the broker's protocol over a real WebSocket (stage sources).

```
Market ──▶ board of last packets ──▶ Client 1 … Client n ──▶ sockets        one event loop, a thread of its own
              Exchange: the face for other threads, faults on demand
```

```python
with Exchange(instruments=50, seed=1, speed=60) as exchange:
    ticker = KiteTicker("any key", "any token", root=exchange.url)
    ...
    exchange.reset()                       # or silence, half_open, close, cut_frame, refuse, slow, ...
```
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, Literal

from tickloom.errors import TickloomError
from tickloom.sources.exchange_faults import Faults
from tickloom.sources.exchange_floor import Floor
from tickloom.sources.exchange_levers import Levers
from tickloom.sources.exchange_rules import BROKERS, HOURS, OPENINGS, Rules
from tickloom.sources.exchange_upstox import key_of

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

    from tickloom.sources.simulator import Market, MarketInstrument

__all__ = ["Exchange", "Faults"]


class Exchange(Levers):
    """A simulated exchange on a port of its own.

    `with` it (its loop runs in a thread of its own) or `async with` it (it runs on the caller's loop). Every method
    may be called from any thread while it runs; none of them needs an `await`, but for `go_down` and `come_back`
    under `async with`. It may be started again after its end, on the same port.

    - `instruments`, `seed`, and in `market` further options of `Market` (`date`, `start`, `end`, `rate`, ...) but
      modes: those are the clients' to choose.
    - `speed`: market seconds in one real second; 0: as fast as the clients read.
    - `hours`: ``"simulated"``: the session begins when the exchange starts, at whatever hour; stamps are those of the
      market's own date, nights are left out. ``"wall"``: as the clock on the wall has it; stamps are now. Outside
      09:15 to 15:30 IST, at weekends, and always with ``"closed"``, clients get the last packets of the date before,
      once, and heartbeats.
    - `opens`: when the session begins: ``"at once"``, with the first ``"subscription"``, or when ``"told"`` by `open`.
    - `broker`: whose protocol is spoken (docs/simulate.md); everything else is the same for all of them.
    - `tokens`: the access token of each api key, any other pair is answered with 403; None: every pair will do. Upstox
      has no api keys: any of the tokens will do, and another is answered with 401.
    - `max_tokens` a connection, None: 3,000, or 5,000 with Upstox. Those beyond get an error text, with Upstox nothing.
    - `connections_per_key`, with Upstox per token: beyond them 429; None: no limit.
    - `heartbeat`: seconds without a message after which a heartbeat is sent; Upstox has none.
    - `greeting`: whether a client is told the number of instruments first, as Kite's feed does.
    - `preopen`: whether the quarter of an hour before the session is shown, with its auction; else the session is the
      first thing to be seen.
    - `faults`: what fails by itself.
    - `ssl_context`: serves TLS.

    Raises ValueError for arguments that make no exchange, OSError on entry if the port cannot be had.
    """

    def __init__(
        self,
        instruments: int = 50,
        seed: int = 1,
        speed: float = 1.0,
        *,
        market: Mapping[str, Any] | None = None,
        hours: Literal["simulated", "wall", "closed"] = "simulated",
        opens: Literal["at once", "subscription", "told"] = "at once",
        tokens: Mapping[str, str] | None = None,
        max_tokens: int | None = None,
        connections_per_key: int | None = 3,
        heartbeat: float = 1.0,
        greeting: bool = True,
        preopen: bool = False,
        faults: Faults | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        ssl_context: ssl.SSLContext | None = None,
        broker: Literal["kite", "upstox"] = "kite",
    ) -> None:
        options = dict(market or {})
        if modes := options.keys() & {"mode", "modes"}:
            raise ValueError(f"a client chooses its modes, the market has none: {', '.join(sorted(modes))}")
        for value, words, what in ((hours, HOURS, "hours"), (opens, OPENINGS, "opening"), (broker, BROKERS, "broker")):
            if value not in words:
                raise ValueError(f"no such {what}: {value!r}")
        if speed < 0 or heartbeat <= 0:
            raise ValueError(f"a speed is 0 or more and a heartbeat more than 0: {speed}, {heartbeat}")
        if hours == "wall" and speed != 1:
            raise ValueError(f"the clock on the wall has one speed: {speed}")
        self._rules = Rules(
            instruments, seed, speed, options, hours, opens, tokens, max_tokens, connections_per_key, heartbeat,
            greeting, preopen, faults or Faults(), host, port, ssl_context, broker,
        )  # fmt: skip
        super().__init__(Floor(self._rules))
        self.port = port
        self._thread: threading.Thread | None = None

    # What it is.

    @property
    def url(self) -> str:
        """Where clients connect to: ``ws://127.0.0.1:PORT``, or ``wss`` with TLS. With Upstox it is the ``http``
        address that is asked for another one."""
        protocol = self._floor.protocol
        scheme = protocol.schemes[self._rules.ssl_context is not None]
        host = f"[{self._rules.host}]" if ":" in self._rules.host else self._rules.host
        return f"{scheme}://{host}:{self.port}{protocol.path}"

    @property
    def broker(self) -> str:
        """Whose protocol is spoken."""
        return self._rules.broker

    @property
    def instruments(self) -> list[MarketInstrument]:
        """The names that are traded, with their tokens."""
        return self._floor.market.instruments()

    @property
    def symbols(self) -> dict[str, int]:
        """The token of each name."""
        return {instrument.symbol: instrument.token for instrument in self.instruments}

    @property
    def keys(self) -> dict[str, str]:
        """The instrument key of each name, as Upstox has it: what `sources.Upstox` takes for `symbols`."""
        return {instrument.symbol: key_of(instrument) for instrument in self.instruments}

    @property
    def market(self) -> Market:
        """The market, for its truth."""
        return self._floor.market

    @property
    def is_closed(self) -> bool:
        """Whether nothing is traded, by its hours."""
        return self._floor.is_closed

    @property
    def is_finished(self) -> bool:
        """Whether the market has no more to show."""
        return self._floor.finished.is_set()

    def market_time_ns(self) -> int:
        """The time at the exchange, nanoseconds UTC: the clock that its stamps are read from."""
        return self._floor.now_ns()

    @property
    def is_silent(self) -> bool:
        """Whether it sends nothing to anyone, by `silence`."""
        return self._floor.is_silent

    # Life.

    def __enter__(self) -> Self:
        self._must_be_shut()
        started = threading.Event()
        failed: list[BaseException] = []

        async def live() -> None:
            stopping = asyncio.Event()
            try:
                await self._start()
            except BaseException as error:
                failed.append(error)
                raise
            finally:
                self._stopping = stopping
                started.set()
            await stopping.wait()
            await self._stop()

        def run() -> None:
            try:
                asyncio.run(live())
            except BaseException as error:  # noqa: BLE001 - it is raised in the thread that waits for it
                failed.append(error)

        self._failed = failed
        self._thread = threading.Thread(target=run, name="tickloom-exchange", daemon=True)
        self._thread.start()
        started.wait()
        if failed:
            self._thread.join()
            raise failed[0]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        thread, loop = self._thread, self._loop
        if thread is not None and loop is not None:
            loop.call_soon_threadsafe(self._stopping.set)
            thread.join()
            self._thread = None
            if self._failed and error is None:
                raise self._failed[0]

    async def __aenter__(self) -> Self:
        await self._start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    def _must_be_shut(self) -> None:
        if self._loop is not None:
            raise TickloomError("the exchange is open already")

    async def _start(self) -> None:
        self._must_be_shut()
        floor = Floor(self._rules)
        floor.port = self.port
        await floor.start()
        self._loop, self._floor, self.port = asyncio.get_running_loop(), floor, floor.port

    async def _stop(self) -> None:
        try:
            await self._floor.stop()
        finally:
            self._loop = None

    def open(self) -> None:
        """The session begins, if it has not yet."""
        self._call(self._floor.opened.set)

    def wait_finished(self, timeout: float | None = None) -> None:
        """Returns when the market has no more to show. Raises TimeoutError; RuntimeError on the exchange's loop."""
        self._wait(asyncio.wait_for(self._floor.finished.wait(), timeout), None)

    # What it knows.

    def subscriptions(self) -> dict[int, dict[Any, str]]:
        """For each connected client, by its number: the mode of each token, or of each key with Upstox."""
        return self._call(lambda: {number: dict(client.modes) for number, client in self._floor.clients.items()})

    def attempts(self) -> list[float]:
        """When clients came to the door, refused ones included: `time.monotonic` of the newest 100,000."""
        return self._call(lambda: list(self._floor.door.attempts))

    def stats(self) -> dict[str, int]:
        """Counters since the start.

        attempts, refused, connections (let in), clients (connected now), market_frames and market_packets (what the
        market made), frames_sent (heartbeats and texts included), packets_sent, packets_conflated (left out because
        a newer one of the same instrument came before the client had read), faults (that came by themselves).
        """

        def count() -> dict[str, int]:
            clients = self._floor.clients.values()
            found = dict(self._floor.counts)
            for name in ("frames_sent", "packets_sent", "packets_conflated"):
                found[name] += sum(getattr(client, name) for client in clients)
            return {**found, "clients": len(clients)}

        return self._call(count)
