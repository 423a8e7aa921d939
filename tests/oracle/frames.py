"""Oracle, stage wire: packets written and read field by field with struct (kite-protocol section 4)."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

from tests.oracle.sessions import SECOND


@dataclass(frozen=True)
class Packet:
    """One packet's fields in the units of the wire; stamps in nanoseconds, 0 for none.

    `volume` is None when the packet has no such field, and so is `oi`. `quantity` and `given` belong to pushed ticks.
    """

    token: int
    price: int
    volume: int | None = None
    average: int = 0
    open: int = 0
    high: int = 0
    low: int = 0
    ltt: int = 0
    ets: int = 0
    oi: int | None = None
    quantity: int | None = None
    given: bool = False
    board_only: bool = False


def full(token: int, price: int, volume: int, ltt: int, ets: int, **rest: int) -> bytes:
    """A packet of 184 bytes. Stamps in nanoseconds are written as whole seconds."""
    f = {"quantity": 1, "average": 0, "open": 0, "high": 0, "low": 0, "close": 0, "oi": 0} | rest
    head = (token, price, f["quantity"], f["average"], volume, 0, 0, f["open"], f["high"], f["low"], f["close"])
    tail = (ltt // SECOND, f["oi"], f["oi"], f["oi"], ets // SECOND)
    return struct.pack(">16I", *head, *tail) + bytes(120)


def quote(token: int, price: int, volume: int, **rest: int) -> bytes:
    """A packet of 44 bytes."""
    return full(token, price, volume, 0, 0, **rest)[:44]


def ltp(token: int, price: int) -> bytes:
    """A packet of 8 bytes."""
    return struct.pack(">2I", token, price)


def index(token: int, price: int, ets: int | None = None, *, high: int = 0, low: int = 0, open_: int = 0) -> bytes:
    """An index packet of 28 bytes, or 32 with the exchange stamp."""
    body = struct.pack(">6Ii", token, price, high, low, open_, 0, 0)
    return body if ets is None else body + struct.pack(">I", ets // SECOND)


def frame(*packets: bytes) -> bytes:
    """One binary frame."""
    return struct.pack(">H", len(packets)) + b"".join(struct.pack(">H", len(body)) + body for body in packets)


def read(data: bytes) -> list[Packet]:
    """The packets of a frame that are whole and of a known length, in order."""
    packets, offset = [], 2
    for _ in range(int.from_bytes(data[:2]) if len(data) >= 2 else 0):
        if offset + 2 > len(data):
            break
        size = int.from_bytes(data[offset : offset + 2])
        body = data[offset + 2 : offset + 2 + size]
        if len(body) < size:
            break
        offset += 2 + size
        if size in {8, 12, 28, 32, 44, 184, 492}:
            packets.append(_packet(body))
    return packets


def _packet(body: bytes) -> Packet:
    u32 = [int.from_bytes(body[at : at + 4]) for at in range(0, min(len(body), 64), 4)]
    plain = Packet(u32[0], u32[1])
    match len(body):
        case 8 | 12:
            return plain
        case 28 | 32:
            ets = u32[7] * SECOND if len(body) == 32 else 0
            return replace(plain, high=u32[2], low=u32[3], open=u32[4], ets=ets)
        case 492:
            return replace(plain, ets=u32[2] * SECOND, board_only=True)
    quoted = replace(plain, average=u32[3], volume=u32[4], open=u32[7], high=u32[8], low=u32[9])
    if len(body) == 44:
        return quoted
    return replace(quoted, ltt=u32[11] * SECOND, oi=u32[12], ets=u32[15] * SECOND)
