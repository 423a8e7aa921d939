"""Replay: a journal as a source, so that a strategy cannot tell a recorded day from a live one (stage sources)."""

from __future__ import annotations

import asyncio
import json
import os
import time
from typing import TYPE_CHECKING, Any

from tickloom._core import UpstoxDecoder
from tickloom.errors import StoreError
from tickloom.model import to_ns
from tickloom.sources.journal import (
    CLOCK,
    DISCONNECTED,
    EVENT,
    FRAME,
    KEYS,
    LOST,
    PUSHED,
    TEXT,
    UPSTOX,
    Journal,
    Reading,
    Record,
    first_block,
)  # fmt: skip
from tickloom.sources.keyed import keys_at, one_broker
from tickloom.sources.pushed import PushedTicks
from tickloom.sources.upstox_wire import MODES
from tickloom.sources.wanted import Wanted
from tickloom.ticker.messages import ConnectionEvent

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from tickloom._core import Engine
    from tickloom.sources.base import Sink

__all__ = ["Replay"]

_BATCH = 256
# The loop's other tasks have a turn after so long; a sleep that is shorter costs more than it waits.
_TURN_S = 0.005
_SLACK_S = 0.001
_NAP_S = 0.25
# How often journals without recorded clocks tell the time, and how many records are looked at to find that out.
_ADVANCE_NS = 250_000_000
_LOOK = 1024


