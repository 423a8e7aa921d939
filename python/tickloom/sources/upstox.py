"""Upstox: the broker's live feed as a source (stage sources)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tickloom._core import UpstoxDecoder, parse_upstox
from tickloom.errors import DecodeError, SubscriptionLimit
from tickloom.sources.market_time import MarketTime, Timed, asking
from tickloom.sources.tunnel import check_proxy
from tickloom.sources.upstox_login import authorize
from tickloom.sources.upstox_wire import MARKET_INFO, MODES, STATUSES, Keys, Requests
from tickloom.ticker.client import TickerClient
from tickloom.ticker.credentials import Credentials
from tickloom.ticker.settings import Settings

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping, Sequence

    from tickloom.sources.base import Sink
    from tickloom.ticker.account import TokenProvider
    from tickloom.ticker.messages import ConnectionEvent

__all__ = ["LIMITS", "Upstox", "UpstoxDecoder", "parse_upstox"]

URL = "https://api.upstox.com/v3/feed/market-data-feed/authorize"

LIMITS = {"ltpc": (5000, 2000), "option_greeks": (3000, 2000), "full": (2000, 1500), "full_d30": (50, 50)}
"""Instruments in one mode: when it is the only one in use, and beside others. The broker changes them: see `limits`."""

# There is one key to an account, and it is nobody's secret: the token alone opens a connection.
_KEY = "user"


class _Dialect(Requests):
    """How Upstox is spoken to, the address included."""

    def __init__(self, keys: Keys, url: str, proxy: str | None) -> None:
        super().__init__(keys)
        self._url = url
        self._proxy = proxy

    async def address(self, base: str, credentials: Credentials, tls: ssl.SSLContext | None, patience: float) -> str:  # noqa: ARG002 - the broker is asked instead
        """Asks the broker: an address is good for one connection."""
        # Only an address without TLS is asked for its time too: that is no broker's.
        return asking(await authorize(self._url, credentials.access_token, tls, patience, self._proxy))


class Upstox:
    """Upstox's market data feed, version 3 (docs/upstox.md).

    Instruments are subscribed by key, ``feed.subscribe("NSE_EQ|INE002A01018")``, or by a name that `symbols` maps to
    one; `keys` gives and keeps the tokens that stand for them. Modes are ltpc, option_greeks, full and full_d30; only
    full and full_d30 have all that candles need. `limits` replaces entries of `LIMITS`, `connections` is how many
    the account may have. `token_provider`, `settings` and `ssl_context` are as in `Kite`; a proxy must be an HTTP one.
    Ticks are expected while the broker says that a segment is open, or `market_open` does. `clock` is as in `Kite`: a
    simulated exchange at an ``http://`` `url`, which no broker has, is asked for its time.
    Neither the token nor the address that it buys is shown by any method, repr, log or error. Raises ValueError for
    what cannot be used.
    """

    name = "upstox"
    live = True

    def __init__(
        self,
        access_token: str,
        *,
        url: str = URL,
        symbols: Mapping[str, str] | None = None,
        limits: Mapping[str, tuple[int, int]] | None = None,
        connections: int = 1,
        token_provider: TokenProvider | None = None,
        settings: Settings | None = None,
        ssl_context: ssl.SSLContext | None = None,
        market_open: Callable[[int], bool] | None = None,
        clock: Callable[[], int] | None = None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"https", "http"} or not parts.hostname:
            raise ValueError("the URL must begin with https:// and name a host")
        unknown = set(limits or {}) - set(MODES)
        if unknown:
            raise ValueError(f"limits are for the modes {', '.join(MODES)}: {', '.join(sorted(unknown))}")
        self.limits = LIMITS | dict(limits or {})
        settings = settings if settings is not None else Settings(
            max_tokens=max(alone for alone, _ in self.limits.values()), max_connections=connections
        )  # fmt: skip
        if settings.proxy is not None:
            check_proxy(settings.proxy)
        self.keys = Keys(symbols)
        self.symbols = self.keys
        self.decoder = self.keys.decoder
        """What an engine reads the messages with: `Engine.apply_upstox`."""
        # None: nobody is asked.
        self._market_time = MarketTime() if clock is None and parts.scheme == "http" else None
        self.clock: Callable[[], int] = clock or self._market_time or time.time_ns
        """The time at the exchange, ns UTC; 0 until it is known who is there."""
        self.market: dict[str, str] = {}
        """The status of each segment as the broker told it last, such as ``normal_open``; a number if it is unknown."""
        base = parts._replace(scheme="wss" if parts.scheme == "https" else "ws", query="").geturl()
        self._client = TickerClient(
            base,
            credentials=Credentials(_KEY, access_token),
            settings=settings,
            token_provider=token_provider,
            ssl_context=ssl_context,
            market_open=market_open or self._is_open,
            clock=self.clock if self._market_time is None else self._market_time.stamp,
            dialect=_Dialect(self.keys, url, settings.proxy),
        )
        self._wanted: dict[int, str] = {}

    async def run(self, sink: Sink) -> None:
        """Delivers until cancelled. Raises AuthenticationFailed only if `settings` ask for it."""
        if self._market_time is None:
            await self._client.run(_Watching(sink, self))
            return
        timed = Timed(sink, self._market_time)
        try:
            await self._client.run(_Watching(timed, self))
        finally:
            timed.close()

    def subscribe(self, tokens: Sequence[int], mode: str = "full") -> None:
        """Wants these instruments in this mode. Raises ValueError for a mode that is none and a token that no key has,
        SubscriptionLimit for more than the broker streams; then nothing has changed. Threads as in `Source`."""
        if mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}: {mode!r}")
        for token in tokens:
            self.keys.key(token)
        self._check(self._wanted | dict.fromkeys(tokens, mode))
        self._client.subscribe(tokens, mode)
        # Replaced, not changed: any thread may be reading it.
        self._wanted = self._client.subscriptions()

    def unsubscribe(self, tokens: Sequence[int]) -> None:
        """Wants these no longer. Threads as in `Source`."""
        self._client.unsubscribe(tokens)
        self._wanted = self._client.subscriptions()

    def subscriptions(self) -> Mapping[int, str]:
        """The mode of each wanted token."""
        return self._wanted

    def set_access_token(self, access_token: str) -> None:
        """Takes a new access token; during `run` on its loop's thread only."""
        self._client.set_credentials(Credentials(_KEY, access_token))

    def note(self, message: bytes) -> None:
        """Takes the status of the market from a message."""
        try:
            told = parse_upstox(message).market
        except DecodeError:
            return
        known = dict(enumerate(STATUSES))
        self.market = self.market | {segment: known.get(number, str(number)) for segment, number in told.items()}

    def _is_open(self, now_ns: int) -> bool:  # noqa: ARG002 - the broker says it, not the clock
        return "normal_open" in self.market.values()

    def _check(self, wanted: Mapping[int, str]) -> None:
        counts: dict[str, int] = {}
        for mode in wanted.values():
            counts[mode] = counts.get(mode, 0) + 1
        for mode, count in counts.items():
            most = self.limits[mode][len(counts) > 1]
            if count > most:
                others = " beside other modes" if len(counts) > 1 else ""
                raise SubscriptionLimit(f"Upstox streams {most} instruments in mode {mode}{others}: {count}")

    def __repr__(self) -> str:
        return f"<Upstox: {len(self._wanted)} instruments>"


class _Watching:
    """A sink in front of another, which sees what the broker says of the market."""

    def __init__(self, sink: Sink | Timed, source: Upstox) -> None:
        self._frame = sink.on_frame
        self._source = source
        self.on_text = sink.on_text
        self._connection = sink.on_connection

    def on_frame(self, frame: bytes, received_ns: int, connection: int) -> None:
        """A message."""
        if frame.startswith(MARKET_INFO):
            self._source.note(frame)
        self._frame(frame, received_ns, connection)

    def on_connection(self, event: ConnectionEvent) -> None:
        """A change of a connection's state."""
        self._connection(event)
