"""A source with a time of its own: a market's frames flat out, waiting whenever the feed reads history."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

from tickloom.sources.base import Sink
from tickloom.sources.simulator import Market
from tickloom.ticker.messages import ConnectionEvent

SECOND = 1_000_000_000


class Virtual:
    """Implements `Source`: the events of a market between two times. The clock ticks once a market second."""

    name = "virtual"
    live = False

    def __init__(self, market: Market, *, start_ns: int, end_ns: int, step_ns: int = 5 * SECOND) -> None:
        self.market = market
        self.symbols = {name.symbol: name.token for name in market.instruments()}
        self._start, self._end, self._step = start_ns, end_ns, step_ns
        self._now = 0
        self.wanted: dict[int, str] = {}
        self.due: Callable[[], bool] = lambda: False
        """Whether something has to be waited for."""
        self.at: dict[int, Callable[[], None]] = {}
        """What to do when it is so late."""

    def clock(self) -> int:
        """The market's time, 0 before it began."""
        return self._now

    def subscribe(self, tokens: Sequence[int], mode: str) -> None:
        self.wanted = {**self.wanted, **dict.fromkeys(tokens, mode)}

    def unsubscribe(self, tokens: Sequence[int]) -> None:
        self.wanted = {token: mode for token, mode in self.wanted.items() if token not in set(tokens)}

    def subscriptions(self) -> Mapping[int, str]:
        return self.wanted

    async def run(self, sink: Sink) -> None:
        events = self.market.events()
        self._now = self._start
        sink.on_connection(ConnectionEvent("connected", 0, self._start))
        for kind, at, body in events:
            if at <= self._start or self._end <= at:
                continue
            await self._go(sink, at)
            if kind == "frame" and body is not None:
                sink.on_frame(body, at, 0)
            else:
                sink.on_connection(ConnectionEvent(kind, 0, at))
        await self._go(sink, self._end)

    async def _go(self, sink: Sink, until: int) -> None:
        while (nxt := self._now // self._step * self._step + self._step) <= until:
            self._now = nxt
            sink.on_clock(nxt)
            for moment in [moment for moment in self.at if moment <= nxt]:
                self.at.pop(moment)()
            patience = time.monotonic() + 30
            while self.due():
                assert time.monotonic() < patience, "history does not come to an end"
                await asyncio.sleep(0)
        self._now = max(self._now, until)
