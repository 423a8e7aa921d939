"""Upstox's messages: what decoding an instrument costs, in ns: `python -m benches.upstox` (needs the dev requirements).

One message of 50 instruments in mode full: last trade, five levels, Greeks, three candles and the day's counts. All
contenders read the same bytes in one process, in turns; the best of the rounds stands for each.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from google.protobuf.json_format import MessageToDict

from tests.upstox_feed import NS, OPEN, message
from tests.upstox_schema import FeedResponse
from tickloom import Engine, _core
from tickloom._core import parse_upstox
from tickloom.sources.upstox_wire import Keys

INSTRUMENTS = 50
ROUNDS = 15
ROUND_SECONDS = 0.05


def full_message(at: float, volume: int) -> bytes:
    """Every instrument traded since the last one."""
    candles = [("1d", OPEN - 33_300, (100, 111, 99, 105), volume), ("I1", OPEN - 60, (100, 101, 99, 100), 40)]
    feeds: dict[str, dict[str, Any]] = {
        f"NSE_FO|{40_000 + number}": {
            "ltp": 100.05 + number, "ltt": OPEN + at - 0.3, "ltq": 75, "cp": 98.5, "atp": 100.21, "vtt": volume,
            "oi": 1_234_500.0, "iv": 0.2134, "tbq": 345_000.0, "tsq": 410_000.0,
            "levels": [(100.0 - n / 20 + number, 100.1 + n / 20 + number) for n in range(5)],
            "ohlc": [*candles, ("I1", OPEN, (100, 101, 99, 100), 12)],
        }
        for number in range(INSTRUMENTS)
    }  # fmt: skip
    made = FeedResponse()
    made.ParseFromString(message("live_feed", OPEN + at, feeds))
    for feed in made.feeds.values():
        greeks = feed.fullFeed.marketFF.optionGreeks
        greeks.delta, greeks.theta, greeks.gamma, greeks.vega, greeks.rho = 0.51, -4.2, 0.0012, 7.7, 1.1
    return bytes(made.SerializeToString())


def with_protobuf(whole: bytes) -> None:
    FeedResponse().ParseFromString(whole)


def with_dicts(whole: bytes) -> None:
    read = FeedResponse()
    read.ParseFromString(whole)
    MessageToDict(read)


def applying() -> Callable[[bytes], None]:
    """An engine that sees each message once; the messages are made before."""
    keys, engine = Keys(), Engine(["1m", "5m", "15m"])
    for number in range(INSTRUMENTS):
        keys[f"NSE_FO|{40_000 + number}"]
    supply = iter([full_message(1 + number / 10, 1_000 + number) for number in range(3_000)])
    at = iter(range(3_000))

    def apply(_: bytes) -> None:
        engine.apply_upstox(keys.decoder, next(supply), (OPEN + 1) * NS + next(at) * NS // 10)

    return apply


def main() -> int:
    if _core.DEBUG_BUILD:
        print("the installed core is a debug build, its figures mean nothing: make wheel", file=sys.stderr)
        return 2
    whole = full_message(1, 1_000)
    contenders: dict[str, tuple[Callable[[bytes], Any], int]] = {
        "tickloom, decode every field": (parse_upstox, 0),
        "tickloom, decode and aggregate, 3 intervals": (applying(), 150),
        "tickloom, decode to dicts": (lambda data: parse_upstox(data).to_dicts(), 0),
        "protobuf, FromString": (with_protobuf, 0),
        "protobuf, FromString and MessageToDict": (with_dicts, 0),
    }
    best = dict.fromkeys(contenders, float("inf"))
    for _ in range(ROUNDS):
        for name, (read, count) in contenders.items():
            done, start = 0, time.perf_counter()
            while (done < count) if count else (time.perf_counter() - start < ROUND_SECONDS):
                read(whole)
                done += 1
            best[name] = min(best[name], (time.perf_counter() - start) / done / INSTRUMENTS * 1e9)
    print(f"one message of {INSTRUMENTS} instruments, {len(whole) / INSTRUMENTS:.0f} bytes each; ns an instrument")
    for name, spent in best.items():
        print(f"{name:45} {spent:10.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
