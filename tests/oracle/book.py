"""Oracle, stage bar: the bars of one instrument in one base, recomputed from what they hold (docs/bars.md 4a-4c)."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field

PARTIAL, GAP, TIME_APPROX, NO_VOLUME, NO_OI, H_AMBIG, L_AMBIG = 1, 2, 8, 16, 32, 64, 128
VOL_REBASED, AUCTION = 256, 1024

# One object, so that rows with it compare equal.
NAN = math.nan


def highest(*values: int | None) -> int | None:
    """The highest of those that are known."""
    return max((value for value in values if value is not None), default=None)


def lowest(*values: int | None) -> int | None:
    """The lowest of those that are known."""
    return min((value for value in values if value is not None), default=None)


def f32(value: float) -> float:
    """The nearest float32, as a float."""
    return struct.unpack("f", struct.pack("f", value))[0]


@dataclass(frozen=True)
class Level:
    """What the day has reached: cumulative volume, its average price, the day's extremes."""

    volume: int
    average: int
    high: int | None
    low: int | None


@dataclass(frozen=True)
class Shot:
    """A snapshot in a bar, ordered by (t, volume)."""

    t: int
    volume: int
    price: int
    high: int | None = None
    low: int | None = None
    open: int = 0

    @property
    def key(self) -> tuple[int, int]:
        """R20: by trade time, then by volume."""
        return self.t, self.volume


@dataclass
class Bar:
    """What a bar holds."""

    start: int
    end: int
    floor: Level
    straddle: bool = False
    first: Shot | None = None
    last: Shot | None = None
    prices: list[int] = field(default_factory=list)
    top: tuple[int, int] | None = None
    high: int | None = None
    low: int | None = None
    value2: int = 0
    updates: int = 0
    oi: int | None = None
    oi_key: tuple[int, int] | None = None
    flags: int = 0
    source: int = 0
    gap_volume: int = 0
    clamp: bool = True
    gaps: list[tuple[int, int]] = field(default_factory=list)
    joined: int | None = None
    first_of_date: bool = False
    sealed: bool = False
    frozen: Content | None = None

    def show(self, shot: Shot) -> None:
        """Takes a snapshot's price: first and last by key; at equal keys the first stays and the last is replaced."""
        if self.first is None or shot.key < self.first.key:
            self.first = shot
        if self.last is None or shot.key >= self.last.key:
            self.last = shot
        self.prices = [min([*self.prices, shot.price]), max([*self.prices, shot.price])]

    def show_late(self, shot: Shot) -> None:
        """As show, but at equal keys the earlier arrival stays."""
        if self.last is not None and shot.key == self.last.key:
            self.prices = [min([*self.prices, shot.price]), max([*self.prices, shot.price])]
        else:
            self.show(shot)

    def take_extremes(self, shot: Shot) -> None:
        """Remembers the day's extremes that came with a snapshot."""
        self.high = highest(self.high, shot.high)
        self.low = lowest(self.low, shot.low)

    def take_oi(self, key: tuple[int, int], oi: int) -> None:
        """OI as of the bar's end (R30)."""
        if key[0] < self.end and (self.oi_key is None or key >= self.oi_key):
            self.oi, self.oi_key = oi, key


def carried(bar: Bar, before: Level | None) -> Level:
    """The level at which a bar begins."""
    floor = bar.floor
    if before is None:
        return floor
    reached = before if before.volume > floor.volume else floor
    extremes = highest(floor.high, before.high), lowest(floor.low, before.low)
    return Level(reached.volume, reached.average, *extremes)


def ended(bar: Bar, carry: Level) -> Level:
    """The level at which a bar ends."""
    volume, average = carry.volume, carry.average
    if bar.top is not None and bar.top[0] > volume:
        volume, average = bar.top
    return Level(volume, average, highest(carry.high, bar.high), lowest(carry.low, bar.low))


@dataclass(frozen=True)
class Content:
    """What a bar says, in integers; a fold is made of these."""

    start: int
    end: int
    open: int
    high: int
    low: int
    close: int
    volume: int
    value2: int
    spread: int | None
    oi: int | None
    ticks: int
    flags: int
    source: int
    bps: int
    length: int
    gap_volume: int