class Replay(Wanted):
    """One or several journals, merged by receive time, delivered as when they were recorded.

    `speed` is how many recorded seconds pass in one, 1.0 by default; None goes flat out. `start` and `end` are
    nanoseconds UTC or aware datetimes, the end excluded. `symbols` maps names to tokens, for a feed that subscribes
    by name; subscriptions filter nothing, everything recorded is delivered. Of several journals with times alike,
    the one named first comes first, and connections are numbered on by 256 from journal to journal.

    Of Upstox's messages (docs/upstox.md) the journal has the instrument keys: they are in `symbols` too, and names may
    be mapped to them. `decoder` knows their tokens; it serves one engine at a time, and begins anew with each pass.

    Quiet bars close when they did in the recorded run, whose clock is in the journal. One without a clock, as
    `tickloom record` makes it, tells its receive times instead, four times a second.

    `run` may be called again, from the start. Raises StoreError for what is no journal and for journals of two
    brokers, OSError for no file, ValueError for a wrong option.
    """

    name = "replay"
    live = False

    def __init__(
        self,
        path: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        *,
        speed: float | None = 1.0,
        start: int | datetime | None = None,
        end: int | datetime | None = None,
        symbols: Mapping[str, int | str] | None = None,
    ) -> None:
        if speed is not None and not 0 < speed <= 1e9:
            msg = f"speed must be None or above 0, at most 1e9: {speed}"
            raise ValueError(msg)
        paths = [path] if isinstance(path, (str, os.PathLike)) else list(path)
        if not paths:
            msg = "a replay needs at least one journal"
            raise ValueError(msg)
        super().__init__()
        self.speed = speed
        self._start = _ns(start)
        self._end = _ns(end)
        self._journals = [Journal(path) for path in paths]
        self.decoder = UpstoxDecoder() if one_broker(self._journals) == "upstox" else None
        """What an engine reads Upstox's messages with; None for other journals."""
        for journal in self._journals if self.decoder is not None else ():
            for record in keys_at(journal, len(journal.blocks) - 1):
                self._learn(record)
        self.symbols = self._named(symbols or {})
        self._seek: int | None = None
        self._reading: Reading | None = None
        self._now = 0
        self._told = 0
        self._clocked = False

    @property
    def journals(self) -> Sequence[Journal]:
        """The journals, open."""
        return self._journals

    @property
    def damaged(self) -> int:
        """Blocks of the current pass that could not be read and were stepped over."""
        return 0 if self._reading is None else self._reading.damaged

    def clock(self) -> int:
        """The receive time of the last record that was delivered, nanoseconds UTC; 0 before the first."""
        return self._now

    def seek(self, at: int | datetime) -> None:
        """Goes on with the first records not before this time, backwards as well; from any thread, while it runs.

        An engine that has seen later ticks is not turned back by it: give it a new one.
        """
        self._seek = _ns(at)

    async def run(self, sink: Sink) -> None:
        """Delivers every record, at the recorded distances divided by `speed`. Ends with the last one."""
        at = self._start
        self._clocked = any(_has_clock(journal) for journal in self._journals)
        while True:
            self._seek = None
            self._told = 0
            self._reading = self._read(at)
            await self._pass(sink, self._reading)
            at = self._seek
            if at is None:
                return

    def into(self, engine: Engine, *, until: int | datetime | None = None) -> int:
        """Applies the records before `until` to an engine flat out, and gives how many. A second call goes on.

        Frames, lost connections and recorded clocks reach the engine as they did; no Python object is made of any.
        Raises StoreError where two brokers' messages meet, or two instruments with one token.
        """
        if self._reading is None:
            self._reading = self._read(self._start)
        ends = [end for end in (_ns(until), self._end) if end is not None]
        return self._reading.into(engine, min(ends, default=None))

    def rewind(self) -> None:
        """The next `into` begins at the start again."""
        self._reading = None

    def records(self) -> Iterable[Record]:
        """The records themselves, in a pass of their own."""
        return (
            record
            for record in Reading(self._journals, self._start)
            if self._end is None or record.received_ns < self._end
        )

    def close(self) -> None:
        """Closes the files."""
        for journal in self._journals:
            journal.close()

    def __repr__(self) -> str:
        return f"Replay({[journal.path for journal in self._journals]!r}, speed={self.speed})"

    def _sought(self) -> bool:
        return self._seek is not None

    @property
    def modes(self) -> Sequence[str]:
        """The modes that a feed may subscribe in: those of the broker whose messages were recorded."""
        return super().modes if self.decoder is None else MODES

    def _read(self, start_ns: int | None) -> Reading:
        """A pass from a time on. Nothing is known of any instrument but its key."""
        if self.decoder is not None:
            self.decoder.forget()
            for journal in self._journals:
                for record in keys_at(journal, first_block(journal, start_ns)):
                    self._learn(record)
        return Reading(self._journals, start_ns, self.decoder)

    def _learn(self, record: bytes) -> None:
        try:
            if self.decoder is not None:
                self.decoder.load(record)
        except ValueError as error:
            raise StoreError(f"journals that cannot be replayed as one: {error}") from None

    def _named(self, names: Mapping[str, int | str]) -> dict[str, int]:
        tokens = {} if self.decoder is None else self.decoder.tokens()
        for named in names.values():
            if isinstance(named, str) and named not in tokens:
                raise ValueError(f"no such instrument key in the journal: {named}")
        return tokens | {name: tokens[named] if isinstance(named, str) else named for name, named in names.items()}

    async def _pass(self, sink: Sink, reading: Reading) -> None:
        began = turned = time.monotonic()
        first: int | None = None
        while not self._sought() and (records := reading.take(_BATCH, self._end)):
            for record in records:
                first = record.received_ns if first is None else first
                if self.speed is not None:
                    due = began + (record.received_ns - first) / 1e9 / self.speed
                    while (ahead := due - time.monotonic()) > _SLACK_S and not self._sought():
                        await asyncio.sleep(min(ahead, _NAP_S))
                        turned = time.monotonic()
                if time.monotonic() - turned > _TURN_S:
                    await asyncio.sleep(0)
                    turned = time.monotonic()
                if self._sought():
                    return
                self._deliver(sink, record)

    def _deliver(self, sink: Sink, record: Record) -> None:
        kind, self._now, connection, payload = record
        if kind in {FRAME, UPSTOX, PUSHED}:
            if kind != PUSHED:
                if (kind == UPSTOX) != (self.decoder is not None):
                    raise StoreError("messages of Kite's and of Upstox's cannot be replayed as one")
                sink.on_frame(payload, record.received_ns, connection)
            else:
                sink.on_ticks(PushedTicks.from_bytes(payload, record.received_ns), connection)
            if not self._clocked and self._now - self._told >= _ADVANCE_NS:
                self._told = self._now
                self._tell(sink, self._now)
        elif kind == CLOCK:
            self._tell(sink, self._now)
        elif kind == KEYS:
            self._learn(payload)
        elif kind == TEXT:
            sink.on_text(payload.decode("utf-8", "surrogatepass"), record.received_ns, connection)
        elif kind in {EVENT, DISCONNECTED} and (event := _event(payload, connection)) is not None:
            sink.on_connection(event)
        elif kind == LOST:
            # What the recorder lost is a gap of the feed to the bars (R13), and the connection was there all the time.
            reason = f"the recorder dropped {payload.decode()} records"
            for state in ("disconnected", "connected"):
                sink.on_connection(ConnectionEvent(state, connection, record.received_ns, reason=reason))

    @staticmethod
    def _tell(sink: Sink, now_ns: int) -> None:
        on_clock = getattr(sink, "on_clock", None)
        if on_clock is not None:
            on_clock(now_ns)


def _has_clock(journal: Journal) -> bool:
    # A feed records its clock four times a second, and first of all.
    return any(record.kind == CLOCK for record in Reading([journal]).take(_LOOK))


def _event(payload: bytes, connection: int) -> ConnectionEvent | None:
    """The event of a record; None of a later version's that this one cannot make."""
    try:
        fields: dict[str, Any] = json.loads(payload)
        return ConnectionEvent(**{**fields, "connection": connection})
    except (TypeError, ValueError):
        return None


def _ns(when: int | datetime | None) -> int | None:
    return when if when is None or isinstance(when, int) else to_ns(when)
