"""Kite: the broker's live feed as a source (stage sources)."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING

from tickloom import market_hours
from tickloom.sources.market_time import MarketTime, Timed, asking
from tickloom.ticker.client import TickerClient
from tickloom.ticker.credentials import Credentials

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping, Sequence

    from tickloom.market_hours import MarketHours
    from tickloom.sources.base import Sink
    from tickloom.ticker.account import TokenProvider
    from tickloom.ticker.settings import Settings

__all__ = ["Kite"]

URL = "wss://ws.kite.trade"


class Kite:
    """Kite's WebSocket feed, over as many connections as the instruments need.

    A connection holds 3,000 instruments and an API key three connections; `more_keys` are further credentials.
    `token_provider` is asked for a new access token when the broker refuses one; a refused one is never tried again.
    While ticks are to be expected a line that only sends heartbeats is made anew: while any wanted instrument trades,
    by the shipped hours and holidays at a `wss://` address, never at another. `market_open` changes that: False never,
    True by the hours everywhere, a `MarketHours` by these, or a function of the time in ns UTC.
    `symbols` maps names to tokens, `settings` are the ticker's. TLS is verified always.
    `clock` gives the time at the exchange in ns UTC, for a simulated one that runs at another time than ours. Without
    it an exchange at a `url` without TLS, which no broker has, is asked for its time, and what it tells is used.
    The credentials are shown by no method, repr, log or error. Raises as `TickerClient` does.
    """

    name = "kite"
    live = True

    def __init__(
        self,
        api_key: str,
        access_token: str,
        *,
        url: str = URL,
        more_keys: Sequence[Credentials] = (),
        token_provider: TokenProvider | None = None,
        settings: Settings | None = None,
        ssl_context: ssl.SSLContext | None = None,
        market_open: Callable[[int], bool] | MarketHours | bool | None = None,
        symbols: Mapping[str, int] | None = None,
        clock: Callable[[], int] | None = None,
    ) -> None:
        self.symbols = dict(symbols or {})
        # None: nobody is asked.
        self._market_time = MarketTime() if clock is None and asking(url) != url else None
        self.clock: Callable[[], int] = clock or self._market_time or time.time_ns
        """The time at the exchange, ns UTC; 0 until it is known who is there."""
        self._client = TickerClient(
            url if self._market_time is None else asking(url),
            credentials=[Credentials(api_key, access_token), *more_keys],
            settings=settings,
            token_provider=token_provider,
            ssl_context=ssl_context,
            market_open=self._expecting(market_open, url),
            clock=self.clock if self._market_time is None else self._market_time.stamp,
        )
        self._wanted: dict[int, str] = {}
        self.session_classes: dict[int, str] = {}
        """Classes of docs/sessions.md by token, where they differ from the segment's."""

    async def run(self, sink: Sink) -> None:
        """Delivers until cancelled. Raises AuthenticationFailed only if `settings` ask for it."""
        if self._market_time is None:
            await self._client.run(sink)
            return
        timed = Timed(sink, self._market_time)
        try:
            await self._client.run(timed)
        finally:
            timed.close()

    def subscribe(self, tokens: Sequence[int], mode: str = "full") -> None:
        """Wants these instruments in this mode. Raises ValueError for a mode that is none, and if they do not fit on
        the connections; then nothing has changed. Threads as in `Source`."""
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

    def _expecting(
        self, asked: Callable[[int], bool] | MarketHours | bool | None, url: str
    ) -> Callable[[int], bool] | None:
        if asked is False or (asked is None and not url.startswith("wss://")):
            return None
        if not (asked is None or asked is True or isinstance(asked, market_hours.MarketHours)):
            return asked
        hours = asked if isinstance(asked, market_hours.MarketHours) else market_hours.default()

        # Asked on the reader's thread many times a second: thousands of instruments are looked at when they change.
        seen: tuple[dict[int, str] | None, int] = (None, 0)
        classes: frozenset[str] = frozenset()

        def expected(now_ns: int) -> bool:
            nonlocal seen, classes
            wanted, named = self._wanted, len(self.session_classes)
            if seen[0] is not wanted or seen[1] != named:
                classes = frozenset(self.session_classes.get(token) or _class(token) for token in wanted)
                seen = (wanted, named)
            return hours.any_open(now_ns, classes)

        return expected

    def set_credentials(self, credentials: Credentials) -> None:
        """Takes a new access token of a key; during `run` on its loop's thread only."""
        self._client.set_credentials(credentials)

    def __repr__(self) -> str:
        return f"<Kite: {len(self._wanted)} instruments>"


@functools.lru_cache(maxsize=65_536)
def _class(token: int) -> str:
    found = market_hours.class_of(token & 0xFF)
    # A token does not tell whether a stock has a closing auction: none is missed after its continuous trading.
    return "cash_cas" if found == "cash" else found
