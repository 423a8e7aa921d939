"""Simulated: an exchange of our own, and the connection to it, as one source (stage sources).

```
Exchange (its own thread) ──▶ real WebSocket on the loopback ──▶ TickerClient ──▶ sink
```

What a strategy needs at any hour and without an account: the very code that talks to the broker talks to this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tickloom.sources.exchange import Exchange
from tickloom.sources.market_time import MarketTime, Timed, asking
from tickloom.ticker.client import TickerClient
from tickloom.ticker.credentials import Credentials
from tickloom.ticker.dial import in_thread

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tickloom.sources.base import Sink
    from tickloom.ticker.settings import Settings

__all__ = ["Simulator"]


class Simulator:
    """A made-up market over a real WebSocket.

    `instruments`, `seed`, `speed` (market seconds in one real second) and the further options are those of `Exchange`;
    or give an `exchange`, which is then neither opened nor closed here. `symbols` are the names that it trades. Times
    are the market's own: frames carry them as their receive time, and `clock` tells them. Each run begins the
    session again, with the first subscription: give a second run a new engine. Raises as `Exchange` does.
    """

    name = "simulator"
    live = True

    def __init__(
        self,
        instruments: int = 50,
        seed: int = 1,
        speed: float = 1.0,
        *,
        exchange: Exchange | None = None,
        settings: Settings | None = None,
        **options: Any,
    ) -> None:
        self._ours = exchange is None
        self.exchange = exchange or Exchange(instruments, seed, speed, **{"opens": "subscription", **options})
        if self.exchange.broker != "kite":
            raise ValueError(
                f"the simulator speaks Kite's protocol, for another use its own source: {self.exchange.broker}"
            )
        self._settings = settings
        self._clock = MarketTime()
        self._client: TickerClient | None = None
        self._wanted: dict[int, str] = {}

    @property
    def symbols(self) -> dict[str, int]:
        """The token of each name."""
        return self.exchange.symbols

    def clock(self) -> int:
        """The market's time as the exchange told it last, ns UTC; 0 before it did."""
        if self.exchange.is_silent and (told_ns := self._clock()):
            # It tells nobody any more, and time goes on.
            return max(told_ns, self.exchange.market_time_ns())
        return self._clock()

    async def run(self, sink: Sink) -> None:
        """Opens the exchange, connects to it and delivers until cancelled."""
        if self._ours:
            # Its loop has a thread of its own: this one is for what comes off the wire. No executor, whose end would
            # ask for another thread.
            await in_thread(self.exchange.__enter__, "tickloom-opening")
        try:
            client = TickerClient(
                asking(self.exchange.url),
                credentials=Credentials("simulator", "simulator"),
                settings=self._settings,
                clock=self._clock.stamp,
            )
            for mode in set(self._wanted.values()):
                client.subscribe([token for token, wanted in self._wanted.items() if wanted == mode], mode)
            self._client = client
            timed = Timed(sink, self._clock)
            try:
                await client.run(timed)
            finally:
                timed.close()
        finally:
            self._client = None
            if self._ours:
                # Here and now: at the end of the interpreter no thread can be had, and this client is gone already.
                self.exchange.__exit__(None, None, None)

    def subscribe(self, tokens: Sequence[int], mode: str = "full") -> None:
        """Wants these instruments in this mode. Raises and threads as for `Kite`."""
        client = self._client or self._checker()
        client.subscribe(tokens, mode)
        self._wanted = client.subscriptions()

    def unsubscribe(self, tokens: Sequence[int]) -> None:
        """Wants these no longer."""
        client = self._client or self._checker()
        client.unsubscribe(tokens)
        self._wanted = client.subscriptions()

    def subscriptions(self) -> Mapping[int, str]:
        """The mode of each wanted token."""
        return self._wanted

    def _checker(self) -> TickerClient:
        # A client that is never run: it knows the limits, and refuses now what it would refuse then.
        client = TickerClient(
            "ws://127.0.0.1:1", credentials=Credentials("simulator", "simulator"), settings=self._settings
        )
        for token, mode in self._wanted.items():
            client.subscribe([token], mode)
        return client

    def __repr__(self) -> str:
        return f"<Simulator: {len(self._wanted)} instruments>"
