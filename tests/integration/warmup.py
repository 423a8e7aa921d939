"""A warm-up of 200 instruments and seven intervals at the broker's own three requests a second, with faults.

```
python -m tests.integration.warmup [--instruments 200] [--per-second 3]
```

Prints what was asked of the broker and whether every bar is the seeded market's own. It takes as long as the broker's
limit makes it: 200 requests at three a second are 67 seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from dataclasses import dataclass

import tickloom as tl
from tests.integration.rest import Broker, rows_of
from tests.integration.virtual import Virtual
from tickloom.feed import WarmupStatus
from tickloom.history import KiteHistory, Limiter, Retries
from tickloom.sources.simulator import Market

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


class Still(Virtual):
    """The third morning, before the market opens: the time stands."""

    async def run(self, _: object) -> None:
        self._now = self._start
        await asyncio.Event().wait()


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
    """How many true bars there are of earlier days, and how many the feed has otherwise, not, or too much."""
    bars = wrong = 0
    for name in market.instruments():
        for interval in INTERVALS:
            truth = market.truth(name.token, interval)
            past = truth["time"] < before_ns
            true = list(zip(*(truth[key][past].tolist() for key in ("time", *COLUMNS)), strict=True))
            columns = feed.candles(name.token, interval).columns()
            had = list(zip(*(columns[key].tolist() for key in ("time", *COLUMNS)), strict=True))
            bars += len(true)
            wrong += len(set(true) ^ set(had)) + (len(had) != len(set(columns["time"].tolist())))
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
        assert outcome.status.state == "complete"
        assert outcome.wrong == 0 < outcome.bars
        assert outcome.most_in_a_second <= options.per_second
        assert faults or outcome.arrivals <= options.instruments


if __name__ == "__main__":
    main()
