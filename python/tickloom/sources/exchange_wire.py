"""The exchange's bytes: packets out of the market's frames, frames for one client, damage (stage sources).

```
market frame ──split──▶ (token, full packet) ──size_in──▶ what a client's mode shows ──join──▶ client's frame
```

A packet of a lesser mode is the beginning of the full one: that is how the wire is laid out. Nothing here knows a
socket or a clock.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    from collections.abc import Container, Iterable, Iterator, Sequence

HEARTBEAT = b"\x00"
MODES = ("ltp", "quote", "full")

INDEX_SEGMENT = 9
_SIZES = {"ltp": 8, "quote": 44, "full": 184}
_INDEX_SIZES = {"ltp": 8, "quote": 28, "full": 32}
_COUNT = struct.Struct(">H")
_HEAD = struct.Struct(">HI")

TEXT_FRAME, BINARY_FRAME, CLOSE_FRAME, PONG_FRAME = 0x1, 0x2, 0x8, 0xA
# The codes that stand for what was seen on the line; they are never sent on it.
UNSENDABLE_CODES = frozenset({1005, 1006, 1015})


def size_in(mode: str, token: int) -> int:
    """How many bytes of the full packet the mode shows."""
    return (_INDEX_SIZES if token & 0xFF == INDEX_SEGMENT else _SIZES)[mode]


def split(frame: bytes) -> Iterator[tuple[int, bytes]]:
    """(token, packet) of every packet that is whole; a cut one at the end is left out."""
    if len(frame) < 2:
        return
    at = 2
    for _ in range(_COUNT.unpack_from(frame)[0]):
        if at + _HEAD.size > len(frame):
            return
        length, token = _HEAD.unpack_from(frame, at)
        at += 2
        if at + length > len(frame):
            return
        yield token, frame[at : at + length]
        at += length


def join(packets: Sequence[bytes]) -> bytes:
    """One binary message of these packets."""
    parts = [_COUNT.pack(len(packets))]
    for packet in packets:
        parts += (_COUNT.pack(len(packet)), packet)
    return b"".join(parts)


def restamp_index(packet: bytes, stamp: int) -> bytes:
    """An index's full packet with another exchange timestamp, in seconds."""
    return packet[:28] + struct.pack(">I", stamp)


def websocket_head(opcode: int, length: int) -> bytes:
    """The head of a server's WebSocket frame that announces `length` bytes (RFC 6455, 5.2; a server masks nothing)."""
    if length < 126:
        return bytes((0x80 | opcode, length))
    if length < 1 << 16:
        return struct.pack(">BBH", 0x80 | opcode, 126, length)
    return struct.pack(">BBQ", 0x80 | opcode, 127, length)


ASKS_TIME = "market_time=1"
"""In the query of a client that wants to be told the market's time, which the real feed does not tell."""
MARKET_TIME = "market_time"


def text(kind: str, data: Any) -> str:
    """A text message of the protocol."""
    return json.dumps({"type": kind, "data": data})


# A text that subscribes 3,000 instruments has some 35,000 bytes.
LONGEST_REQUEST = 1 << 20


class BrokenRules(Exception):
    """A client broke the WebSocket's own rules: `code` is what its connection is closed with."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Pieces:
    """A client's message, which may come in several frames with others between them (RFC 6455, 5.4)."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._begun = False

    def add(self, payload: bytes, *, first: bool, final: bool) -> bytes | None:
        """The message when it is whole, before that None. Raises BrokenRules."""
        if first == self._begun:
            raise BrokenRules(1002, "a message began in another" if self._begun else "a message without a beginning")
        self._parts.append(payload)
        if sum(map(len, self._parts)) > LONGEST_REQUEST:
            raise BrokenRules(1009, f"a message may have {LONGEST_REQUEST} bytes")
        self._begun = not final
        if not final:
            return None
        whole = b"".join(self._parts)
        self._parts.clear()
        return whole


class BadRequest(ValueError):
    """A client's message is none of the protocol. The text says why."""


