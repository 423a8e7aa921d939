"""The fault matrix: each fault injected on real sockets through the simulated exchange, with what it cost.

`python -m tests.integration.fault_matrix` prints the table; `--quick` is what the tests run.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import os
import random
import statistics
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tickloom import Engine
from tickloom.sources.exchange import Exchange
from tickloom.sources.exchange_wire import HOSTILE, hostile
from tickloom.ticker import ConnectionEvent, Credentials, Settings, TickerClient

KEY, TOKEN = "canary-key-7131", "canary-token-90210"
# A back-off that does not hide how fast the rest is: the server is there again at once.
FAST = {"backoff_base": 0.2, "backoff_cap": 0.5}
NEAR = 2.0


@dataclass
class Seen:
    """What a client delivered."""

    events: list[tuple[float, ConnectionEvent]] = field(default_factory=list)
    frames: int = 0
    engine: Engine | None = None
    packets: int = 0

    def on_frame(self, frame: bytes, received_ns: int, connection: int) -> None:  # noqa: ARG002 - a sink's
        self.frames += 1
        if self.engine is not None and len(frame) != 1:
            with contextlib.suppress(ValueError):
                self.packets += len(self.engine.apply(frame, received_ns))

    def on_text(self, text: str, received_ns: int, connection: int) -> None:
        pass

    def on_connection(self, event: ConnectionEvent) -> None:
        self.events.append((time.monotonic(), event))

    def first(self, state: str, after: float) -> float | None:
        return next((at for at, event in self.events if event.state == state and at >= after), None)

    def count(self, state: str) -> int:
        return sum(event.state == state for _, event in self.events)


@dataclass
class Row:
    fault: str
    asked: str
    found: str
    holds: bool


def client(exchange: Exchange, number: int = 0, **settings: float) -> TickerClient:
    return TickerClient(
        exchange.url, credentials=Credentials(f"{KEY}-{number}", TOKEN), settings=Settings(**{**FAST, **settings})
    )


async def until(what: Callable[[], bool], seconds: float) -> float:
    """How long it took, infinity if it never came."""
    begin = time.monotonic()
    while time.monotonic() - begin < seconds:
        if what():
            return time.monotonic() - begin
        await asyncio.sleep(0.005)
    return float("inf")


async def many_go_silent(clients: int, fault: str) -> Row:
    """All of them lose their server at one moment, which says nothing about it."""
    with Exchange(instruments=4, speed=1.0, connections_per_key=None, opens="told") as exchange:
        seen = [Seen() for _ in range(clients)]
        tickers = [client(exchange, n) for n in range(clients)]
        tasks = []
        for ticker, sink in zip(tickers, seen, strict=True):
            ticker.subscribe([exchange.instruments[0].token], "full")
            tasks.append(asyncio.create_task(ticker.run(sink)))
        await until(lambda: all(ticker.connected() for ticker in tickers), 20)
        await asyncio.sleep(1)
        begin = time.monotonic()
        if fault == "silence":
            exchange.silence(None)
        else:
            exchange.half_open()
        await asyncio.sleep(8)
        lost = [sink.first("disconnected", begin) for sink in seen]
        noticed = [at - begin for at in lost if at is not None]
        exchange.silence(0)
        for ticker in tickers:
            await ticker.stop()
        await asyncio.gather(*tasks)
    worst = max(noticed, default=float("inf"))
    found = f"{len(noticed)} of {clients}, median {statistics.median(noticed):.2f} s, at worst {worst:.2f} s"
    return Row(fault, "noticed in at most 6 s, every time", found, len(noticed) == clients and worst <= 6)


async def comes_back(fault: str, act: Callable[[Exchange], object], times: int) -> Row:
    """Every token and mode is there again soon after the server is."""
    spent: list[float] = []
    with Exchange(instruments=30, connections_per_key=None, opens="told") as exchange:
        tokens = [each.token for each in exchange.instruments]
        wanted = {token: ("ltp", "quote", "full")[n % 3] for n, token in enumerate(tokens)}
        sink, ticker = Seen(), client(exchange)
        for token, mode in wanted.items():
            ticker.subscribe([token], mode)
        task = asyncio.create_task(ticker.run(sink))

        def there() -> bool:
            return list(exchange.subscriptions().values()) == [wanted]

        await until(there, 10)
        for _ in range(times):
            lost = sink.count("disconnected")
            act(exchange)
            gone = await until(lambda lost=lost: sink.count("disconnected") > lost, 10)
            back = await until(there, 10)
            spent.append(back if gone < 10 else float("inf"))
            # A connection that lasted is a good one: each round begins like the first.
            await asyncio.sleep(0.05)
        await ticker.stop()
        await task
    found = f"{times} times, median {statistics.median(spent) * 1e3:.0f} ms, at worst {max(spent) * 1e3:.0f} ms"
    return Row(fault, f"all tokens and modes back in {NEAR:g} s", found, max(spent) <= NEAR)


async def hostile_messages(messages: int) -> Row:
    """Messages of every hostile kind between good frames."""
    rng = random.Random(1)
    with Exchange(instruments=2, opens="told", heartbeat=30) as exchange:
        token = exchange.instruments[0].token
        sink, ticker = Seen(engine=Engine(["1m"])), client(exchange, tick_timeout=1e6)
        ticker.subscribe([token], "ltp")
        task = asyncio.create_task(ticker.run(sink))
        await until(ticker.connected, 10)
        await until(lambda: token in next(iter(exchange.subscriptions().values()), {}), 10)
        await asyncio.sleep(0.5)
        before, good = sink.packets, 0
        packet = token.to_bytes(4, "big") + (100_00).to_bytes(4, "big")
        frame = (1).to_bytes(2, "big") + (8).to_bytes(2, "big") + packet
        kinds = [kind for kind in HOSTILE if kind not in {"lying count", "cut"}]
        for n in range(messages):
            message = hostile(kinds[n % len(kinds)], rng)
            (exchange.send_text if isinstance(message, str) else exchange.send_binary)(message)
            if n % 10 == 0:
                exchange.send_binary(frame)
                good += 1
            if n % 500 == 0:
                await asyncio.sleep(0)
        await until(lambda: sink.packets - before >= good, 30)
        await asyncio.sleep(0.3)
        lost, delivered = sink.count("disconnected"), sink.packets - before
        await ticker.stop()
        await task
        assert sink.engine is not None
        stats = sink.engine.stats()
    conserved = stats["packets"] == stats["ticks"] + stats["rejected"]
    found = (
        f"{messages:,} of {len(kinds)} kinds: {lost} disconnections, {delivered:,} of {good:,} good ticks, "
        f"packets {'=' if conserved else '≠'} ticks + rejected"
    )
    return Row(
        "hostile messages", "none disconnects, every good tick", found, lost == 0 and delivered == good and conserved
    )


async def refused_token() -> Row:
    """403: one attempt, and the state says so; a new token resumes."""
    with Exchange(instruments=2, tokens={f"{KEY}-0": "the-new-token"}) as exchange:
        sink = Seen()
        ticker = TickerClient(
            exchange.url,
            credentials=Credentials(f"{KEY}-0", TOKEN),
            settings=Settings(**FAST, token_poll=0.5),
            token_provider=(offers := iter([None, "the-new-token"])).__next__,
        )
        ticker.subscribe([exchange.instruments[0].token])
        task = asyncio.create_task(ticker.run(sink))
        said = await until(lambda: sink.count("authentication_failed") > 0, 10)
        attempts = len(exchange.attempts())
        resumed = await until(ticker.connected, 10)
        in_all = len(exchange.attempts())
        await ticker.stop()
        await task
        del offers
    found = f"{attempts} attempt, said after {said * 1e3:.0f} ms; a new token: connected, {in_all} attempts in all"
    return Row("403", "one attempt; a new token resumes", found, attempts == 1 and in_all == 2 and resumed < 10)


async def limited(wait: float) -> Row:
    """429: the next attempt waits."""
    with Exchange(instruments=2) as exchange:
        exchange.refuse(429, times=1)
        sink, ticker = Seen(), client(exchange, limited_wait=wait)
        ticker.subscribe([exchange.instruments[0].token])
        task = asyncio.create_task(ticker.run(sink))
        await until(ticker.connected, wait * 2 + 5)
        attempts = exchange.attempts()
        await ticker.stop()
        await task
    waited = attempts[1] - attempts[0] if len(attempts) > 1 else float("inf")
    return Row("429", f"next attempt after at least {wait:g} s", f"{waited:.2f} s", wait <= waited < wait * 1.6 + 1)


async def mixed(cycles: int) -> Row:
    """Cycle after cycle of any fault, with 3,000 tokens in three modes: nothing is lost and nothing is left behind."""
    rng = random.Random(7)
    acts: list[Callable[[Exchange], object]] = [
        lambda exchange: exchange.close(rng.choice([1000, 1001, 1006, 1011])),
        lambda exchange: exchange.reset(),
        lambda exchange: exchange.cut_frame(),
    ]
    with Exchange(instruments=2, opens="told", connections_per_key=None, greeting=False) as exchange:
        sink, ticker = Seen(), client(exchange, backoff_base=0.01, backoff_cap=0.02)
        tokens = [(n << 8) | 1 for n in range(1, 3001)]
        wanted = {token: ("ltp", "quote", "full")[n % 3] for n, token in enumerate(tokens)}
        for mode in ("ltp", "quote", "full"):
            ticker.subscribe([token for token in tokens if wanted[token] == mode], mode)
        task = asyncio.create_task(ticker.run(sink))

        def there() -> bool:
            return list(exchange.subscriptions().values()) == [wanted]

        await until(there, 20)
        gc.collect()
        threads, files = threading.active_count(), len(os.listdir("/proc/self/fd"))
        lost = 0
        for _ in range(cycles):
            before = sink.count("disconnected")
            rng.choice(acts)(exchange)
            await until(lambda before=before: sink.count("disconnected") > before, 10)
            lost += await until(there, 10) > 10
        gc.collect()
        threads, files = threading.active_count() - threads, len(os.listdir("/proc/self/fd")) - files
        await ticker.stop()
        await task
    found = f"{cycles:,} cycles, 3,000 tokens: {lost} with something lost, threads {threads:+}, descriptors {files:+}"
    return Row(
        "mixed faults", "nothing lost, threads +0, descriptors +2", found, not lost and threads <= 0 and files <= 2
    )


async def table(quick: bool) -> list[Row]:
    few = 3 if quick else 20
    rounds: list[Awaitable[Row]] = [
        many_go_silent(20 if quick else 200, "silence"),
        many_go_silent(20 if quick else 200, "half-open link"),
        *(
            comes_back(f"close {code}", lambda exchange, code=code: exchange.close(code), few)
            for code in (1000, 1001, 1006, 1011)
        ),
        comes_back("reset", lambda exchange: exchange.reset(), few),
        comes_back("FIN in mid-frame", lambda exchange: exchange.cut_frame(), few),
        hostile_messages(2_000 if quick else 100_000),
        refused_token(),
        limited(1.0 if quick else 30.0),
        mixed(20 if quick else 1_000),
    ]
    rows = []
    for each in rounds:
        row = await each
        holds = "yes" if row.holds else "NO"
        sys.stdout.write(f"| {row.fault:18} | {row.asked:45} | {row.found:90} | {holds:5} |\n")
        sys.stdout.flush()
        rows.append(row)
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few of each")
    options = parser.parse_args()
    sys.stdout.write(
        f"| {'fault':18} | {'asked':45} | {'found':90} | holds |\n|{'-' * 20}|{'-' * 47}|{'-' * 92}|-------|\n"
    )
    rows = asyncio.run(table(options.quick))
    return 0 if all(row.holds for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