def content(bar: Bar, carry: Level, end: Level, options: dict) -> Content:
    """What a bar says (docs/bars.md 4b)."""
    low, high = bar.prices
    flags = bar.flags
    # Where the day's extremes were not known before, those of the bar's first snapshot stand in for them.
    above = bar.first.high if carry.high is None else carry.high
    below = bar.first.low if carry.low is None else carry.low
    ambiguous = bar.straddle and bar.high == bar.first.high
    usable = options["extremes"] == "apply" or (options["extremes"] == "skip" and not ambiguous)
    if usable and above is not None and bar.high is not None and bar.high > max(above, high):
        high = bar.high
        flags |= H_AMBIG if ambiguous else 0
    ambiguous = bar.straddle and bar.low == bar.first.low
    usable = options["extremes"] == "apply" or (options["extremes"] == "skip" and not ambiguous)
    if usable and below is not None and bar.low is not None and bar.low < min(below, low):
        low = bar.low
        flags |= L_AMBIG if ambiguous else 0
    opening = bar.first.price
    if options["open_source"] == "day_open" and bar.first_of_date and bar.first.open:
        opening = bar.first.open
        low, high = min(low, opening), max(high, opening)

    volume = end.volume - carry.volume
    value2, spread = bar.value2, None
    averages = end.average and (carry.average or carry.volume == 0)
    if options["vwap"] == "hybrid" and bar.clamp and averages and volume:
        w = options["w"]
        least = end.volume * (2 * end.average - w) - carry.volume * (2 * carry.average + w)
        most = end.volume * (2 * end.average + w) - carry.volume * (2 * carry.average - w)
        value2, spread = min(max(value2, least), most), most - least
    if options["vwap"] != "atp":
        value2 = min(max(value2, 2 * low * volume), 2 * high * volume)
    if volume == 0:
        value2 = 0

    flags |= TIME_APPROX if bar.source == 3 else 0
    flags |= NO_OI if bar.oi is None else 0
    return Content(
        bar.start, bar.end, opening, high, low, bar.last.price, volume, value2, spread, bar.oi, bar.updates, flags,
        bar.source, covered(bar) * 10_000 // (bar.end - bar.start), bar.end - bar.start, bar.gap_volume,
    )  # fmt: skip


def covered(bar: Bar) -> int:
    """Nanoseconds of a bar that were connected: not before the join, not inside a gap that flagged it."""
    holes = list(bar.gaps)
    if bar.joined is not None:
        holes.append((bar.start, bar.joined))
    missing = sum(max(0, min(end, bar.end) - max(start, bar.start)) for start, end in holes)
    return max(0, bar.end - bar.start - missing)


def fold(span: tuple[int, int], minutes: list[Content], joined: bool) -> Content:
    """An n-minute bar from its minutes, oldest first (R27, docs/bars.md 4c)."""
    volumes = [minute for minute in minutes if minute.volume]
    spread = None
    if volumes and all(minute.spread is not None for minute in volumes):
        spread = sum(minute.spread for minute in volumes)
    flags = PARTIAL if joined else 0
    for minute in minutes:
        flags |= minute.flags
    for lacking in (NO_OI, NO_VOLUME):
        if not all(minute.flags & lacking for minute in minutes):
            flags &= ~lacking
    return Content(
        *span,
        minutes[0].open,
        max(minute.high for minute in minutes),
        min(minute.low for minute in minutes),
        minutes[-1].close,
        sum(minute.volume for minute in minutes),
        sum(minute.value2 for minute in minutes),
        spread,
        next((minute.oi for minute in reversed(minutes) if minute.oi is not None), None),
        sum(minute.ticks for minute in minutes),
        flags,
        max(minute.source for minute in minutes),
        sum(minute.bps * minute.length for minute in minutes) // sum(minute.length for minute in minutes),
        sum(minute.length for minute in minutes),
        sum(minute.gap_volume for minute in minutes),
    )


def row(c: Content, rev: int, divisor: int, options: dict) -> dict:
    """The columns of a bar, with the floating-point operations that docs/bars.md names."""
    opening, high, low, close = (float(price) / float(divisor) for price in (c.open, c.high, c.low, c.close))
    vwap = vwap_err = NAN
    if c.volume:
        if options["vwap"] == "hlc3":
            vwap = min(max((high + low + close) / 3.0, low), high)
        else:
            vwap = float(c.value2) / float(2 * c.volume * divisor)
            if options["vwap"] != "atp":
                vwap = min(max(vwap, low), high)
        if c.spread is not None:
            vwap_err = f32(float(c.spread) / float(4 * c.volume * divisor))
    return {
        "time": c.start, "end": c.end, "open": opening, "high": high, "low": low, "close": close,
        "volume": c.volume, "vwap": vwap, "oi": c.oi or 0, "ticks": c.ticks, "flags": c.flags, "vwap_err": vwap_err,
        "coverage": f32(c.bps / 10_000.0), "rev": rev, "time_source": c.source, "src": 1,
        "gap_volume": c.gap_volume,
    }  # fmt: skip
