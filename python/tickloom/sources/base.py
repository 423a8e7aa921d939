"""Base: what a source of frames or ticks is, and what it delivers to (stage sources; docs/sources.md).

```
Source.run(sink) ──▶ sink.on_frame(bytes) · on_ticks(PushedTicks) · on_text(str) · on_connection(ConnectionEvent)
                     on_clock(ns)
```

A live broker, a replayed journal and a simulated exchange look the same from here, so a strategy that runs on one
runs on all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tickloom.sources.pushed import PushedTicks
    from tickloom.ticker.messages import ConnectionEvent

__all__ = ["Sink", "Source"]


class Sink(Protocol):
    """Where a source delivers. Called on the reader's thread, one call at a time; never raises, and returns at once
    unless the feed's queue was told to block. `on_clock(now_ns)` is optional: a source looks whether it is there."""

    def on_frame(self, frame: bytes, received_ns: int, connection: int) -> None:
        """One binary WebSocket message, heartbeats included. `received_ns`: when it was read, nanoseconds UTC."""

    def on_ticks(self, ticks: PushedTicks, connection: int) -> None:
        """Ticks of a source whose frames are not Kite's, those that came together. `ticks.received_ns`: when."""

    def on_text(self, text: str, received_ns: int, connection: int) -> None:
        """One text message as it came."""

    def on_connection(self, event: ConnectionEvent) -> None:
        """A connection changed its state."""


@runtime_checkable
class Source(Protocol):
    """Where frames come from, or ticks.

    Three attributes are optional. `live` (bool, True without it): the clock closes quiet bars; a journal has its own
    time, says False, and closes them by `sink.on_clock(now_ns)`, nanoseconds UTC. `clock` (a function without
    arguments, `time.time_ns` without it): the time at the exchange, nanoseconds UTC, 0 while it is not known, for
    markets that run at another time than ours. `symbols` (a mapping of names to tokens): lets a feed subscribe by name.
    """

    name: str

    async def run(self, sink: Sink) -> None:
        """Delivers until cancelled, or until there is nothing more. May be run again afterwards."""

    def subscribe(self, tokens: Sequence[int], mode: str) -> None:
        """Wants these instruments in this mode: `ltp`, `quote` or `full`. Before `run` from any thread, during it on
        its loop's thread only. Raises ValueError for what the broker would refuse."""

    def unsubscribe(self, tokens: Sequence[int]) -> None:
        """No longer wants these instruments; those that were not wanted are ignored. Threads as for `subscribe`."""

    def subscriptions(self) -> Mapping[int, str]:
        """What is wanted: the mode of each token. Safe from any thread."""
