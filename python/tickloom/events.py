"""Events: what a feed tells its listeners (between sources and feed).

```
Ticks                      the ticks of one frame, or of many when the listener was slow
BarUpdate                  the forming bar changed
BarClosed, BarRevised      a bar was sealed; a sealed bar was corrected
Connection, Gap, Stale     the state of the line
Order, BrokerError, Message    the broker's text messages
```

Every event has `time_ns`, nanoseconds UTC. Events are never changed once made, so they can go to any thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from tickloom._core import Bar, Tick, TickBatch
    from tickloom.sources.pushed import PushedTick, PushedTicks

__all__ = [
    "BarClosed", "BarEvent", "BarRevised", "BarUpdate", "BrokerError", "Connection", "Event", "Gap", "Message", "Order",
    "Stale", "Ticks",
]  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Event:
    """Something that happened at `time_ns`, nanoseconds UTC."""

    time_ns: int


@dataclass(frozen=True, slots=True, eq=False)
class Ticks(Event):
    """The ticks of one frame; iterate to get each as a `Tick`.

    `time_ns` is when the frame was received. If the listener was slow under the policy ``conflate``, one event stands
    for `frames` of them and holds the newest tick of each instrument.
    """

    batch: TickBatch | PushedTicks
    """All ticks, those of instruments that the listener did not ask for included. Of a source that pushes, a
    `PushedTicks` with the same attributes."""
    connection: int = 0
    frames: int = 1
    rows: tuple[int, ...] | None = None
    """Which rows of the batch the listener asked for, None for all."""

    @property
    def array(self) -> NDArray[np.void]:
        """The ticks as a structured array of `TickBatch.array`'s dtype: its own memory, or a copy of chosen rows."""
        array = self.batch.array
        return array if self.rows is None else array[list(self.rows)]

    def only(self, tokens: frozenset[int]) -> Ticks | None:
        """This event with the ticks of `tokens` alone, or None if there are none."""
        column = self.batch.array["instrument_token"].tolist()
        rows = tuple(row for row, token in enumerate(column) if token in tokens)
        if not rows:
            return None
        return self if len(rows) == len(column) else Ticks(self.time_ns, self.batch, self.connection, self.frames, rows)

    def __iter__(self) -> Iterator[Tick | PushedTick]:
        return iter(self.batch) if self.rows is None else (self.batch[row] for row in self.rows)

    def __len__(self) -> int:
        return len(self.batch) if self.rows is None else len(self.rows)


@dataclass(frozen=True, slots=True)
class BarEvent(Event):
    """One bar of one instrument. `time_ns` is when the feed noticed; the bar's own start is `bar.time`."""

    token: int
    symbol: str | None
    interval: str
    bar: Bar


class BarUpdate(BarEvent):
    """The forming bar is not what it was at the last update; the newest state only, however many ticks made it."""

    __slots__ = ()


class BarClosed(BarEvent):
    """A bar was sealed (R25)."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class BarRevised(BarEvent):
    """A sealed bar was corrected, by a late tick or by history (R25, R34)."""

    by: str = "late tick"
    """`late tick` or `history`."""


@dataclass(frozen=True, slots=True)
class Connection(Event):
    """A connection changed its state."""

    state: str
    """connecting, connected, disconnected, waiting, stopped, authentication_failed or stale."""
    connection: int
    attempt: int = 0
    code: int | None = None
    """WebSocket close code or HTTP status."""
    reason: str = ""
    retry_in: float | None = None
    """Seconds until the next attempt."""

    @property
    def connected(self) -> bool:
        """Whether frames can arrive on it now."""
        return self.state in {"connected", "stale"}


@dataclass(frozen=True, slots=True)
class Gap(Event):
    """A connection is back: nothing came over it from `from_ns` to `time_ns`. The bars know (R13)."""

    connection: int
    from_ns: int


@dataclass(frozen=True, slots=True)
class Stale(Event):
    """Nothing came since `since_ns`: from one instrument, or over a whole connection if `token` is None.

    A quiet instrument may be just that: nobody trades it. A flag, no fault.
    """

    since_ns: int
    token: int | None = None
    symbol: str | None = None
    connection: int | None = None


@dataclass(frozen=True, slots=True)
class Order(Event):
    """An order changed: the broker's postback."""

    data: Any
    connection: int = 0


@dataclass(frozen=True, slots=True)
class BrokerError(Event):
    """The broker complains, about a subscription beyond its limits for instance."""

    data: Any
    connection: int = 0


@dataclass(frozen=True, slots=True)
class Message(Event):
    """Any other text: a notice of the broker (`kind` is message), or of a kind that is not known."""

    kind: str
    data: Any
    connection: int = 0
