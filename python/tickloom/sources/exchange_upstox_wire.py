"""The exchange's messages in Upstox's protocol, out of the market's packets (stage sources, pure).

```
full packet of Kite's ──Shapes.parts──▶ submessages and counts ──Shapes.feed──▶ Feed ──message──▶ FeedResponse
```

docs/upstox.md. Submessages that did not change since they were told are left out, as the real feed may do.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

from tickloom.sources.exchange_protobuf import BYTES, DOUBLE, VARINT, chunk, double, integer, tag, varint
from tickloom.sources.exchange_wire import INDEX_SEGMENT, BadRequest
from tickloom.sources.upstox_wire import MODES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tickloom.sources.exchange_minutes import Minute

__all__ = ["INITIAL_FEED", "LIVE_FEED", "MARKET_INFO", "Shapes", "message", "request_of", "view"]

INITIAL_FEED, LIVE_FEED, MARKET_INFO = 0, 1, 2
REQUEST_MODES = {"ltpc": 0, "full": 1, "option_greeks": 2, "full_d30": 3}

_PACKET = struct.Struct(">4x15I")
_INDEX = struct.Struct(">4x7I")
_LEVELS = struct.Struct(">" + "II4x" * 10)
_DAY_S, _IST_S = 86_400, 19_800

# Tags of the schema's fields, by the names of their messages.
_V1, _V2, _V3, _V4, _V6, _V7 = (tag(number, VARINT) for number in (1, 2, 3, 4, 6, 7))
_D1, _D2, _D3, _D4, _D5 = (tag(number, DOUBLE) for number in (1, 2, 3, 4, 5))
_D7, _D9, _D10 = (tag(number, DOUBLE) for number in (7, 9, 10))
_B1, _B2, _B3, _B4 = (tag(number, BYTES) for number in (1, 2, 3, 4))


def _ltpc(price: float, traded_ms: int, quantity: int, close: float) -> bytes:
    return double(_D1, price) + integer(_V2, traded_ms) + integer(_V3, quantity) + double(_D4, close)


def _candle(interval: bytes, prices: tuple[float, ...], volume: int, start_ms: int) -> bytes:
    first, high, low, last = prices
    fields = chunk(_B1, interval) + double(_D2, first) + double(_D3, high) + double(_D4, low) + double(_D5, last)
    return chunk(_B1, fields + integer(_V6, volume) + integer(_V7, start_ms))


def _quotes(packet: bytes, divisor: int) -> list[bytes]:
    """Five levels; of what the broker calls thirty the market has five."""
    sides = _LEVELS.unpack_from(packet, 64)
    return [
        integer(_V1, sides[at])
        + double(_D2, sides[at + 1] / divisor)
        + integer(_V3, sides[at + 10])
        + double(_D4, sides[at + 11] / divisor)
        for at in range(0, 10, 2)
    ]


def _candles(day: tuple[int, ...], volume: int, stamp: int, minutes: Iterable[Minute], divisor: int) -> bytes:
    """The day's candle, the minute before, the running one."""
    if not stamp:
        return b""
    midnight = stamp - (stamp + _IST_S) % _DAY_S
    made = _candle(b"1d", tuple(price / divisor for price in day), volume, midnight * 1000)
    for one in minutes:
        prices = tuple(price / divisor for price in (one.open, one.high, one.low, one.close))
        made += _candle(b"I1", prices, one.volume, one.start * 1000)
    return made


