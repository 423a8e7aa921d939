"""The two ends of the fault matrix for each broker: an exchange that speaks its protocol, and our source on it."""

from __future__ import annotations

import abc
import random
import struct
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from tickloom import Engine
from tickloom.sources import Upstox
from tickloom.sources.exchange import Exchange
from tickloom.sources.exchange_protobuf import BYTES, DOUBLE, VARINT, chunk, double, integer, tag
from tickloom.sources.exchange_upstox_hostile import HOSTILE as UPSTOX_HOSTILE
from tickloom.sources.exchange_upstox_hostile import hostile as upstox_hostile
from tickloom.sources.exchange_upstox_wire import LIVE_FEED, message
from tickloom.sources.exchange_wire import HOSTILE, hostile
from tickloom.ticker import Credentials, Settings, TickerClient

KEY, TOKEN = "canary-key-7131", "canary-token-90210"
# A back-off that does not hide how fast the rest is: the server is there again at once.
FAST = {"backoff_base": 0.2, "backoff_cap": 0.5}
Name = int | str


class Client(abc.ABC):
    """Our end: names are what the broker knows instruments by."""

    ticker: TickerClient
    """The connection, for what it is asked."""

    @abc.abstractmethod
    def subscribe(self, names: list[Any], mode: str) -> None: ...

    @abc.abstractmethod
    async def run(self, sink: Any) -> None: ...

    @abc.abstractmethod
    def apply(self, engine: Engine, frame: bytes, received_ns: int) -> Any:
        """A frame into an engine, as the feed does it."""

    @abc.abstractmethod
    def token(self, name: Any) -> int: ...

    def connected(self) -> bool:
        return self.ticker.connected()

    async def stop(self) -> None:
        await self.ticker.stop()


class Side(abc.ABC):
    """What differs between brokers."""

    modes: tuple[str, ...]
    most: Mapping[str, int]
    """How many instruments of each mode a connection holds at once."""
    hostile_kinds: tuple[str, ...]
    good_mode: str
    """Of `good`'s messages: a client that sees another mode than it wanted asks again, and is told once more."""
    refused: int
    """What a wrong token is answered with."""

    def exchange(self, instruments: int, **options: Any) -> Exchange:
        return Exchange(instruments, broker=self.broker, **options)

    @property
    @abc.abstractmethod
    def broker(self) -> Any: ...

    @abc.abstractmethod
    def names(self, exchange: Exchange) -> list[Any]:
        """What is traded."""

    @abc.abstractmethod
    def made_up(self, number: int) -> Name:
        """A name that nobody trades."""

    @abc.abstractmethod
    def client(self, exchange: Exchange, number: int = 0, provider: Any = None, **settings: Any) -> Client: ...

    @abc.abstractmethod
    def hostile(self, kind: str, rng: random.Random, victim: Any) -> str | bytes: ...

    @abc.abstractmethod
    def good(self, name: Any, number: int, now_ns: int) -> bytes:
        """A good message of one instrument, the so manieth."""


class KiteClient(Client):
    def __init__(self, url: str, number: int, provider: Any, settings: Settings) -> None:
        credentials = Credentials(f"{KEY}-{number}", TOKEN)
        self.ticker = TickerClient(url, credentials=credentials, settings=settings, token_provider=provider)

    def subscribe(self, names: list[Any], mode: str) -> None:
        self.ticker.subscribe(names, mode)

    async def run(self, sink: Any) -> None:
        await self.ticker.run(sink)

    def apply(self, engine: Engine, frame: bytes, received_ns: int) -> Any:
        return engine.apply(frame, received_ns) if len(frame) != 1 else ()

    def token(self, name: Any) -> int:
        return int(name)


class KiteSide(Side):
    modes = ("ltp", "quote", "full")
    most = MappingProxyType(dict.fromkeys(modes, 1_000))
    good_mode = "ltp"
    # Those two hold whole packets.
    hostile_kinds = tuple(kind for kind in HOSTILE if kind not in {"lying count", "cut"})
    refused = 403
    broker = "kite"

    def names(self, exchange: Exchange) -> list[Any]:
        return [each.token for each in exchange.instruments]

    def made_up(self, number: int) -> Name:
        return number << 8 | 1

    def client(self, exchange: Exchange, number: int = 0, provider: Any = None, **settings: Any) -> Client:
        return KiteClient(exchange.url, number, provider, Settings(**{**FAST, **settings}))

    def hostile(self, kind: str, rng: random.Random, victim: Any) -> str | bytes:  # noqa: ARG002 - none has a token
        return hostile(kind, rng)

    def good(self, name: Any, number: int, now_ns: int) -> bytes:  # noqa: ARG002 - a last price has neither
        return struct.pack(">HHII", 1, 8, name, 100_00)


class UpstoxClient(Client):
    def __init__(self, url: str, provider: Any, settings: Settings) -> None:
        self.source = Upstox(TOKEN, url=url, settings=settings, token_provider=provider)
        self.ticker = self.source._client

    def subscribe(self, names: list[Any], mode: str) -> None:
        self.source.subscribe([self.source.keys[name] for name in names], mode)

    async def run(self, sink: Any) -> None:
        await self.source.run(sink)

    def apply(self, engine: Engine, frame: bytes, received_ns: int) -> Any:
        return engine.apply_upstox(self.source.decoder, frame, received_ns)

    def token(self, name: Any) -> int:
        return self.source.keys[name]


class UpstoxSide(Side):
    modes = ("ltpc", "option_greeks", "full")
    # What the limits beside other modes come to, as far as they fit on one connection.
    most = MappingProxyType({"ltpc": 2_000, "option_greeks": 1_500, "full": 1_500})
    hostile_kinds = UPSTOX_HOSTILE
    good_mode = "full"
    refused = 401
    broker = "upstox"

    def names(self, exchange: Exchange) -> list[Any]:
        return list(exchange.keys.values())

    def made_up(self, number: int) -> Name:
        return f"NSE_FO|{number}"

    def client(self, exchange: Exchange, number: int = 0, provider: Any = None, **settings: Any) -> Client:  # noqa: ARG002 - a token is all that there is
        return UpstoxClient(exchange.url, provider, Settings(**{**FAST, "max_tokens": 5_000, **settings}))

    def hostile(self, kind: str, rng: random.Random, victim: Any) -> str | bytes:
        return upstox_hostile(kind, rng, victim)

    def good(self, name: Any, number: int, now_ns: int) -> bytes:
        now_ms = now_ns // 1_000_000
        last = double(tag(1, DOUBLE), 100.05) + integer(tag(2, VARINT), now_ms) + integer(tag(3, VARINT), 1)
        market = chunk(tag(1, BYTES), last) + integer(tag(6, VARINT), number)
        feed = chunk(tag(2, BYTES), chunk(tag(1, BYTES), market)) + integer(tag(4, VARINT), 1)
        return message(LIVE_FEED, now_ms, {str(name).encode(): feed})


SIDES: dict[str, Callable[[], Side]] = {"kite": KiteSide, "upstox": UpstoxSide}
