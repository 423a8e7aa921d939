"""Upstox's protocol at the simulated exchange: an address for a token, then keys, modes and feeds (stage sources).

```
GET …/authorize, Bearer token ──▶ an address, good once ──▶ WebSocket: market_info, initial_feed, live_feed …
```

docs/upstox.md. Runs on the exchange's event loop.
"""

from __future__ import annotations

import json
import logging
import secrets
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from tickloom.sources import exchange_upstox_wire as wire
from tickloom.sources import exchange_wire
from tickloom.sources.exchange_client import Client
from tickloom.sources.exchange_minutes import Minutes
from tickloom.sources.exchange_upstox_hostile import HOSTILE, hostile
from tickloom.sources.upstox_wire import SEGMENTS, STATUSES

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Sequence
    from typing import ClassVar

    from picows import WSUpgradeRequest, WSUpgradeResponseWithListener

    from tickloom.sources.exchange_client import Floor
    from tickloom.sources.exchange_door import Door
    from tickloom.sources.simulator import Market, MarketInstrument

__all__ = ["AUTHORIZE", "UpstoxClient", "UpstoxProtocol"]

AUTHORIZE = "/v3/feed/market-data-feed/authorize"
SOCKET = "/market-data-feeder/v3"
# Addresses that nobody came for are forgotten, or a client that only asks would fill the memory.
MOST_CODES = 10_000

log = logging.getLogger("tickloom.exchange")
_SEGMENT_NAMES = {number: name for name, number in reversed(SEGMENTS.items())}
_STATUS = {word: number for number, word in enumerate(STATUSES)}
_SPOT = frozenset({1, 4, exchange_wire.INDEX_SEGMENT})


def key_of(instrument: MarketInstrument) -> str:
    """The key of a name: contracts by the exchange's number, everything else by what it is called."""
    rest = instrument.symbol if instrument.segment in _SPOT else str(instrument.token >> 8)
    return f"{_SEGMENT_NAMES[instrument.segment]}|{rest}"


class UpstoxProtocol:
    """How Upstox is spoken."""

    schemes: ClassVar[tuple[str, str]] = ("http", "https")
    path: ClassVar[str] = AUTHORIZE
    max_tokens: ClassVar[int] = 5_000
    hostile_kinds: ClassVar[Sequence[str]] = HOSTILE

    def __init__(self, market: Market) -> None:
        self.minutes = Minutes()
        self.tokens: dict[str, int] = {}
        self.keys: dict[int, bytes] = {}
        self.divisors: dict[int, int] = {}
        self.spans: dict[str, tuple[int, int]] = {}
        for one in market.instruments():
            key = key_of(one)
            self.tokens[key], self.keys[one.token] = one.token, key.encode()
            self.divisors[one.token] = market.divisor(one.token)
            segment = key.partition("|")[0]
            opens, closes = self.spans.get(segment, (one.session_open_ns, one.session_close_ns))
            self.spans[segment] = (min(opens, one.session_open_ns), max(closes, one.session_close_ns))
        self._codes: dict[str, str] = {}

    def admit(self, request: WSUpgradeRequest, door: Door) -> WSUpgradeResponseWithListener | Client:
        """A token buys an address, an address one connection."""
        parts = urlsplit(request.path.decode("latin-1"))
        query = parse_qs(parts.query)
        if parts.path == SOCKET:
            token = self._codes.pop(query.get("code", [""])[0], None)
            if token is None:
                return door.knock() or door.refuse(403)
            return door.let_in(UpstoxClient, token, query)
        if (refused := door.knock()) is not None:
            return refused
        if parts.path != AUTHORIZE:
            return door.refuse(404)
        word, _, token = request.headers.get("Authorization", "").partition(" ")
        known = door.rules.tokens
        if word != "Bearer" or not token or (known is not None and token not in known.values()):
            return door.refuse(401)
        if not door.has_room(token):
            return door.refuse(429)
        while len(self._codes) >= MOST_CODES:
            del self._codes[next(iter(self._codes))]
        code = secrets.token_urlsafe(16)
        self._codes[code] = token
        scheme = "ws" if door.rules.ssl_context is None else "wss"
        address = f"{scheme}://{request.headers.get('Host', '')}{SOCKET}?code={code}"
        answer = {"status": "success", "data": {"authorized_redirect_uri": address}}
        return door.answer(json.dumps(answer).encode(), "application/json")

    def watch(self, packets: Iterable[tuple[int, bytes]]) -> None:
        """The market shows these, whoever wants them."""
        self.minutes.watch(packets)

    def statuses(self, floor: Floor) -> dict[str, int]:
        """The status of each segment, by the market's hours."""
        if not floor.is_trading:
            return dict.fromkeys(self.spans, _STATUS["normal_close" if floor.is_over else "pre_open_end"])
        now, found = floor.clock.told_ns, {}
        for segment, (opens, closes) in self.spans.items():
            # The sessions of later dates are as long as the first.
            is_open = (now - opens) % 86_400_000_000_000 <= closes - opens
            found[segment] = _STATUS["pre_open_start" if now < opens else "normal_open" if is_open else "normal_close"]
        return found

    def hostile(self, kind: str, rng: random.Random) -> str | bytes:
        """A message that breaks the protocol."""
        return hostile(kind, rng)


