"""What tickloom is measured against: numpy as well as it can be made to decode, and the bars a competent user writes.

Each is written to be fast. A contender that loses for being clumsy would say nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benches.frames import PACKET

DIVISORS = np.full(256, 100.0)
DIVISORS[[3, 6, 12]] = 1e7, 1e4, 1e4

NATIVE_LEVEL = [("quantity", "u4"), ("price", "f8"), ("orders", "u2")]
PRICES = ("last_price", "average_price", "open", "high", "low", "close")
TIMES = ("last_trade_time", "exchange_timestamp")
COUNTS = (
    "last_quantity", "volume", "buy_quantity", "sell_quantity", "oi", "oi_day_high", "oi_day_low",
)  # fmt: skip
NATIVE = np.dtype(
    [("token", "u4")]
    + [(name, "f8") for name in PRICES]
    + [(name, "i8") for name in TIMES]
    + [(name, "u4") for name in COUNTS]
    + [("bids", NATIVE_LEVEL, 5), ("asks", NATIVE_LEVEL, 5)]
)


def numpy_fields(frame: bytes) -> np.ndarray:
    """The obvious way: a big-endian structured view, field by field into a native structured array."""
    view = np.frombuffer(frame, PACKET, offset=2)
    if (view["length"] != 184).any():
        raise ValueError("mixed lengths")
    divisor = DIVISORS[view["token"] & 0xFF]
    out = np.empty(len(view), NATIVE)
    out["token"] = view["token"]
    for name in PRICES:
        np.divide(view[name], divisor, out=out[name])
    for name in TIMES:
        np.multiply(view[name], 1_000_000_000, out=out[name], dtype=np.int64)
    for name in COUNTS:
        out[name] = view[name]
    for side in ("bids", "asks"):
        out[side]["quantity"] = view[side]["quantity"]
        np.divide(view[side]["price"], divisor[:, None], out=out[side]["price"])
        out[side]["orders"] = view[side]["orders"]
    return out


PACKET_WORDS = 46
NATIVE_WORD = np.dtype(np.uint32)
SECOND_NS = np.int64(1_000_000_000)
LENGTH_HIGH, LENGTH_LOW = b"\0", b"\xb8"


def _packets(frame: bytes) -> int:
    """The number of packets, all of them full ones. Comparing slices of bytes beats a numpy reduction."""
    count = (len(frame) - 2) // 186
    if frame[2::186] != LENGTH_HIGH * count or frame[3::186] != LENGTH_LOW * count:
        raise ValueError("mixed lengths")
    return count


def _divisor(frame: bytes, count: int) -> Any:
    """One number when all tokens are of one segment, which is the usual frame; else one a packet."""
    segments = frame[7::186]
    first = segments[:1]
    if segments == first * count:
        return DIVISORS[first[0]]
    return DIVISORS.take(np.frombuffer(segments, np.uint8))


def numpy_columns(frame: bytes) -> tuple[np.ndarray, ...]:
    """The frame as 46 columns of words, swapped in one pass; only the columns that hold prices are divided."""
    count = _packets(frame)
    words = np.ndarray((PACKET_WORDS, count), NATIVE_WORD, frame, 4, (4, 186)).byteswap()
    divisor = _divisor(frame, count)
    return words, words[1:11] / divisor, words[17::3] / divisor, words[11:16:4] * SECOND_NS, words[18::3] >> 16


def numpy_whole(frame: bytes) -> tuple[np.ndarray, ...]:
    """As `numpy_columns`, but divides every word, wanted or not: one call less, which pays for small frames."""
    count = _packets(frame)
    words = np.ndarray((PACKET_WORDS, count), NATIVE_WORD, frame, 4, (4, 186)).byteswap()
    prices = words / _divisor(frame, count)
    return words, prices, prices[17::3], words[11:16:4] * SECOND_NS, words[18::3] >> 16


NUMPY_DECODERS = (numpy_fields, numpy_columns, numpy_whole)

INTERVALS = (60, 180, 300, 600, 900, 1800, 3600)
OPEN_OF_DAY = 9 * 3600 + 15 * 60


class PlainCandles:
    """Bars for seven intervals a token from the vendor's tick dicts, one dict a bar."""

    def __init__(self) -> None:
        self.forming: dict[int, list[dict[str, Any]]] = {}
        self.volumes: dict[int, int] = {}
        self.closed: dict[tuple[int, int], list[dict[str, Any]]] = {}

    def on_ticks(self, ticks: list[dict[str, Any]]) -> None:
        """Bucket by exchange timestamp; volume is the difference of the day's cumulative volume."""
        for tick in ticks:
            token = tick["instrument_token"]
            price = tick["last_price"]
            volume = tick["volume_traded"]
            stamp = tick["exchange_timestamp"]
            delta = volume - self.volumes.get(token, volume)
            self.volumes[token] = volume
            if delta <= 0:
                continue
            second = stamp.hour * 3600 + stamp.minute * 60 + stamp.second - OPEN_OF_DAY
            bars = self.forming.get(token)
            if bars is None:
                self.forming[token] = [self._bar(second // size, price, delta) for size in INTERVALS]
                continue
            for index, size in enumerate(INTERVALS):
                bar = bars[index]
                bucket = second // size
                if bar["bucket"] == bucket:
                    if price > bar["high"]:
                        bar["high"] = price
                    elif price < bar["low"]:
                        bar["low"] = price
                    bar["close"] = price
                    bar["volume"] += delta
                    bar["value"] += price * delta
                else:
                    self.closed.setdefault((token, size), []).append(bar)
                    bars[index] = self._bar(bucket, price, delta)

    @staticmethod
    def _bar(bucket: int, price: float, delta: int) -> dict[str, Any]:
        return {
            "bucket": bucket, "open": price, "high": price, "low": price, "close": price,
            "volume": delta, "value": price * delta,
        }  # fmt: skip