def tokens_of(value: Any) -> list[int]:
    """The tokens in a client's message; they are numbers there, never text. Raises BadRequest."""
    if not isinstance(value, list):
        raise BadRequest("tokens are not a list")
    for token in value:
        if type(token) is not int or not 0 <= token < 1 << 32:
            raise BadRequest(f"not an instrument token: {str(token)[:40]!r}")
    return value


def request_of(message: str) -> tuple[str, str, list[int]]:
    """(action, mode, tokens) of a client's message; the mode is empty where there is none. Raises BadRequest."""
    try:
        request = json.loads(message)
    except (ValueError, RecursionError):
        raise BadRequest("not a JSON message") from None
    if not isinstance(request, dict):
        raise BadRequest("not a JSON object")
    action, value = request.get("a"), request.get("v")
    if action in {"subscribe", "unsubscribe"}:
        return action, "", tokens_of(value)
    if action == "mode":
        if not isinstance(value, list) or len(value) != 2:
            raise BadRequest("a mode request is [mode, tokens]")
        if value[0] not in MODES:
            raise BadRequest(f"no such mode: {str(value[0])[:40]!r}")
        return "mode", value[0], tokens_of(value[1])
    raise BadRequest(f"no such action: {str(action)[:40]!r}")


def within(tokens: list[int], known: Container[int], room: int) -> tuple[list[int], int]:
    """Those of the tokens for which there is room beside the known ones, and how many are left out."""
    fresh = dict.fromkeys(token for token in tokens if token not in known)
    over = len(fresh) - room
    if over <= 0:
        return tokens, 0
    left_out = set(list(fresh)[-over:])
    return [token for token in tokens if token not in left_out], over


HOSTILE = (
    "not json", "json of no type", "unknown type", "wrong shape", "empty", "short", "cut", "lying count",
    "lying length", "unknown length", "noise",
)  # fmt: skip
"""The kinds of messages that a client must survive: four texts, then binaries."""


def hostile(kind: str, rng: random.Random, packets: Iterable[bytes] = ()) -> str | bytes:
    """A message that keeps the WebSocket's rules and breaks the protocol's. `kind` is one of `HOSTILE`.

    No binary of these holds a whole packet of a known length but `lying count`, which has `packets` and announces
    more, and `cut`, whose last packet stops short.
    """
    whole = list(packets) or [bytes(184)]
    match kind:
        case "not json":
            return rng.choice(['{"type":"order","da', "<html>502</html>", "\x00\ufeff", "null}", "ticks?"])
        case "json of no type":
            return rng.choice(["null", "[]", "7", '"order"', "{}", "[[[[]]]]", "1e999"])
        case "unknown type":
            return text(rng.choice(["app_code", "weather", "", "ORDER"]), {"n": rng.randrange(1_000)})
        case "wrong shape":
            return rng.choice(
                ['{"type":"order"}', '{"type":"error","data":{"a":[1]}}', '{"type":7}', '{"type":["order"],"data":0}']
            )
        case "empty":
            return b""
        case "short":
            return bytes((rng.randrange(1, 256),))
        case "cut":
            frame = join(whole)
            return frame[: rng.randrange(len(frame) - len(whole[-1]), len(frame))]
        case "lying count":
            return _COUNT.pack(min(len(whole) + rng.randrange(1, 60_000), 0xFFFF)) + join(whole)[2:]
        case "lying length":
            return _COUNT.pack(1) + _COUNT.pack(rng.randrange(500, 0xFFFF)) + rng.randbytes(184)
        case "unknown length":
            return join([rng.randbytes(rng.choice([1, 7, 9, 43, 45, 183, 185, 300]))])
        case "noise":
            # The first packet announces more than there is, whatever the rest.
            return _COUNT.pack(0xFFFF) + b"\xff\xff" + rng.randbytes(rng.randrange(1, 400))
    raise ValueError(f"no such kind of hostile message: {kind!r}")
