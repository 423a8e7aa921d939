"""Newest: what is left of many batches when a listener is slow, the newest tick of each instrument (stage feed)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple

from tickloom._core import parse
from tickloom.sources.pushed import PushedTicks

if TYPE_CHECKING:
    from tickloom._core import PriceScales, TickBatch
    from tickloom.sources.pushed import Quote, VolumeKind

__all__ = ["Batch", "Newest", "kind_of", "newest_for"]

_HEADER = 2
_SMALLEST = 8


class Batch(NamedTuple):
    """The ticks of `frames` frames, received at `time_ns`."""

    ticks: TickBatch | PushedTicks
    time_ns: int
    connection: int
    frames: int = 1


class Newest(ABC):
    """The newest tick of each instrument of many batches: bounded by the instruments, not by the batches."""

    def __init__(self) -> None:
        self._frames = 0
        self._time_ns = 0
        self._connection = 0

    def add(self, batch: Batch) -> None:
        """Takes one batch in, of the kind that it was made for."""
        self._frames += batch.frames
        self._time_ns, self._connection = batch.time_ns, batch.connection
        ticks: Any = batch.ticks
        self._take(ticks)

    def batch(self, scales: PriceScales | None) -> Batch:
        """All of them as one batch."""
        return Batch(self._ticks(scales), self._time_ns, self._connection, self._frames)

    @abstractmethod
    def _take(self, ticks: Any) -> None: ...

    @abstractmethod
    def _ticks(self, scales: PriceScales | None) -> TickBatch | PushedTicks: ...


class _Packets(Newest):
    def __init__(self) -> None:
        super().__init__()
        self._packets: dict[bytes, bytes] = {}

    def _take(self, ticks: TickBatch) -> None:
        frame = ticks.frame
        packets = self._packets
        at, end = _HEADER, len(frame)
        while at + _HEADER <= end:
            length = (frame[at] << 8) | frame[at + 1]
            after = at + _HEADER + length
            if length >= _SMALLEST and after <= end:
                packets[frame[at + 2 : at + 6]] = frame[at:after]
            at = after

    def _ticks(self, scales: PriceScales | None) -> TickBatch:
        # A frame counts its packets in 16 bits; no account has that many instruments, so nothing is cut in practice.
        packets = list(self._packets.values())[-0xFFFF:]
        frame = len(packets).to_bytes(2, "big") + b"".join(packets)
        return parse(frame, scales=scales, received_ns=self._time_ns)


class _Quotes(Newest):
    def __init__(self, volume: VolumeKind) -> None:
        super().__init__()
        self._volume: VolumeKind = volume
        self._quotes: dict[int, Quote] = {}

    def _take(self, ticks: PushedTicks) -> None:
        quotes = self._quotes
        for quote in ticks.quotes:
            before = quotes.get(quote.token)
            if self._volume == "delta" and before is not None and before.volume is not None:
                # What each adds is added up, so that the one that is left tells all that was traded.
                quotes[quote.token] = quote._replace(volume=before.volume + (quote.volume or 0))
            else:
                quotes[quote.token] = quote

    def _ticks(self, scales: PriceScales | None) -> PushedTicks:  # noqa: ARG002 - pushed prices have no scale
        return PushedTicks(self._quotes.values(), volume=self._volume, received_ns=self._time_ns)


def kind_of(batch: Batch) -> str:
    """Batches of one kind can become one."""
    return batch.ticks.volume if isinstance(batch.ticks, PushedTicks) else "frames"


def newest_for(batch: Batch) -> Newest:
    """An empty one for batches of this kind."""
    return _Quotes(batch.ticks.volume) if isinstance(batch.ticks, PushedTicks) else _Packets()
