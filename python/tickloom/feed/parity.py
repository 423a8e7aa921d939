"""Parity: how far minutes made of ticks agree with a broker's own, and under which options best (stage feed; R40).

The broker's minutes are made of snapshots too, and corrected later: agreement is a report, never a promise.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tickloom._core import Engine
from tickloom.history.base import MINUTE_NS, SETTLED_NS, Instrument, Minutes, date_of, midnight
from tickloom.model import BarSource, Flags
from tickloom.sources.replay import Replay

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tickloom.history.base import History

__all__ = ["WAYS", "Match", "compare", "match_ways", "settled_part", "total"]

_PRICES = ("open", "high", "low", "close")
_DOUBTFUL = int(Flags.PARTIAL | Flags.GAP | Flags.MISSING)
_AFTER_NS = 60_000_000_000

WAYS: Sequence[dict[str, str]] = [
    {"bucket_by": bucket_by, "preopen": preopen, "open_source": open_source}
    for bucket_by, preopen, open_source in itertools.product(
        ("ltt", "exchange"), ("separate", "fold"), ("first_trade", "day_open")
    )
]
"""The options of `Engine` that are compared."""


@dataclass(frozen=True, slots=True)
class Match:
    """How minutes of ours agree with theirs. Counts of minutes; prices are compared to the last bit."""

    minutes: int = 0
    """That both have, ours seen whole."""
    ours: int = 0
    """That only we have."""
    theirs: int = 0
    """That only they have, between our first and our last."""
    open: int = 0
    high: int = 0
    low: int = 0
    close: int = 0
    volume: int = 0
    whole: int = 0
    """In which all five agree."""
    volume_error: int = 0
    """Sum of the differences of volume of the minutes that both have, without their signs."""
    volume_sum: int = 0
    """Their volume in those minutes."""

    def rate(self, name: str) -> float:
        """The share of minutes that agree in `open`, ..., `volume` or `whole`; NaN if there are none."""
        return float(getattr(self, name)) / self.minutes if self.minutes else float("nan")

    @property
    def volume_off(self) -> float:
        """The error as a share of their volume; NaN without volume."""
        return self.volume_error / self.volume_sum if self.volume_sum else float("nan")

    def __add__(self, other: Match) -> Match:
        return Match(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))


def total(matches: Mapping[int, Match]) -> Match:
    """All instruments together."""
    return sum(matches.values(), Match())


def compare(ours: Mapping[str, Any], theirs: Minutes) -> Match:
    """Columns of "1m" candles against history. Bars that the feed saw in part, or that are history's, do not count."""
    seen = (ours["src"] == BarSource.LIVE) & ((ours["flags"].astype(np.int64) & _DOUBTFUL) == 0)
    times = ours["time"][seen]
    if not len(times) or not len(theirs):
        return Match(ours=len(times))
    theirs = theirs.between(int(times[0]), int(times[-1]) + 1)
    _, mine, other = np.intersect1d(times, theirs.time, assume_unique=True, return_indices=True)
    same = {name: ours[name][seen][mine] == getattr(theirs, name)[other] for name in _PRICES}
    volumes = (ours["volume"][seen][mine], np.zeros(len(other), np.int64))
    if theirs.volume is not None:
        volumes = (volumes[0], theirs.volume[other])
    same["volume"] = volumes[0] == volumes[1]
    doubtful = np.isin(theirs.time, ours["time"][~seen])
    return Match(
        minutes=len(mine), ours=len(times) - len(mine), theirs=len(theirs) - len(other) - int(doubtful.sum()),
        whole=int(np.logical_and.reduce(list(same.values())).sum()),
        volume_error=int(np.abs(volumes[0] - volumes[1]).sum()), volume_sum=int(volumes[1].sum()),
        **{name: int(agree.sum()) for name, agree in same.items()},
    )  # fmt: skip


def match_ways(
    journal: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    history: History,
    *,
    symbols: Mapping[int, str] | None = None,
    now_ns: int | None = None,
    told: Callable[[str], None] = lambda _: None,
) -> Iterator[tuple[dict[str, str], dict[int, Match]]]:
    """Replays a recording under each of `WAYS` and compares its minutes, instrument by instrument.

    History is read once, for the dates of the recording; an instrument without any is left out, and `told` why. Without
    `symbols` instruments are named as in the journal, by Upstox's keys, or not at all. Raises
    what `Replay` and `History.fetch` raise, but for UnknownInstrument.
    """
    theirs: dict[int, Minutes] = {}
    for way in WAYS:
        replay = Replay(journal, speed=None)
        try:
            spans = [each.span for each in replay.journals if each.span is not None]
            if not spans:
                raise ValueError("nothing is recorded in it")
            first, last = min(start for start, _ in spans), max(end for _, end in spans)
            options: Any = way
            engine = Engine(["1m"], 2_000, **options)
            replay.into(engine)
            named = symbols or {token: name for name, token in replay.symbols.items()}
        finally:
            replay.close()
        engine.advance(last + _AFTER_NS)
        if not theirs:
            theirs = _fetch(engine, history, named, (first, last), now_ns, told)
        yield way, {token: compare(engine.candles(token, "1m").columns(), theirs[token]) for token in theirs}


def _fetch(
    engine: Engine,
    history: History,
    symbols: Mapping[int, str],
    span: tuple[int, int],
    now_ns: int | None,
    told: Callable[[str], None],
) -> dict[int, Minutes]:
    found: dict[int, Minutes] = {}
    for token, _ in engine.instruments:
        try:
            start = midnight(date_of(span[0]))
            end = span[1] // MINUTE_NS * MINUTE_NS + MINUTE_NS
            found[token] = history.fetch(Instrument(token, symbols.get(token)), start, end, now_ns=now_ns)
        except KeyError as error:
            told(str(error))
    return found


def settled_part(minutes: Minutes, now_ns: int) -> Minutes:
    """Those that were final at this time (R32)."""
    return minutes.between(0, now_ns - SETTLED_NS - MINUTE_NS + 1)
