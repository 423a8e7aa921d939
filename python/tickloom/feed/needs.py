"""Needs: which minutes of each instrument are still to be read, and from when on they can be (stage feed).

Pure: it is told the time, reads an engine, and asks nobody. What is needed of an instrument:

```
boot    the days before and this one up to now, once; of many, while they trade, when the minute in which their live
        ticks began has stopped changing: so none is needed of that minute alone
join    from there to the end of the minute in which its live ticks began (R12)
gap     the minutes that a gap of the feed touches, up to the one in which it ended (R13)
end     the same and that minute, when it is final
reread  minutes that were read within 60 s of their end, once more (R32)
```
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from tickloom.history.base import MINUTE_NS, SETTLED_NS, date_of, midnight

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tickloom._core import Engine

__all__ = ["Kind", "Need", "Needs"]

Kind = Literal["boot", "join", "gap", "end", "reread"]

INDICES = 9
REREAD_NS = 60_000_000_000
"""When a minute of history has stopped changing (R32)."""
# The engine takes a minute when no tick can change it any more, which its clock may learn a little later than we.
_MARGIN_NS = 1_000_000_000
_RANKS: dict[Kind, int] = {"gap": 0, "end": 0, "join": 1, "boot": 2, "reread": 3}
_FIRST = -1
# So few are read at once, at the cost of two requests more each: nobody wants to look at empty candles for two minutes.
_FEW = 12
# So far may a day's last price and its official close, an average, lie apart (R35).
_ADJUSTED = 0.005


@dataclass(slots=True)
class Need:
    """Minutes of [start, end) of one instrument, to be read from `due` on; all in nanoseconds UTC."""

    token: int
    kind: Kind
    start: int
    end: int
    due: int
    rank: int
    serial: int
    tries: int = 0

    def order(self) -> tuple[int, int]:
        """What comes first is wanted most."""
        return self.rank, self.serial


@dataclass(slots=True)
class _Name:
    """What is known of one instrument."""

    open: int = 0
    """Needs that are not yet done."""
    booted: bool = False
    failed: str = ""
    settled_to: int = 0
    """Up to here history was read when it was final."""
    read_ns: int = 0
    """When its days were read."""
    began: int = 0
    """The stamp of its first live tick, as long as it is not joined."""
    joined: bool = False
    gaps_to: int = 0
    """Up to here its gaps are known."""
    last_close: float = 0.0
    """The last price of history before today."""
    adjusted: bool = False


@dataclass(slots=True)
class Needs:
    """Of all instruments of a feed. Not thread-safe: its owner has a lock."""

    start: Callable[[int], int] | None
    """The beginning of a token's warm-up; None if there is none."""
    open: Callable[[int, int], bool]
    """Whether a token trades at an instant."""
    traded: Callable[[int, int, int], bool]
    """Whether a token may have traded in [start, end)."""
    names: dict[int, _Name] = field(default_factory=lambda: defaultdict(_Name))
    waiting: list[Need] = field(default_factory=list)
    suspect: list[int] = field(default_factory=list)
    """What is kept of these is of before a corporate action (R35)."""
    _held: dict[int, Need] = field(default_factory=dict)
    """Boots that wait for the minute of joining."""
    _serial: int = 0
    _gaps: int = -1

    def look(self, engine: Engine, tokens: Iterable[int], now_ns: int) -> None:
        """Finds what has come to be needed: of instruments that are new, that began to tick, that had a gap."""
        new = [token for token in tokens if token not in self.names]
        many = len(new) + sum(need.kind == "boot" for need in self.waiting) > _FEW
        for token in new:
            name = self.names[token]
            name.settled_to = settled(now_ns)
            if self.start is None:
                name.booted = True
            else:
                self._boot(token, self.start(token), now_ns, held=many and self.open(token, now_ns))
        if any(not name.joined for name in self.names.values()):
            self._find_joins(engine, now_ns)
        if (gaps := engine.stats()["gaps"]) != self._gaps:
            self._gaps = gaps
            known = {token for token, _ in engine.instruments}
            for token, name in self.names.items():
                if token in known:
                    self._find_gaps(token, name, engine.gaps(token))

    def add(self, token: int, kind: Kind, start: int, end: int, due: int) -> Need | None:
        """Needs these minutes, from `due` on."""
        if end <= start:
            return None
        self._serial += 1
        self.names[token].open += 1
        need = Need(token, kind, start, end, due, _RANKS[kind], self._serial)
        self.waiting.append(need)
        return need

    def prefer(self, token: int) -> None:
        """Somebody asks for this one: what it needs comes before all else."""
        for need in self.waiting:
            if need.token == token:
                need.rank = _FIRST

    def take(self, now_ns: int) -> Need | None:
        """What is due and wanted most, no longer waiting."""
        due = [need for need in self.waiting if need.due <= now_ns]
        if not due:
            return None
        chosen = min(due, key=Need.order)
        self.waiting.remove(chosen)
        if chosen.kind == "boot":
            self._held.pop(chosen.token, None)
            # It may have waited long for its turn, and what came meanwhile is to be had in the same request.
            chosen.end = max(chosen.end, now_ns // MINUTE_NS * MINUTE_NS)
        return chosen

    def done(self, need: Need, now_ns: int) -> None:
        """It was read at this time, and joined."""
        name = self.names[need.token]
        name.open -= 1
        if need.kind == "boot":
            name.booted = True
            name.settled_to = max(name.settled_to, min(settled(now_ns), need.end))
            name.read_ns = now_ns
        elif need.kind in {"join", "end"} and now_ns < need.end + REREAD_NS:
            last = max(need.start, need.end - MINUTE_NS)
            self.add(need.token, "reread", last, need.end, need.end + REREAD_NS)

    def again(self, need: Need, at_ns: int) -> None:
        """It did not come to be: once more, from then on."""
        need.tries += 1
        need.due = at_ns
        self.waiting.append(need)

    def failed(self, need: Need, reason: str) -> None:
        """It will not come to be."""
        name = self.names[need.token]
        name.open -= 1
        name.failed = reason

    def drop(self, tokens: Iterable[int]) -> None:
        """Nobody wants these any longer."""
        gone = set(tokens)
        self.waiting = [need for need in self.waiting if need.token not in gone]
        for token in gone:
            self.names.pop(token, None)
            self._held.pop(token, None)

    def lost(self, start: int, end: int) -> None:
        """The line was down. The engine tells which instruments missed volume; indices have none to miss (R29).

        Over a date's end it tells nothing: then each has to be joined again, from the morning on (R12).
        """
        overnight = date_of(start) != date_of(end)
        for token, name in self.names.items():
            if overnight:
                name.joined = False
                name.settled_to = midnight(date_of(end))
            elif token & 0xFF == INDICES:
                self._add_gap(token, start, end)

    def _boot(self, token: int, start: int, now_ns: int, *, held: bool) -> None:
        due = _minute_end(now_ns) + REREAD_NS if held else now_ns
        need = self.add(token, "boot", start, now_ns // MINUTE_NS * MINUTE_NS, due)
        if need is None:
            # The day has not had a minute yet.
            self.names[token].booted = True
        elif held:
            self._held[token] = need

    def _release(self, token: int, began: int) -> None:
        """A held one is due when the minute in which its ticks began has stopped changing."""
        need = self._held.get(token)
        if need is not None:
            need.due = max(need.due, _minute_end(began) + REREAD_NS)

    def _find_joins(self, engine: Engine, now_ns: int) -> None:
        board = engine.board()
        names = ("instrument_token", "exchange_timestamp", "prev_close")
        rows = {token: rest for token, *rest in zip(*(board[name].tolist() for name in names), strict=True)}
        for token, name in self.names.items():
            if name.joined or token not in rows:
                continue
            stamp, prev_close = rows[token]
            stamp = stamp or now_ns
            if date_of(stamp) != date_of(now_ns):
                # A cached tick of a day that is over.
                continue
            if date_of(name.began) != date_of(stamp):
                name.began = stamp
                self._release(token, stamp)
            if not name.booted:
                continue
            name.joined = True
            if self.start is not None and _adjusted(name.last_close, prev_close) and not name.adjusted:
                name.adjusted = True
                self.suspect.append(token)
                self._boot(token, self.start(token), now_ns, held=False)
            end = _minute_end(name.began)
            first = min(name.settled_to, end - MINUTE_NS)
            if not self._complete(engine, token, name.began) and self.traded(token, first, end):
                self.add(token, "join", name.settled_to, end, end + SETTLED_NS + _MARGIN_NS)
                if end <= name.settled_to and name.read_ns < end + REREAD_NS:
                    self.add(token, "reread", end - MINUTE_NS, end, end + REREAD_NS)
            name.began = 0

    def _complete(self, engine: Engine, token: int, stamp: int) -> bool:
        """Whether the day was followed from its first trade on (R12)."""
        if token & 0xFF == INDICES:
            return not self.traded(token, midnight(date_of(stamp)), stamp)
        return not engine.account(token)["baseline"]

    def _find_gaps(self, token: int, name: _Name, gaps: Sequence[tuple[int, int]]) -> None:
        for start, end in gaps:
            if end <= name.gaps_to:
                continue
            name.gaps_to = end
            held, settles = self._held.get(token), _minute_end(end) + REREAD_NS
            if held is not None and start <= name.began:
                # From the last stamp before the feed came to the first in it.
                held.due = max(held.due, settles)
            # What a held one misses meanwhile is among the minutes that it is going to be read with.
            if held is None or held.due < settles:
                self._add_gap(token, start, end)

    def _add_gap(self, token: int, start: int, end: int) -> None:
        first, inside = start // MINUTE_NS * MINUTE_NS, end // MINUTE_NS * MINUTE_NS
        # What is over can be subtracted at once; the minute in which the gap ended is read when it is final.
        self.add(token, "gap", first, inside, inside + SETTLED_NS + _MARGIN_NS)
        self.add(token, "end", first, inside + MINUTE_NS, inside + MINUTE_NS + SETTLED_NS + _MARGIN_NS)


def settled(now_ns: int) -> int:
    """Minutes that start before this are final."""
    return (now_ns - SETTLED_NS) // MINUTE_NS * MINUTE_NS


def _adjusted(last_close: float, prev_close: float) -> bool:
    """Whether yesterday's last price and what the exchange calls yesterday's close are of two scales (R35)."""
    known = last_close > 0 and prev_close > 0
    return known and abs(last_close / prev_close - 1) > _ADJUSTED


def _minute_end(at_ns: int) -> int:
    return at_ns // MINUTE_NS * MINUTE_NS + MINUTE_NS
