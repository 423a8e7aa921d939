"""Messages of Upstox's protocol that a client must survive: cut, lying, odd (stage sources, pure)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from tickloom.sources import exchange_upstox_wire as wire
from tickloom.sources.exchange_protobuf import BYTES, DOUBLE, VARINT, chunk, integer, tag, varint

if TYPE_CHECKING:
    import random

__all__ = ["HOSTILE", "hostile"]

HOSTILE = (
    "text", "json text", "empty", "cut", "wrong wire types", "huge length", "lying length", "endless number", "group",
    "unknown fields", "unknown enums", "odd prices", "odd counts", "odd stamps", "no key", "noise",
)  # fmt: skip
"""The kinds of messages that a client must survive: two texts, then binaries."""

NOBODY = "NSE_EQ|NOBODY"
# Prices that are none, or none that an instrument ever had.
_ODD = (float("nan"), float("inf"), float("-inf"), -1.0, -0.0, 1e300, 5e-324)
_BIG = (-1, -(1 << 63), (1 << 63) - 1, 1 << 53, 1 << 32)


def _feed(last: bytes, rest: bytes = b"") -> bytes:
    """A full feed around these fields."""
    return chunk(tag(2, BYTES), chunk(tag(1, BYTES), chunk(tag(1, BYTES), last) + rest)) + integer(tag(4, VARINT), 1)


def _price(rng: random.Random) -> bytes:
    """A last price that is none; zero and its like are written too."""
    return tag(1, DOUBLE) + struct.pack("<d", rng.choice(_ODD))


def _unknown(rng: random.Random) -> bytes:
    number = rng.choice((15, 16, 2_000, (1 << 29) - 1))
    kind = rng.choice((VARINT, DOUBLE, BYTES, 5))
    body = {VARINT: varint(rng.randrange(1 << 63)), DOUBLE: rng.randbytes(8), 5: rng.randbytes(4)}
    return tag(number, kind) + body.get(kind, b"\x07" + rng.randbytes(7))


def hostile(kind: str, rng: random.Random, key: str = NOBODY) -> str | bytes:
    """A message that keeps the WebSocket's rules and breaks the protocol's. `kind` is one of `HOSTILE`, `key` whom it
    speaks of."""
    name = key.encode()

    def of(feed: bytes, now_ms: int = 0) -> bytes:
        return wire.message(wire.LIVE_FEED, now_ms, {name: feed})

    match kind:
        case "text":
            return rng.choice(["<html>502</html>", "null}", "\x00\ufeff", "ticks?", ""])
        case "json text":
            return rng.choice(['{"type":"error","data":{"a":[1]}}', "[]", "7", '{"feeds":{}}', '{"type":7,"data":0}'])
        case "empty":
            return b""
        case "cut":
            whole = of(_feed(_price(rng)))
            return whole[: rng.randrange(1, len(whole))]
        case "wrong wire types":
            # A count where a message should be, a double for the time, a string for the type.
            return rng.choice((
                tag(2, VARINT) + varint(rng.randrange(1 << 40)),
                tag(3, DOUBLE) + rng.randbytes(8) + of(_feed(b"")),
                chunk(tag(1, BYTES), rng.randbytes(9)),
                of(tag(2, VARINT) + b"\x05" + chunk(tag(4, BYTES), b"full")),
                of(_feed(chunk(tag(1, BYTES), b"100.05"))),
            ))  # fmt: skip
        case "huge length":
            return tag(2, BYTES) + varint(rng.choice((1 << 31, (1 << 63) - 1, (1 << 64) - 1))) + rng.randbytes(60)
        case "lying length":
            # The feed announces more than its entry has; the message itself is whole.
            entry = chunk(tag(1, BYTES), name) + tag(2, BYTES) + varint(rng.randrange(50, 9_000)) + rng.randbytes(20)
            return integer(tag(1, VARINT), 1) + chunk(tag(2, BYTES), entry)
        case "endless number":
            return tag(3, VARINT) + b"\xff" * rng.randrange(10, 40)
        case "group":
            return of(_feed(b"")) + tag(rng.choice((2, 9)), rng.choice((3, 4, 6, 7)))
        case "unknown fields":
            return _unknown(rng) + of(_unknown(rng)) + _unknown(rng)
        case "unknown enums":
            status = {"NSE_EQ_X": rng.randrange(6, 1 << 31)}
            return wire.message(rng.randrange(3, 1 << 31), 0, {name: integer(tag(4, VARINT), 99)}, status)
        case "odd prices":
            return of(_feed(_price(rng)))
        case "odd counts":
            count = varint(rng.choice(_BIG))
            return of(_feed(tag(3, VARINT) + count, tag(6, VARINT) + count + tag(7, DOUBLE) + rng.randbytes(8)))
        case "odd stamps":
            stamp = rng.choice(_BIG)
            return of(_feed(integer(tag(2, VARINT), stamp)), stamp)
        case "no key":
            return integer(tag(1, VARINT), 1) + chunk(tag(2, BYTES), chunk(tag(2, BYTES), _feed(_price(rng))))
        case "noise":
            return rng.randbytes(rng.randrange(1, 400))
    raise ValueError(f"no such kind of hostile message: {kind!r}")
