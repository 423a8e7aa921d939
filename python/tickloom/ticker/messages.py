"""What is said on the wire besides ticks: the texts both ways, and the events of a connection (stage ticker, pure).

kite-protocol.md §2 and §3. Binary frames are the core's; here only the lengths of their packets are read, because a
length tells the mode in which the server streams an instrument.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = [
    "MODES", "MODE_OF_LENGTH", "ConnectionEvent", "TextMessage", "chunks", "packets", "parse_text", "set_mode",
    "subscribe", "unsubscribe",
]  # fmt: skip

MODES = ("ltp", "quote", "full")

MODE_OF_LENGTH = {8: "ltp", 12: "ltp", 28: "quote", 32: "full", 44: "quote", 184: "full", 492: "full"}
"""The mode that a packet of this many bytes is sent in (§4). Other lengths say nothing."""

State = Literal["connecting", "connected", "disconnected", "waiting", "stopped", "authentication_failed", "stale"]


@dataclass(frozen=True, slots=True)
class ConnectionEvent:
    """What became of a connection.

    `state` is one of: connecting, connected, disconnected, waiting (for `retry_in` seconds), stopped,
    authentication_failed (nothing happens until there is a new token), stale (no tick while the market is open).
    """

    state: State
    connection: int
    """Which connection of the account, from 0."""
    time_ns: int
    """UTC nanoseconds."""
    attempt: int = 0
    """Attempts to connect since the last success."""
    code: int | None = None
    """The WebSocket's close code, or the HTTP status of a refused upgrade."""
    reason: str = ""
    """For people. Never holds a secret."""
    retry_in: float | None = None
    """Seconds until the next attempt."""


@dataclass(frozen=True, slots=True)
class TextMessage:
    """A text of the server. `data` is the order, the error's or message's text, or whatever an unknown text holds."""

    kind: Literal["order", "error", "message", "unknown"]
    data: Any


def subscribe(tokens: Iterable[int]) -> str:
    """The text that subscribes; the server then streams in quote mode until it is told another."""
    return _text({"a": "subscribe", "v": list(tokens)})


def unsubscribe(tokens: Iterable[int]) -> str:
    """The text that unsubscribes."""
    return _text({"a": "unsubscribe", "v": list(tokens)})


def set_mode(mode: str, tokens: Iterable[int]) -> str:
    """The text that changes the mode of subscribed tokens. Raises ValueError for a mode that there is not."""
    if mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}: {mode!r}")
    return _text({"a": "mode", "v": [mode, list(tokens)]})


def _text(message: dict[str, Any]) -> str:
    return json.dumps(message, separators=(",", ":"))


def parse_text(text: str) -> TextMessage:
    """Read a text of the server. Never raises: what is not understood is of kind ``unknown``."""
    try:
        message = json.loads(text)
    # A deeply nested text exhausts the parser's stack: hostile, but no reason to lose the connection.
    except (ValueError, RecursionError):
        return TextMessage("unknown", text)
    if isinstance(message, dict) and "data" in message:
        match message.get("type"), message["data"]:
            case "order", dict() as order:
                return TextMessage("order", order)
            case "error", data:
                return TextMessage("error", data)
            case "message", data:
                return TextMessage("message", data)
    return TextMessage("unknown", message)


def chunks(tokens: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """The tokens in runs of at most `size`."""
    for start in range(0, len(tokens), size):
        yield tokens[start : start + size]


def packets(frame: bytes) -> Iterator[tuple[int, int]]:
    """(length, token) of each whole packet of a frame, in its order. A frame that is cut ends early; never raises."""
    size = len(frame)
    if size < 4:
        return
    count, length = struct.unpack_from(">HH", frame)
    # Frames of one mode are the rule, and struct walks them many times faster than a loop does.
    if length >= 4 and size == 2 + count * (2 + length):
        rows = list(struct.iter_unpack(f">HI{length - 4}x", memoryview(frame)[2:]))
        if all(row[0] == length for row in rows):
            yield from rows
            return
    offset = 2
    for _ in range(count):
        if offset + 2 > size:
            return
        (length,) = struct.unpack_from(">H", frame, offset)
        if offset + 2 + length > size:
            return
        if length >= 4:
            yield length, struct.unpack_from(">I", frame, offset + 2)[0]
        offset += 2 + length
