"""A warm-up of 200 instruments and seven intervals at the broker's own three requests a second, with faults.

```
python -m tests.integration.warmup [--instruments 200] [--per-second 3]
```

Prints what was asked of the broker and whether every bar is the seeded market's own: before the open without faults
and with them, and in the middle of the session, with live ticks. It takes as long as the broker's limit makes it, 200
requests at three a second are 67 seconds, and the last one up to two minutes more.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import struct
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass

import tickloom as tl
from tests.integration.rest import Broker, rows_of
from tests.integration.virtual import Virtual
from tests.oracle import frames as oracle
from tickloom.feed import WarmupStatus
from tickloom.history import KiteHistory, Limiter, Retries
from tickloom.model import ist, to_ns
from tickloom.sources.base import Sink
from tickloom.sources.simulator import Market
from tickloom.ticker.messages import ConnectionEvent

INTERVALS = ["1m", "3m", "5m", "10m", "15m", "30m", "60m"]
SECOND = 1_000_000_000
COLUMNS = ("open", "high", "low", "close", "volume")


@dataclass
class Outcome:
    """What a warm-up came to."""

    status: WarmupStatus
    arrivals: int
    distinct: int
    most_in_a_second: int
    bars: int
    wrong: int
    seconds: float
    first_ready: float = 0.0
    """Seconds until the first instrument had all its bars, and nothing more to be read."""
    ready: int = 0
    mending: int = 0
    """Requests for minutes that were missed: that of the joining, and silences, which are gaps (R13)."""
    silences: int = 0


class Still(Virtual):
    """The third morning, before the market opens: the time stands."""

    async def run(self, _: object) -> None:
        self._now = self._start
        await asyncio.Event().wait()


class Running(Virtual):
    """Live ticks in the middle of a day, as fast as the market makes them, or `speed` times as fast.

    As the broker does, it first shows each name as it was last.
    """

    def __init__(self, market: Market, *, start_ns: int, speed: float) -> None:
        super().__init__(market, start_ns=start_ns, end_ns=start_ns)
        self._speed = speed
        self._began = 0.0

    def elapsed(self) -> float:
        """Seconds since the first frame."""
        return time.monotonic() - self._began if self._began else 0.0

    def clock(self) -> int:
        return self._start + int(self.elapsed() * self._speed * SECOND) if self._began else 0

    async def run(self, sink: Sink) -> None:
        frames: list[tuple[int, bytes]] = []
        last: dict[bytes, bytes] = {}
        for _, at, body in self.market.events():
            if body is not None and at > self._start:
                frames.append((at, body))
            elif body is not None:
                last |= {packet[:4]: packet for packet in packets_of(body)}
        self._began = time.monotonic()
        sink.on_connection(ConnectionEvent("connected", 0, self._start))
        sink.on_frame(oracle.frame(*last.values()), self._start, 0)
        for at, body in frames:
            while (ahead := at - self.clock()) > 0:
                await asyncio.sleep(ahead / self._speed / SECOND)
                sink.on_clock(self.clock())
            sink.on_frame(body, at, 0)
        await asyncio.Event().wait()


def packets_of(body: bytes) -> Iterator[bytes]:
    """The packets of a frame."""
    (count,), at = struct.unpack_from(">H", body), 2
    for _ in range(count):
        (length,) = struct.unpack_from(">H", body, at)
        yield body[at + 2 : at + 2 + length]
        at += 2 + length


def join(
    instruments: int, per_second: int, *, clock: str = "10:02:30", speed: float = 1.0, window: float = 1.0
) -> Outcome:
    """Warms up with two days of history in the middle of the third; the bars up to the minute of joining count."""
    market = Market(11, instruments=instruments, indices=0, days=3, end="10:30")
    tokens = [name.token for name in market.instruments()]
    third = to_ns(ist(int(market.truth(tokens[0])["time"][-1])).replace(hour=0, minute=0))
    start = third + sum(int(part) * unit for part, unit in zip(clock.split(":"), (3_600, 60, 1), strict=True)) * SECOND
    source = Running(market, start_ns=start, speed=speed)
    rows = {token: rows_of(market, token) for token in tokens}
    with tempfile.TemporaryDirectory() as folder, Broker(rows, clock=source.clock) as broker:
        limiter = Limiter(f"{folder}/limit.json", per_second, window=window)
        history = KiteHistory("key", "token", root=broker.root, cache=f"{folder}/minutes", limiter=limiter)
        feed = tl.Feed(source, INTERVALS, capacity=2_000, history=history)
        feed.subscribe(tokens)
        began = time.monotonic()
        feed.start(warmup="2d")
        ready: set[int] = set()
        first = 0.0
        try:
            while len(ready) < len(tokens):
                assert time.monotonic() < began + 600, (feed.status().warmup, len(ready))
                time.sleep(0.1)
                ready |= {token for token in tokens if token not in ready and is_ready(feed, token)}
                first = first or (source.elapsed() if ready else 0.0)
            seconds = source.elapsed()
            status = feed.status().warmup
            bars, wrong = compare(market, feed, start // (60 * SECOND) * 60 * SECOND + 60 * SECOND)
            silences = sum(len(feed.engine.gaps(token)) for token in tokens)
        finally:
            feed.stop()
        # Days before this one are asked for with it; a request for this day alone mends something.
        mending = sum(f"from={ist(start):%Y-%m-%d}" in path for path in broker.paths)
        return Outcome(
            status, len(broker.arrivals), len(broker.asked), broker.most_in(window), bars, wrong, seconds, first,
            len(ready), mending, silences,
        )  # fmt: skip


def is_ready(feed: tl.Feed, token: int) -> bool:
    """Whether all its minutes are there, a whole day of them at least, and nothing is left to be read."""
    return feed.is_ready(token, "1m", max(len(feed.candles(token, "1m")), 1)) and feed.status().warmup.done > 0


def warm(instruments: int, per_second: int, *, faults: int, end: str = "15:30", window: float = 1.0) -> Outcome:
    """Warms up with two days of history; every `faults`th request goes wrong, in turn in each way (0: none)."""
    market = Market(11, instruments=instruments, indices=0, days=3, end=end)
    opening = market.truth(market.instruments()[0].token)["time"]
    third = int(opening[-1]) // (86_400 * SECOND) * 86_400 * SECOND + int(3.5 * 3_600) * SECOND
    rows = {name.token: rows_of(market, name.token) for name in market.instruments()}
    source = Still(market, start_ns=third, end_ns=third)
    ways = ["429", "500", "slow", "truncated", "cut", "html", "503"]

    def fault(nth: int, token: int) -> str | None:
        return ways[nth // faults % len(ways)] if faults and nth % faults == faults - 1 else None

    with tempfile.TemporaryDirectory() as folder, Broker(rows, clock=source.clock, fault=fault) as broker:
        history = KiteHistory(
            "key", "token", root=broker.root, cache=f"{folder}/minutes", retries=Retries(base=0.2),
            limiter=Limiter(f"{folder}/limit.json", per_second, window=window),
        )  # fmt: skip
        feed = tl.Feed(source, INTERVALS, capacity=2_000, history=history)
        feed.subscribe([name.token for name in market.instruments()])
        began = time.monotonic()
        feed.start(warmup="2d")
        try:
            feed.wait_warm(600)
            seconds = time.monotonic() - began
            status = feed.status().warmup
            bars, wrong = compare(market, feed, third)
        finally:
            feed.stop()
        return Outcome(
            status, len(broker.arrivals), len(broker.asked), broker.most_in(window), bars, wrong, seconds
        )  # fmt: skip


def compare(market: Market, feed: tl.Feed, before_ns: int) -> tuple[int, int]:
    """How many true bars have ended until then, and how many the feed has otherwise, not, or too much."""
    bars = wrong = 0
    for name in market.instruments():
        for interval in INTERVALS:
            truth = market.truth(name.token, interval)
            past = truth["end"] <= before_ns
            true = list(zip(*(truth[key][past].tolist() for key in ("time", *COLUMNS)), strict=True))
            columns = feed.candles(name.token, interval).columns()
            over = columns["end"] <= before_ns
            had = list(zip(*(columns[key][over].tolist() for key in ("time", *COLUMNS)), strict=True))
            bars += len(true)
            wrong += len(set(true) ^ set(had)) + (len(had) != len(set(columns["time"][over].tolist())))
    return bars, wrong


def tell(line: str) -> None:
    """A line, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Runs it, says what it came to, and fails if anything is not as it must be."""
    logging.disable(logging.ERROR)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--instruments", type=int, default=200)
    parser.add_argument("--per-second", type=int, default=3)
    options = parser.parse_args()
    for faults in (0, 9):
        outcome = warm(options.instruments, options.per_second, faults=faults)
        tell(f"faults: {f'every {faults}th request' if faults else 'none'}")
        tell(f"  {outcome.status.state}: {outcome.status.done} of {outcome.status.wanted} instruments")
        pace = f"in {outcome.seconds:.1f} s, at most {outcome.most_in_a_second} in any second"
        tell(f"  {outcome.arrivals} requests {pace}")
        tell(f"  {outcome.bars} bars of {len(INTERVALS)} intervals, {outcome.wrong} wrong")
        _check(outcome, options.per_second, None if faults else options.instruments)
    outcome = join(options.instruments, options.per_second)
    tell("in the middle of the session, from 10:02:30 on, with live ticks")
    tell(f"  {outcome.status.state}: {outcome.status.done} of {outcome.status.wanted} instruments")
    pace = f"in {outcome.seconds:.1f} s, at most {outcome.most_in_a_second} in any second"
    tell(f"  {outcome.arrivals - outcome.mending} requests {pace}; {outcome.mending} for {outcome.silences} silences")
    tell(f"  the first is ready after {outcome.first_ready:.1f} s, {outcome.ready} are at the end")
    assert outcome.mending <= 2 * outcome.silences
    tell(f"  {outcome.bars} bars of {len(INTERVALS)} intervals, {outcome.wrong} wrong")
    _check(outcome, options.per_second, options.instruments + outcome.mending)


def _check(outcome: Outcome, per_second: int, most: int | None) -> None:
    assert outcome.status.state in {"complete", "repairing"}
    assert outcome.status.done == outcome.status.wanted
    assert outcome.wrong == 0 < outcome.bars
    assert outcome.most_in_a_second <= per_second
    assert most is None or outcome.arrivals <= most


if __name__ == "__main__":
    main()
