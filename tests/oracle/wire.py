"""The slow, obvious decoder of kite-protocol §4 and §5: struct, dicts and a division. No cleverness."""

from __future__ import annotations

import math
import struct
from fractions import Fraction
from typing import Any

NAN = math.nan
SECOND = 1_000_000_000

LENGTHS = {8: "ltp", 12: "ltpc", 28: "quote", 32: "full", 44: "quote", 184: "full", 492: "depth20"}
MODES = {"ltp": 1, "ltpc": 2, "quote": 3, "full": 4, "depth20": 5}
DIVISORS = {3: 10_000_000, 6: 10_000, 12: 10_000}
TRADABLE, INDEX = 1, 2
INDICES = 9


def packets(frame: bytes) -> list[bytes]:
    """The whole packets of a frame, up to the cut if there is one."""
    if len(frame) < 2:
        return []
    (count,) = struct.unpack_from(">H", frame)
    found, at = [], 2
    for _ in range(count):
        if at + 2 > len(frame):
            break
        (length,) = struct.unpack_from(">H", frame, at)
        body = frame[at + 2 : at + 2 + length]
        if len(body) < length:
            break
        found.append(body)
        at += 2 + length
    return found


def price(raw: int, token: int, divisors: dict[int, int] | None = None) -> float:
    """The rational number raw / divisor, rounded once."""
    divisor = (DIVISORS | (divisors or {})).get(token & 0xFF, 100)
    return float(Fraction(raw, divisor))


def change(last: float, close: float) -> float:
    return (last - close) * 100 / close if close != 0 else 0.0


def row(body: bytes, divisors: dict[int, int] | None = None) -> dict[str, Any] | None:
    """One packet as the row of `TickBatch.array`; None for an unknown length."""
    if len(body) not in LENGTHS:
        return None
    mode = LENGTHS[len(body)]
    words = struct.unpack(f">{len(body) // 4}I", body)
    token = words[0]

    def of(index: int) -> float:
        return price(words[index], token, divisors)

    index = len(body) in (28, 32)
    out: dict[str, Any] = {
        "instrument_token": token,
        "mode": MODES[mode],
        "flags": (TRADABLE if token & 0xFF != INDICES else 0) | (INDEX if index else 0),
        "last_price": of(1),
    }
    if len(body) == 12:
        out |= {"prev_close": of(2), "change": change(of(1), of(2))}
    if index:
        (net,) = struct.unpack_from(">i", body, 24)
        divisor = (DIVISORS | (divisors or {})).get(token & 0xFF, 100)
        out |= {"day_high": of(2), "day_low": of(3), "day_open": of(4), "prev_close": of(5)}
        out |= {"change": change(of(1), of(5)), "net_change": float(Fraction(net, divisor))}
        if len(body) == 32:
            out["exchange_timestamp"] = words[7] * SECOND
    if len(body) in (44, 184):
        out |= {"last_traded_quantity": words[2], "average_traded_price": of(3), "volume_traded": words[4]}
        out |= {"total_buy_quantity": words[5], "total_sell_quantity": words[6]}
        out |= {"day_open": of(7), "day_high": of(8), "day_low": of(9), "prev_close": of(10)}
        out["change"] = change(of(1), of(10))
    if len(body) == 184:
        out |= {"last_trade_time": words[11] * SECOND, "exchange_timestamp": words[15] * SECOND}
        out |= {"oi": words[12], "oi_day_high": words[13], "oi_day_low": words[14]}
        out |= side("bid", body, 64, 5, token, divisors) | side("ask", body, 124, 5, token, divisors)
    if len(body) == 492:
        out["exchange_timestamp"] = words[2] * SECOND
        out |= side("bid", body, 12, 5, token, divisors) | side("ask", body, 252, 5, token, divisors)
    return out


def side(
    name: str, body: bytes, at: int, levels: int, token: int, divisors: dict[int, int] | None = None
) -> dict[str, list[Any]]:
    found = [struct.unpack_from(">IIH", body, at + 12 * level) for level in range(levels)]
    return {
        f"{name}_quantity": [quantity for quantity, _, _ in found],
        f"{name}_price": [price(raw, token, divisors) for _, raw, _ in found],
        f"{name}_orders": [orders for _, _, orders in found],
    }


def depth20(body: bytes, index: int, divisors: dict[int, int] | None = None) -> dict[str, Any]:
    """A 492-byte packet as the row of `TickBatch.depth20`."""
    token, _, stamp = struct.unpack_from(">III", body)
    out: dict[str, Any] = {"instrument_token": token, "row": index, "exchange_timestamp": stamp * SECOND}
    return out | side("bid", body, 12, 20, token, divisors) | side("ask", body, 252, 20, token, divisors)