class Shapes:
    """A feed of each mode, from one instrument's full packet; `before` is what `parts` gave when it was last told."""

    @staticmethod
    def parts(token: int, packet: bytes, mode: str, divisor: int, minutes: Iterable[Minute]) -> tuple[bytes, ...]:
        """The submessages of a feed in this mode, each with its tag, and then the counts, which are always told."""
        if token & 0xFF == INDEX_SEGMENT:
            price, high, low, first, close, _, stamp = _INDEX.unpack_from(packet)
            last = chunk(_B1, _ltpc(price / divisor, stamp * 1000, 0, close / divisor))
            if mode not in {"full", "full_d30"}:
                return last, b""
            return last, chunk(_B2, _candles((first, high, low, price), 0, stamp, minutes, divisor)), b""
        (price, quantity, average, volume, buying, selling, first, high, low, close, stamp, oi, _, _, _) = (
            _PACKET.unpack_from(packet)
        )
        last = chunk(_B1, _ltpc(price / divisor, stamp * 1000, quantity, close / divisor))
        if mode == "ltpc":
            return last, b""
        quotes = _quotes(packet, divisor)
        if mode == "option_greeks":
            return last, chunk(_B2, quotes[0]), integer(_V4, volume) + double(_D5, oi)
        depth = chunk(_B2, b"".join(chunk(_B1, quote) for quote in quotes))
        candles = chunk(_B4, _candles((first, high, low, price), volume, stamp, minutes, divisor))
        counts = double(_D5, average / divisor) + integer(_V6, volume) + double(_D7, oi)
        return last, depth, candles, counts + double(_D9, buying) + double(_D10, selling)

    @staticmethod
    def feed(token: int, mode: str, parts: tuple[bytes, ...], before: tuple[bytes, ...] | None) -> bytes:
        """The feed, without the submessages that are as they were."""
        old = before if before is not None and len(before) == len(parts) else (b"",) * len(parts)
        told = b"".join(part for part, known in zip(parts[:-1], old, strict=False) if part != known) + parts[-1]
        number = integer(_V4, REQUEST_MODES[mode])
        match mode:
            case "ltpc":
                # A feed's own last price is not nested in another shape.
                return (told or parts[0]) + number
            case "option_greeks":
                return chunk(_B3, told) + number
            case _:
                return chunk(_B2, chunk(_B2 if token & 0xFF == INDEX_SEGMENT else _B1, told)) + number


def view(token: int, packet: bytes, mode: str) -> bytes:
    """The bytes of a full packet that the mode shows: nothing is sent while they are the same."""
    if mode in {"full", "full_d30"}:
        return packet
    if token & 0xFF == INDEX_SEGMENT:
        return packet[4:8] + packet[20:24] + packet[28:32]
    last = packet[4:12] + packet[40:48]
    return last if mode == "ltpc" else last + packet[16:20] + packet[48:52] + packet[64:72] + packet[124:132]


def message(kind: int, now_ms: int, feeds: Mapping[bytes, bytes], statuses: Mapping[str, int] | None = None) -> bytes:
    """One message; `feeds` by instrument key, `statuses` by segment."""
    parts = [integer(_V1, kind)]
    parts += [chunk(_B2, chunk(_B1, key) + chunk(_B2, feed)) for key, feed in feeds.items()]
    parts.append(integer(_V3, now_ms))
    if statuses:
        # A map's value is written even if it is zero.
        entries = (chunk(_B1, name.encode()) + _V2 + varint(status) for name, status in statuses.items())
        parts.append(chunk(_B4, b"".join(chunk(_B1, entry) for entry in entries)))
    return b"".join(parts)


def request_of(text: bytes) -> tuple[str, str, list[str]]:
    """(method, mode, keys) of a client's message; the mode is ltpc where there is none. Raises BadRequest."""
    try:
        request: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise BadRequest("not a JSON message") from None
    data = request.get("data") if isinstance(request, dict) else None
    if not isinstance(data, dict):
        raise BadRequest("not an object with data")
    method, mode, keys = request.get("method"), data.get("mode", "ltpc"), data.get("instrumentKeys")
    if method not in {"sub", "unsub", "change_mode"}:
        raise BadRequest(f"no such method: {str(method)[:40]!r}")
    if mode not in MODES:
        raise BadRequest(f"no such mode: {str(mode)[:40]!r}")
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise BadRequest("instrumentKeys are not a list of strings")
    return method, mode, keys