class UpstoxClient(Client):
    """A client that speaks Upstox's protocol. Its modes are by key."""

    def __init__(self, floor: Floor, number: int, account: str, *, timed: bool) -> None:
        super().__init__(floor, number, account, timed=timed)
        self._protocol: UpstoxProtocol = floor.protocol
        self._wanted: dict[int, str] = {}
        self._told: dict[int, tuple[bytes, ...]] = {}
        self._statuses: dict[str, int] = {}

    def greet(self) -> None:
        """The status of the market comes first."""
        self._tell_status()

    def tell(self) -> None:
        """The market's time for those who asked for it, and its status when it is another."""
        self.tell_time()
        if self._statuses:
            self._tell_status()

    def hear(self, message: bytes, *, binary: bool) -> None:
        """A request. The broker reads no texts, and does not answer what it cannot read."""
        try:
            if not binary:
                raise exchange_wire.BadRequest("not a binary message")
            method, mode, keys = wire.request_of(message)
        except exchange_wire.BadRequest as error:
            log.info("a request was not taken: %s", error)
            return
        tokens = self._protocol.tokens
        if method == "unsub":
            for key in keys:
                self.modes.pop(key, None)
                self._forget(tokens.get(key))
            return
        if method == "sub":
            room = self.floor.max_tokens - len(self.modes)
            keys = list(dict.fromkeys(keys))
            fresh = [key for key in keys if key not in self.modes]
            if len(fresh) > room:
                log.info("instruments beyond the limit of a connection: %d", len(fresh) - room)
                left_out = set(fresh[max(room, 0) :])
                keys = [key for key in keys if key not in left_out]
        else:
            keys = [key for key in keys if key in self.modes]
        for key in keys:
            self.modes[key] = mode
            if (token := tokens.get(key)) is not None:
                # What is told next of it is a snapshot.
                self._forget(token)
                self._wanted[token] = mode
        board = self.floor.board
        self.offer([(token, board[token]) for key in keys if (token := tokens.get(key)) in board and token is not None])
        if method == "sub":
            self.floor.subscribed(self)

    def choose(self, packets: Iterable[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
        """Whole packets, of what has changed in the mode."""
        wanted, shown = self._wanted, self._shown
        chosen: list[tuple[int, bytes]] = []
        for token, packet in packets:
            if (mode := wanted.get(token)) is not None:
                seen = wire.view(token, packet, mode)
                if shown.get(token) != seen:
                    shown[token] = seen
                    chosen.append((token, packet))
        return chosen

    def pack(self, chosen: list[tuple[int, bytes]]) -> Iterable[bytes]:
        """Snapshots of what was not told before, then what is new; a message has one feed an instrument."""
        snapshots: dict[bytes, bytes] = {}
        live: list[dict[bytes, bytes]] = [{}]
        for token, packet in chosen:
            mode, key = self._wanted[token], self._protocol.keys[token]
            minutes = self._protocol.minutes.of(token)
            parts = wire.Shapes.parts(token, packet, mode, self._protocol.divisors[token], minutes)
            before = self._told.get(token)
            self._told[token] = parts
            feed = wire.Shapes.feed(token, mode, parts, before)
            if before is None:
                snapshots[key] = feed
                continue
            if key in live[-1]:
                live.append({})
            live[-1][key] = feed
        now_ms = self.floor.clock.told_ns // 1_000_000
        kinds = [(wire.INITIAL_FEED, snapshots), *((wire.LIVE_FEED, feeds) for feeds in live)]
        return [wire.message(kind, now_ms, feeds) for kind, feeds in kinds if feeds]

    def _forget(self, token: int | None) -> None:
        if token is not None:
            self.forget([token])
            self._wanted.pop(token, None)
            self._told.pop(token, None)

    def _tell_status(self) -> None:
        statuses = self._protocol.statuses(self.floor)
        if statuses != self._statuses and not self.mute and not self.congested:
            self._statuses = statuses
            self.send_binary(wire.message(wire.MARKET_INFO, self.floor.clock.told_ns // 1_000_000, {}, statuses))
