"""Frames for the benchmarks: a made-up market with the shape of a real one, vectorised so that it is never in the way.

Every instrument ticks about once a second in full mode (184 bytes), in an order that changes every second. About
40 % of the ticks carry a trade; the cumulative volume, the last trade time and the exchange timestamp advance as they
do on the wire, so that no frame is a duplicate of an earlier one. The first second is the cached tick of 09:14:59 with
volume 0: every bar afterwards is complete.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np

NS = 1_000_000_000
# 2026-07-01 09:15:00 IST, a Wednesday.
SESSION_OPEN = 1_782_877_500
# Arrival lags the exchange stamp by a little less than a second.
LAG_NS = 920_000_000

LEVEL = [("quantity", ">u4"), ("price", ">u4"), ("orders", ">u2"), ("padding", ">u2")]
PACKET = np.dtype(
    [("length", ">u2")]
    + [
        (name, ">u4")
        for name in (
            "token", "last_price", "last_quantity", "average_price", "volume", "buy_quantity", "sell_quantity",
            "open", "high", "low", "close", "last_trade_time", "oi", "oi_day_high", "oi_day_low", "exchange_timestamp",
        )
    ]
    + [("bids", LEVEL, 5), ("asks", LEVEL, 5)]
)  # fmt: skip
assert PACKET.itemsize == 186


def tokens_of(instruments: int) -> np.ndarray:
    """Spread over the exchange-token range as real ones are; the low byte is the segment NSE."""
    spread = np.linspace(1, 65_000, instruments).astype(np.uint32)
    return (spread << 8) | 1


class Frames:
    """A seeded stream: `second()` gives the frames of the next simulated second."""

    def __init__(self, instruments: int, packets_per_frame: int = 200, seed: int = 1, step: int = 1) -> None:
        self.random = np.random.default_rng(seed)
        self.instruments = instruments
        self.packets_per_frame = packets_per_frame
        self.step = step
        self.traded_share = 0.4
        self.now = SESSION_OPEN - 1
        self.tokens = tokens_of(instruments)
        price = self.random.integers(5_000, 500_000, instruments) // 5 * 5
        self.price = price.astype(np.int64)
        self.volume = np.zeros(instruments, np.int64)
        self.value = np.zeros(instruments, np.int64)
        rows = np.zeros(instruments, PACKET)
        rows["length"] = 184
        rows["token"] = self.tokens
        rows["close"] = price
        rows["average_price"] = rows["last_price"] = price
        rows["bids"]["orders"] = self.random.integers(1, 40, (instruments, 5))
        rows["asks"]["orders"] = self.random.integers(1, 40, (instruments, 5))
        self.rows = rows

    def second(self) -> list[bytes]:
        """The next `step` seconds as frames, one packet an instrument, then the clock moves on."""
        if self.now >= SESSION_OPEN:
            self._trade()
        self.rows["exchange_timestamp"] = self.now
        self._quote()
        shuffled = self.rows[self.random.permutation(self.instruments)]
        self.now += self.step
        size = self.packets_per_frame
        return [
            struct.pack(">H", len(chunk)) + chunk.tobytes()
            for chunk in (shuffled[at : at + size] for at in range(0, self.instruments, size))
        ]

    def seconds(self, count: int) -> Iterator[tuple[int, list[bytes]]]:
        """`count` times (received_ns, frames)."""
        for _ in range(count):
            received = self.now * NS + LAG_NS
            yield received, self.second()

    def _trade(self) -> None:
        rows, random = self.rows, self.random
        traded = np.flatnonzero(random.random(self.instruments) < self.traded_share)
        price = np.maximum(self.price[traded] + random.integers(-3, 4, traded.size) * 5, 100)
        quantity = random.integers(1, 200, traded.size)
        self.price[traded] = price
        self.volume[traded] += quantity
        self.value[traded] += quantity * price
        rows["last_price"][traded] = price
        rows["last_quantity"][traded] = quantity
        rows["volume"][traded] = self.volume[traded]
        rows["average_price"][traded] = self.value[traded] // self.volume[traded]
        rows["last_trade_time"][traded] = self.now
        first = rows["open"][traded] == 0
        rows["open"][traded[first]] = price[first]
        rows["low"][traded[first]] = price[first]
        rows["high"][traded] = np.maximum(rows["high"][traded].astype(np.int64), price)
        rows["low"][traded] = np.minimum(rows["low"][traded].astype(np.int64), price)

    def _quote(self) -> None:
        rows, random = self.rows, self.random
        away = np.arange(1, 6) * 5
        rows["bids"]["price"] = np.maximum(self.price[:, None] - away, 5)
        rows["asks"]["price"] = self.price[:, None] + away
        rows["bids"]["quantity"] = random.integers(1, 5_000, (self.instruments, 5))
        rows["asks"]["quantity"] = random.integers(1, 5_000, (self.instruments, 5))
        rows["buy_quantity"] = random.integers(1_000, 500_000, self.instruments)
        rows["sell_quantity"] = random.integers(1_000, 500_000, self.instruments)
