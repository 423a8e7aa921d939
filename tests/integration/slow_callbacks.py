"""Callbacks that sleep or raise: what they cost the candles, the connection and the account of the events.

`python -m tests.integration.slow_callbacks` prints the table; `--quick` is what the tests run. A server process stamps
each frame with the time of its sending, the packet's price; a sink around the feed's reader takes the time again when
the engine has it. Both clocks are one.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from typing import TYPE_CHECKING, Any

import tickloom as tl
from tickloom.events import Ticks
from tickloom.sources.exchange import Exchange

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tickloom.sources.base import Sink
    from tickloom.ticker.messages import ConnectionEvent

TOKEN = 408065
# Microseconds in a price: 32 bits hold half an hour of them.
WRAP = 2_000_000_000
AT_MOST = 0.050


def serve(pipe: Pipe, rate: float) -> None:
    """A simulated exchange in a process of its own, that sends stamped frames for so many seconds when it is told."""
    logging.disable()
    with Exchange(2, opens="told", heartbeat=30, greeting=False) as exchange:
        pipe.send(exchange.url)
        while (seconds := pipe.recv()) is not None:
            sent, began = 0, time.monotonic()
            while (now := time.monotonic() - began) < seconds:
                while sent < now * rate:
                    stamp = (time.time_ns() // 1_000) % WRAP + 1
                    packet = TOKEN.to_bytes(4, "big") + stamp.to_bytes(4, "big")
                    exchange.send_binary(b"\0\1\0\10" + packet)
                    sent += 1
                time.sleep(0.0005)
            pipe.send(sent)


class Timed:
    """Kite's source, with a stopwatch around what it delivers."""

    name, live = "kite", True

    def __init__(self, url: str) -> None:
        self.inner = tl.sources.Kite("key", "token", url=url)
        self.subscribe, self.unsubscribe = self.inner.subscribe, self.inner.unsubscribe
        self.subscriptions = self.inner.subscriptions
        self.lags: list[int] = []
        self.disconnections = 0

    async def run(self, sink: Sink) -> None:
        self._sink, self.on_text = sink, sink.on_text
        await self.inner.run(self)

    def on_frame(self, frame: bytes, received_ns: int, connection: int) -> None:
        self._sink.on_frame(frame, received_ns, connection)
        if len(frame) == 12:
            now = time.time_ns() // 1_000 % WRAP + 1
            self.lags.append((now - int.from_bytes(frame[8:12], "big")) % WRAP)

    def on_connection(self, event: ConnectionEvent) -> None:
        self.disconnections += event.state == "disconnected"
        self._sink.on_connection(event)


class Deadly(BaseException):
    """As KeyboardInterrupt: no `except Exception` catches it."""


def sleeps(_: Ticks) -> None:
    time.sleep(1)


def raising(error: Callable[[], BaseException]) -> Callable[[Ticks], None]:
    def raises(_: Ticks) -> None:
        raise error()

    return raises


CALLBACKS: dict[str, Callable[[Ticks], None]] = {
    "sleeps a second": sleeps,
    "raises ValueError": raising(ValueError),
    "raises SystemExit": raising(lambda: SystemExit(9)),
    "raises KeyboardInterrupt": raising(KeyboardInterrupt),
    "raises a BaseException": raising(Deadly),
}


@dataclass
class Row:
    """What one callback cost under one policy."""

    policy: str
    callback: str
    sent: int
    engine: int
    p99: float
    disconnections: int
    offered: int
    delivered: int
    dropped: int
    errors: int

    @property
    def exact(self) -> bool:
        """Whether every frame that was sent is accounted for."""
        return self.sent == self.engine == self.offered == self.delivered + self.dropped

    @property
    def holds(self) -> bool:
        return self.exact and self.disconnections == 0 and self.p99 <= AT_MOST


@contextmanager
def exchange(rate: float) -> Iterator[tuple[Any, str]]:
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(there, rate), daemon=True)
    server.start()
    try:
        if not here.poll(30):
            raise TimeoutError("the exchange did not start within 30 s")
        yield here, here.recv()
        here.send(None)
    finally:
        server.join(5)
        server.kill()


def measure(pipe: Any, url: str, policy: Any, name: str, seconds: float) -> Row:
    """One callback under one policy, while frames come."""
    source = Timed(url)
    feed = tl.Feed(source, ["1m"], policy=policy, queue=32)
    feed.on_tick(CALLBACKS[name])
    feed.subscribe([TOKEN], mode="ltp")
    with feed:
        feed.wait_connected(10)
        pipe.send(seconds)
        if not pipe.poll(seconds + 20):
            raise TimeoutError("the exchange does not answer")
        sent = pipe.recv()
        deadline = time.monotonic() + 10
        while feed.status().ticks < sent and time.monotonic() < deadline:
            time.sleep(0.01)
        lost = source.disconnections
    status, lags = feed.status(), sorted(source.lags)
    account = status.callbacks
    p99 = lags[int(len(lags) * 0.99)] / 1e6 if lags else float("inf")
    return Row(policy, name, sent, status.ticks, p99, lost, account.offered, account.delivered, account.dropped,
               status.callback_errors)  # fmt: skip


def table(policies: list[str], names: list[str], seconds: float, rate: float) -> Iterator[Row]:
    """The rows, one by one."""
    with exchange(rate) as (pipe, url):
        for policy in policies:
            for name in names:
                yield measure(pipe, url, policy, name, seconds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="for a second each")
    parser.add_argument("--rate", type=float, default=1_000.0, help="frames a second")
    options = parser.parse_args()
    logging.disable()
    head = (
        f"| {'policy':11} | {'callback':24} | {'sent':>7} | {'engine':>7} | {'send to engine':>14} | {'lost':>4} | "
        f"{'offered':>7} = {'delivered':>9} + {'dropped':>7} | {'raised':>6} | holds |\n"
    )
    sys.stdout.write(head + "|" + "|".join("-" * len(part) for part in head.split("|")[1:-1]) + "|\n")
    held = True
    for row in table(["conflate", "drop_oldest"], list(CALLBACKS), 1.2 if options.quick else 8, options.rate):
        held &= row.holds
        account = f"{row.offered:>7,} = {row.delivered:>9,} + {row.dropped:>7,}"
        holds = "yes" if row.holds else "NO"
        sys.stdout.write(
            f"| {row.policy:11} | {row.callback:24} | {row.sent:>7,} | {row.engine:>7,} | "
            f"p99 {row.p99 * 1e3:>7.2f} ms | {row.disconnections:>4} | {account} | {row.errors:>6,} | {holds:5} |\n"
        )
        sys.stdout.flush()
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
