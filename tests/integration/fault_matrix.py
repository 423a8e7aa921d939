"""The fault matrix: each fault injected on real sockets through the simulated exchange, with what it cost.

`python -m tests.integration.fault_matrix` prints the table, `--source upstox` that of another source than Kite's;
`--quick` is what the tests run.
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

from tests.integration.fault_sides import KEY, SIDES, Client, Side
from tickloom import Engine
from tickloom.sources.exchange import Exchange
from tickloom.ticker import ConnectionEvent

# What is asked: a line that died is noticed in so many seconds, and all is back in so many.
NOTICED, NEAR = 6.0, 2.0
# The tests share a machine with others: there the time that things take is no claim.
SHARED = 5.0


@dataclass
class Seen:
    """What a client delivered."""

    events: list[tuple[float, ConnectionEvent]] = field(default_factory=list)
    frames: int = 0
    engine: Engine | None = None
    client: Client | None = None
    watched: int = 0
    ticks: int = 0
    """Of the instrument that is watched."""

    def on_frame(self, frame: bytes, received_ns: int, connection: int) -> None:  # noqa: ARG002 - a sink's
        self.frames += 1
        if self.engine is not None and self.client is not None:
            with contextlib.suppress(ValueError):
                batch = self.client.apply(self.engine, frame, received_ns)
                self.ticks += sum(tick.instrument_token == self.watched for tick in batch)

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


async def until(what: Callable[[], bool], seconds: float) -> float:
    """How long it took, infinity if it never came."""
    begin = time.monotonic()
    while time.monotonic() - begin < seconds:
        if what():
            return time.monotonic() - begin
        await asyncio.sleep(0.005)
    return float("inf")


async def many_go_silent(side: Side, clients: int, fault: str, within: float) -> Row:
    """All of them lose their server at one moment, which says nothing about it."""
    with side.exchange(4, speed=1.0, connections_per_key=None, opens="told") as exchange:
        seen = [Seen() for _ in range(clients)]
        tickers = [side.client(exchange, n) for n in range(clients)]
        tasks = []
        for ticker, sink in zip(tickers, seen, strict=True):
            ticker.subscribe(side.names(exchange)[:1], "full")
            tasks.append(asyncio.create_task(ticker.run(sink)))
        await until(lambda: all(ticker.connected() for ticker in tickers), 20)
        await asyncio.sleep(1)
        begin = time.monotonic()
        if fault == "silence":
            exchange.silence(None)
        else:
            exchange.half_open()
        await until(lambda: all(sink.first("disconnected", begin) is not None for sink in seen), within + 2)
        lost = [sink.first("disconnected", begin) for sink in seen]
        noticed = [at - begin for at in lost if at is not None]
        exchange.silence(0)
        for ticker in tickers:
            await ticker.stop()
        await asyncio.gather(*tasks)
    worst = max(noticed, default=float("inf"))
    found = f"{len(noticed)} of {clients}, median {statistics.median(noticed):.2f} s, at worst {worst:.2f} s"
    return Row(
        fault, f"noticed in at most {within:g} s, every time", found, len(noticed) == clients and worst <= within
    )


async def comes_back(side: Side, fault: str, act: Callable[[Exchange], object], times: int, within: float) -> Row:
    """Every token and mode is there again soon after the server is."""
    spent: list[float] = []
    with side.exchange(30, connections_per_key=None, opens="told") as exchange:
        wanted = {name: side.modes[n % 3] for n, name in enumerate(side.names(exchange))}
        sink, ticker = Seen(), side.client(exchange)
        for name, mode in wanted.items():
            ticker.subscribe([name], mode)
        task = asyncio.create_task(ticker.run(sink))

        def there() -> bool:
            return list(exchange.subscriptions().values()) == [wanted]

        await until(there, 10)
        for _ in range(times):
            lost = sink.count("disconnected")
            act(exchange)
            gone = await until(lambda lost=lost: sink.count("disconnected") > lost, within + 8)
            back = await until(there, within + 8)
            spent.append(back if gone < within + 8 else float("inf"))
            # A connection that lasted is a good one: each round begins like the first.
            await asyncio.sleep(0.05)
        await ticker.stop()
        await task
    found = f"{times} times, median {statistics.median(spent) * 1e3:.0f} ms, at worst {max(spent) * 1e3:.0f} ms"
    return Row(fault, f"all tokens and modes back in {within:g} s", found, max(spent) <= within)


async def hostile_messages(side: Side, messages: int) -> Row:
    """Messages of every hostile kind between good frames, some of them about an instrument that is subscribed."""
    rng = random.Random(1)
    with side.exchange(3, opens="told", heartbeat=30) as exchange:
        name, victim = side.names(exchange)[-2:]
        ticker = side.client(exchange, tick_timeout=1e6)
        sink = Seen(engine=Engine(["1m"]), client=ticker, watched=ticker.token(name))
        ticker.subscribe([name, victim], side.good_mode)
        task = asyncio.create_task(ticker.run(sink))
        await until(ticker.connected, 10)
        await until(lambda: sink.ticks >= 1, 10)
        await asyncio.sleep(0.5)
        before, good = sink.ticks, 0
        kinds = side.hostile_kinds
        for n in range(messages):
            message = side.hostile(kinds[n % len(kinds)], rng, victim)
            (exchange.send_text if isinstance(message, str) else exchange.send_binary)(message)
            if n % 10 == 0:
                good += 1
                exchange.send_binary(side.good(name, good, exchange.market_time_ns()))
            if n % 500 == 0:
                await asyncio.sleep(0)
        await until(lambda: sink.ticks - before >= good, 30)
        await asyncio.sleep(0.3)
        lost, delivered = sink.count("disconnected"), sink.ticks - before
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


async def refused_token(side: Side, status: int) -> Row:
    """One attempt, and the state says so; a new token resumes."""
    tokens = {f"{KEY}-0": "the-new-token"} if status == side.refused else None
    with side.exchange(2, tokens=tokens) as exchange:
        if tokens is None:
            exchange.refuse(status)
        sink = Seen()
        offers = iter([None, "the-new-token"])
        ticker = side.client(exchange, provider=offers.__next__, token_poll=0.5)
        ticker.subscribe(side.names(exchange)[:1], side.modes[0])
        task = asyncio.create_task(ticker.run(sink))
        said = await until(lambda: sink.count("authentication_failed") > 0, 10)
        attempts = len(exchange.attempts())
        resumed = await until(ticker.connected, 10)
        in_all = len(exchange.attempts())
        await ticker.stop()
        await task
    found = f"{attempts} attempt, said after {said * 1e3:.0f} ms; a new token: connected, {in_all} attempts in all"
    return Row(str(status), "one attempt; a new token resumes", found, attempts == 1 and in_all == 2 and resumed < 10)


async def limited(side: Side, wait: float, late: float) -> Row:
    """429: the next attempt waits."""
    with side.exchange(2) as exchange:
        exchange.refuse(429, retry_after=1, times=1)
        sink, ticker = Seen(), side.client(exchange, limited_wait=wait)
        ticker.subscribe(side.names(exchange)[:1], side.modes[0])
        task = asyncio.create_task(ticker.run(sink))
        await until(ticker.connected, wait + late)
        attempts = exchange.attempts()
        await ticker.stop()
        await task
    waited = attempts[1] - attempts[0] if len(attempts) > 1 else float("inf")
    return Row("429", f"next attempt after at least {wait:g} s", f"{waited:.2f} s", wait <= waited < wait + late)


async def mixed(side: Side, cycles: int) -> Row:
    """Cycle after cycle of any fault, with all that a connection holds in three modes: nothing is lost or left."""
    rng = random.Random(7)
    acts: list[Callable[[Exchange], object]] = [
        lambda exchange: exchange.close(rng.choice([1000, 1001, 1006, 1011])),
        lambda exchange: exchange.reset(),
        lambda exchange: exchange.cut_frame(),
    ]
    with side.exchange(2, opens="told", connections_per_key=None, greeting=False) as exchange:
        sink, ticker = Seen(), side.client(exchange, backoff_base=0.01, backoff_cap=0.02)
        modes = [mode for mode in side.modes for _ in range(side.most[mode])]
        wanted = {side.made_up(n): mode for n, mode in enumerate(modes, start=1)}
        for mode in side.modes:
            ticker.subscribe([name for name in wanted if wanted[name] == mode], mode)
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
    left = f"threads {threads:+}, descriptors {files:+}"
    found = f"{cycles:,} cycles, {len(wanted):,} instruments: {lost} with something lost, {left}"
    return Row(
        "mixed faults", "nothing lost, threads +0, descriptors +2", found, not lost and threads <= 0 and files <= 2
    )


async def table(side: Side, quick: bool) -> list[Row]:
    few = 3 if quick else 20
    noticed, near, late = (SHARED * NOTICED, SHARED * NEAR, 30.0) if quick else (NOTICED, NEAR, 19.0)
    rounds: list[Awaitable[Row]] = [
        many_go_silent(side, 20 if quick else 200, "silence", noticed),
        many_go_silent(side, 20 if quick else 200, "half-open link", noticed),
        *(
            comes_back(side, f"close {code}", lambda exchange, code=code: exchange.close(code), few, near)
            for code in (1000, 1001, 1006, 1011)
        ),
        comes_back(side, "reset", lambda exchange: exchange.reset(), few, near),
        comes_back(side, "FIN in mid-frame", lambda exchange: exchange.cut_frame(), few, near),
        hostile_messages(side, 2_000 if quick else 100_000),
        *(refused_token(side, status) for status in sorted({side.refused, 403})),
        limited(side, 1.0 if quick else 30.0, late),
        mixed(side, 20 if quick else 1_000),
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
    parser.add_argument("--source", choices=sorted(SIDES), default="kite", help="whose source, and whose protocol")
    parser.add_argument("--quick", action="store_true", help="a few of each")
    options = parser.parse_args()
    sys.stdout.write(
        f"| {'fault':18} | {'asked':45} | {'found':90} | holds |\n|{'-' * 20}|{'-' * 47}|{'-' * 92}|-------|\n"
    )
    rows = asyncio.run(table(SIDES[options.source](), options.quick))
    return 0 if all(row.holds for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
