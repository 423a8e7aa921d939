"""Upstox wire: instrument keys, requests, and what a message shows (stage sources, pure).

docs/upstox.md. Requests are JSON in binary messages, instruments are named by keys such as ``NSE_EQ|INE002A01018``.
Everything right of here knows instruments by tokens, so each key gets one; its last byte is the segment, as everywhere.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tickloom._core import UpstoxDecoder, parse_upstox
from tickloom.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["MARKET_INFO", "MODES", "SEGMENTS", "STATUSES", "Keys", "Requests"]

MODES = ("ltpc", "option_greeks", "full", "full_d30")

SEGMENTS = {
    "NSE_EQ": 1, "NSE_FO": 2, "NCD_FO": 3, "BSE_EQ": 4, "BSE_FO": 5, "BCD_FO": 6, "MCX_FO": 7, "NSE_INDEX": 9,
    "BSE_INDEX": 9, "MCX_INDEX": 9, "NSE_COM": 12,
}  # fmt: skip
"""The part of a key before the bar, and the segment that stands for it in a token."""

STATUSES = ("pre_open_start", "pre_open_end", "normal_open", "normal_close", "closing_start", "closing_end")
"""What the numbers of a market status mean; others are not known."""

MARKET_INFO = b"\x08\x02"
"""How a message begins that tells the market's status and has no ticks."""

# A request mode on the wire, and what a shape says where that is missing.
_MODE_OF_NUMBER = {1: "full", 2: "option_greeks", 3: "full_d30"}
_MODE_OF_KIND = {"ltpc": "ltpc", "first_level": "option_greeks"}
# Tokens of an exchange are below this, so that those made up here never meet one.
_MADE_UP = 1 << 23


class Keys(Mapping[str, int]):
    """Instrument keys and their tokens; a key that was never seen gets its token when it is asked for.

    A number behind the bar is the exchange's token, so the instrument has the token that Kite gives it. An ISIN or a
    name gets one of its own, from a checksum of the key; of two keys with the same the later one gets the next that is
    free, so the same keys in the same order have the same tokens.
    """

    def __init__(self, names: Mapping[str, str] | None = None) -> None:
        """`names` maps other names to keys. Raises ValueError for one that maps to no key."""
        self.decoder = UpstoxDecoder()
        self._names = dict(names or {})
        self._tokens: dict[str, int] = {}
        self._keys: dict[int, str] = {}
        for key in self._names.values():
            _segment(key)

    def __getitem__(self, name: str) -> int:
        key = self._names.get(name, name)
        token = self._tokens.get(key)
        if token is None:
            try:
                token = self._free(key)
            except ValueError:
                raise KeyError(name) from None
            self.decoder.track(key, token)
            self._tokens[key] = token
            self._keys[token] = key
        return token

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        try:
            _segment(self._names.get(name, name))
        except ValueError:
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        return iter((*self._tokens, *self._names))

    def __len__(self) -> int:
        return len(self._tokens) + len(self._names)

    def key(self, token: int) -> str:
        """The key that a token stands for. Raises ValueError for a token that was never given."""
        try:
            return self._keys[token]
        except KeyError:
            raise ValueError(
                f"no instrument key is known for this token, subscribe by key such as 'NSE_EQ|INE002A01018': {token}"
            ) from None

    def find(self, key: str) -> int | None:
        """The token of a key that has one."""
        return self._tokens.get(key)

    def _free(self, key: str) -> int:
        segment, rest = _segment(key)
        number = int(rest) if rest.isascii() and rest.isdigit() and len(rest) < 8 else 0
        if not 0 < number < _MADE_UP:
            number = zlib.crc32(key.encode()) % _MADE_UP + _MADE_UP
        while (token := number << 8 | segment) in self._keys:
            number = (number + 1) % _MADE_UP + _MADE_UP
        return token


def _segment(key: str) -> tuple[int, str]:
    name, bar, rest = key.partition("|")
    if not bar or not rest or name not in SEGMENTS:
        raise ValueError(f"an instrument key is a segment, a bar and a name, such as 'NSE_EQ|INE002A01018': {key!r}")
    return SEGMENTS[name], rest


class Requests:
    """The dialect without its address: what is sent, and what a message shows."""

    modes = MODES
    binary = True
    single_use = True
    headers: Mapping[str, str] = {}

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._sent = 0

    def subscribe(self, tokens: Sequence[int], mode: str) -> list[str]:
        """One request."""
        return [self._request("sub", tokens, mode)]

    def set_mode(self, tokens: Sequence[int], mode: str) -> list[str]:
        """One request."""
        return [self._request("change_mode", tokens, mode)]

    def unsubscribe(self, tokens: Sequence[int]) -> list[str]:
        """One request, without a mode, as the broker's own client sends it."""
        return [self._request("unsub", tokens, None)]

    def is_tick(self, frame: bytes) -> bool:
        """The status of the market is a sign of life, not of trade."""
        return not frame.startswith(MARKET_INFO)

    def observe(self, frame: bytes) -> Iterable[tuple[str | None, int]]:
        """The mode that each feed of a message says it is in; None where it says none and its shape does not tell."""
        try:
            feeds = parse_upstox(frame).to_dicts()
        except DecodeError:
            return
        for feed in feeds:
            token = self._keys.find(feed["key"])
            if token is not None:
                mode = _MODE_OF_NUMBER.get(feed.get("requestMode", 0), _MODE_OF_KIND.get(feed["kind"]))
                # An index has neither depth nor Greeks: whatever was asked for, it says less. In mode full captured
                # messages say full_d5; what they say in full_d30 and option_greeks nobody has shown.
                yield None if feed["kind"] == "index" or token & 0xFF == 9 else mode, token

    def _request(self, method: str, tokens: Sequence[int], mode: str | None) -> str:
        self._sent += 1
        data: dict[str, Any] = {} if mode is None else {"mode": mode}
        data["instrumentKeys"] = [self._keys.key(token) for token in tokens]
        request = {"guid": f"tickloom-{self._sent}", "method": method, "data": data}
        return json.dumps(request, separators=(",", ":"))
