"""The exchange's minutes: the running one and the one before, out of what was shown (stage sources, pure)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tickloom.sources import exchange_wire as wire

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Minute", "Minutes"]

_LAST_AND_VOLUME = struct.Struct(">4xI8xI8x3I4xI")
_INDEX = struct.Struct(">4xI20xI")
_MINUTE, _DAY, _IST = 60, 86_400, 19_800


@dataclass(slots=True)
class Minute:
    """Prices in the packet's units, `start` in seconds since the epoch."""

    start: int
    open: int
    high: int
    low: int
    close: int
    volume: int = 0


@dataclass(slots=True)
class _Seen:
    """What the last packet of an instrument said, and the two minutes."""

    day: int
    volume: int
    high: int
    low: int
    base: int
    running: Minute | None = None
    before: Minute | None = None


class Minutes:
    """Folds full packets into minutes, by the time of the last trade; an index by its publications.

    A minute's volume is what was added while it ran. A day's high or low that moved is the minute's too.
    """

    def __init__(self) -> None:
        self._seen: dict[int, _Seen] = {}

    def of(self, token: int) -> list[Minute]:
        """The minute before, if there was one, and the running one."""
        seen = self._seen.get(token)
        return [] if seen is None else [minute for minute in (seen.before, seen.running) if minute is not None]

    def watch(self, packets: Iterable[tuple[int, bytes]]) -> None:
        """Takes what the market shows."""
        for token, packet in packets:
            if token & 0xFF == wire.INDEX_SEGMENT:
                price, stamp = _INDEX.unpack_from(packet)
                volume = high = low = 0
            else:
                price, volume, _, high, low, stamp = _LAST_AND_VOLUME.unpack_from(packet)
            seen = self._seen.get(token)
            day = (stamp + _IST) // _DAY
            if seen is None or day > seen.day:
                before = seen.running if seen is not None else None
                seen = self._seen[token] = _Seen(day, 0, price, price, 0, before=before)
            # An index tells no volume, each of its publications is news.
            traded = volume != seen.volume or token & 0xFF == wire.INDEX_SEGMENT
            if day < seen.day or not price or not traded:
                continue
            self._take(seen, stamp - stamp % _MINUTE, price, volume, high, low)

    def _take(self, seen: _Seen, start: int, price: int, volume: int, high: int, low: int) -> None:
        minute = seen.running
        if minute is None or start > minute.start:
            # Of an earlier day's last minute nothing is known but that it was the one before.
            seen.before = minute or seen.before
            minute = seen.running = Minute(start, price, price, price, price)
            seen.base = seen.volume
        if start < minute.start:
            return
        minute.high, minute.low = max(minute.high, price), min(minute.low, price)
        if seen.high and high > seen.high and seen.volume:
            minute.high = max(minute.high, high)
        if seen.low and 0 < low < seen.low and seen.volume:
            minute.low = min(minute.low, low)
        minute.close, minute.volume = price, max(volume - seen.base, 0)
        seen.volume, seen.high, seen.low = volume, high or seen.high, low or seen.low
