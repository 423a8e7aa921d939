"""Market time: the clock that a simulated exchange tells, in place of ours (stage sources).

```
exchange ──{"type": "market_time", "data": ns}──▶ MarketTime ──▶ sink: frames and events with the exchange's times
```

A made-up market trades at any hour and at any speed, so its stamps have nothing to do with our clock, and a tick whose
stamp is of another day than its receipt makes no bar. A client that asks for it is told the market's time before each
frame. Asked are servers without TLS only: none of them is a broker's.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tickloom.sources import exchange_wire as wire

if TYPE_CHECKING:
    from tickloom.sources.base import Sink
    from tickloom.ticker.messages import ConnectionEvent

__all__ = ["MarketTime", "Timed", "asking"]

PREFIX = wire.text(wire.MARKET_TIME, 0)[:-2]
# A server that says nothing at all for so long after it let us in tells no time.
PATIENCE_S = 0.25


def asking(url: str) -> str:
    """The URL that asks a simulated exchange to tell its time; ``wss://`` is left as it is."""
    parts = urlsplit(url)
    if parts.scheme != "ws":
        return url
    return parts._replace(query="&".join(filter(None, (parts.query, wire.ASKS_TIME)))).geturl()


class MarketTime:
    """The time at the server, nanoseconds UTC: as it was told, else ours; 0 until it is known which of both."""

    def __init__(self) -> None:
        self.told_ns = 0
        self.ours = False

    def __call__(self) -> int:
        return self.told_ns or (time.time_ns() if self.ours else 0)

    def stamp(self) -> int:
        """The time to stamp with what comes now: ours as long as nothing else was told."""
        return self.told_ns or time.time_ns()


class Timed:
    """A sink in front of another: takes out what is told about the time. The rest comes stamped by the clock.

    That a connection is up is passed on when the time is known, with the first message or a moment later.
    """

    def __init__(self, sink: Sink, clock: MarketTime) -> None:
        self._sink = sink
        self._clock = clock
        self._held: list[ConnectionEvent] = []
        self._waiting: asyncio.TimerHandle | None = None

    def on_frame(self, frame: bytes, received_ns: int, connection: int) -> None:
        """A frame."""
        if self._held:
            self._settle()
        self._sink.on_frame(frame, received_ns, connection)

    def on_text(self, text: str, received_ns: int, connection: int) -> None:
        """The time, which goes no further, or a text."""
        if text.startswith(PREFIX) and (told_ns := _time_in(text)):
            self._clock.told_ns = told_ns
            self._settle()
            return
        self._settle()
        self._sink.on_text(text, received_ns, connection)

    def on_connection(self, event: ConnectionEvent) -> None:
        """A change of a connection's state."""
        if event.state == "connected" or (event.state == "connecting" and not self._clock()):
            self._held.append(event)
            if event.state == "connected" and self._waiting is None:
                self._waiting = asyncio.get_running_loop().call_later(PATIENCE_S, self._settle)
            return
        self._release()
        self._sink.on_connection(event)

    def close(self) -> None:
        """The run is over."""
        if self._waiting is not None:
            self._waiting.cancel()
        self._release()

    def _settle(self) -> None:
        """A connection is up and something came, or did not come for long: the time is known."""
        self._clock.ours = True
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        self._release()

    def _release(self) -> None:
        held, self._held = self._held, []
        for event in held:
            told_ns = self._clock.told_ns
            self._sink.on_connection(dataclasses.replace(event, time_ns=told_ns) if told_ns else event)


def _time_in(text: str) -> int:
    try:
        told = json.loads(text)["data"]
    except (ValueError, KeyError):
        return 0
    return told if type(told) is int and 0 < told < 1 << 62 else 0
