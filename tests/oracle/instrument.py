"""Oracle, stage tick: what each packet means for its instrument (docs/bars.md 3-7 and 9)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from tests.oracle.base import Base, bases
from tests.oracle.book import NO_VOLUME, Level, Shot, highest, lowest
from tests.oracle.frames import Packet
from tests.oracle.sessions import SECOND, Schedule, ist_day, schedule
from tests.oracle.spread import lay_out

WRAP = 2**32


@dataclass(frozen=True)
class Stamps:
    """The validated clocks of one packet: 0 or None where absent, and the engine's clock before it."""

    ltt: int
    ets: int
    rx: int
    estimate: int | None
    clock: int | None
    watermark: int | None


@dataclass
class Hit:
    """A snapshot that changes bars, with the state before it."""

    shot: Shot
    average: int
    delta: int
    before: Level
    seen: int | None
    source: int
    clamps: bool
    gap: tuple[int, int] | None = None

    def value(self, delta: int, options: dict) -> tuple[int, bool]:
        """R22: twice the value of a delta, and whether the average price could bound it."""
        plain = 2 * self.shot.price * delta
        if options["vwap"] in {"ltp", "hlc3"}:
            return plain, True
        end, average = self.shot.volume, self.average
        start, before = end - delta, self.before.average
        if not self.clamps or average == 0 or (before == 0 and start > 0):
            return plain, False
        if options["vwap"] == "atp":
            return 2 * (end * average - start * before), True
        w = options["w"]
        least = end * (2 * average - w) - start * (2 * before + w)
        most = end * (2 * average + w) - start * (2 * before - w)
        return min(max(plain, least), most), True


class Instrument:
    """One instrument's day: its high water, its bars, its account."""

    def __init__(self, token: int, kind: str, *, divisor: int, tick: int, intervals: list, options: dict) -> None:
        self.token, self.kind, self.divisor, self.tick = token, kind, divisor, tick
        self.options = options
        self.bases: list[Base] = bases(intervals, options)
        self.stats: Counter[str] = Counter()
        self.given_baseline: int | None = None
        self.own_clock: int | None = None
        self.live = False
        self.date: int | None = None
        self.gap_from: int | None = None
        self.oi = self.oi_key = None
        self._new_date()

    def _new_date(self) -> None:
        self.top, self.average, self.trade_time = 0, 0, None
        # What the packet said that set the high water: its own trade time, whatever placed it, and its price.
        self.top_said: tuple[int, int] | None = None
        self.day_open = 0
        self.high = self.low = self.seen = self.joined = None
        self.offset = self.wraps = self.baseline = self.lows = self.low_since = 0
        self.clamps, self.complete = True, True
        self.price_only = self.has_volume = False
        self.prints: list[Hit] = []
        self.bookings: list[list] = []
        self.rebased = 0
        self.auction: dict[str, dict | None] = {"open": None, "close": None}
        for base in self.bases:
            base.new_date()

    @property
    def day(self) -> Schedule:
        """The hours of the current date."""
        return schedule(self.kind, self.date)

    def level(self) -> Level:
        """The high water before the packet at hand."""
        return Level(self.top, self.average, self.high, self.low)

    def book(self, kind: str, amount: int) -> None:
        """Writes volume that is in no bar into the account (R11)."""
        self.bookings.append([kind, amount])

    def account(self) -> dict[str, int]:
        """R11: everything the volume was booked under."""
        names = ("auction_open", "auction_close", "post", "unattributed", "dropped")
        sums = {name: sum(amount for kind, amount in self.bookings if kind == name) for name in names}
        bars = self.bases[0].booked()
        return {"baseline": self.baseline, "last": self.top, "bars": bars, "rebased": self.rebased} | sums

    # Events

    def take(self, p: Packet, at: Stamps, events: list) -> None:
        """One packet's step; the rows it revised go to events."""
        for base in self.bases:
            base.settle(at.clock)
        opened = [base.in_order for base in self.bases]
        if at.ets or at.estimate is not None:
            self._dated(p, at, events)
        else:
            self.stats["untimed"] += 1
        for base in self.bases:
            base.revise(at.clock, self.divisor, events)
        for base, before in zip(self.bases, opened, strict=True):
            if self.options["close_on"] == "next_tick" and base.in_order is not before and base.in_order is not None:
                start = base.in_order.start
                base.seal(lambda _, end: end <= start, self.divisor, events)  # noqa: B023 - used at once

    def sweep(self, clock: int, events: list) -> None:
        """R25: seals what the clock has reached."""
        for base in self.bases:
            base.seal(lambda _, end: end + self.options["grace"] <= clock, self.divisor, events)

    def disconnected(self, at: int) -> None:
        """R13: volume may be missed from the last packet on."""
        if self.gap_from is None:
            self.gap_from = at if self.seen is None else min(self.seen, at)

    # The trading date (docs/bars.md 3)

    def _dated(self, p: Packet, at: Stamps, events: list) -> None:
        stamp = at.ets or at.estimate
        date = ist_day(stamp)
        fresh = self.date is None
        again = False
        volume = None if self.options["volume"] == "none" else p.volume
        if not fresh and date < self.date:
            self.stats["stale"] += 1
            return
        lost = fresh or (date > self.date and self.gap_from is not None)
        earlier = self._undated(p, volume, at, date)
        if earlier and not lost:
            self.stats["stale"] += 1
            return
        if not fresh and date > self.date:
            if volume is not None and not at.ltt and not at.ets:
                again = volume > self.top - self.offset
            for base in self.bases:
                base.seal(lambda *_: True, self.divisor, events)
            fresh = self.gap_from is not None
            self._new_date()
            self.date = date
        if fresh or again:
            self.gap_from = None
            if not self._first_contact(p, volume, at, stamp=stamp, date=date, case4=again, earlier=earlier):
                return
        elif at.ltt and ist_day(at.ltt) < date:
            self.stats["stale"] += 1
            self._quote_fields(p, stamp, self._raw(p))
            return
        if volume is None and self.has_volume:
            self.stats["without_volume"] += 1
            return
        if volume is not None and not (fresh or again) and self.price_only and not self.has_volume:
            # The first volume after price-only packets says nothing about when it was traded.
            self.has_volume, self.gap_from = True, None
            if p.quantity is None and not self._contact_volume(p, volume, at, stamp, case4=False):
                return
        self.has_volume |= volume is not None
        self.price_only |= volume is None
        if not self._sane(p):
            self.stats["price_rejected"] += 1
            self._quote_fields(p, stamp, self._raw(p))
        elif volume is None:
            self._price_only(p, at, stamp)
        else:
            self._with_volume(p, volume, at, stamp)

    def _undated(self, p: Packet, volume: int | None, at: Stamps, date: int) -> bool:
        """R4, R10: a volume without a stamp is an earlier date's if nothing can have traded yet, or if it repeats."""
        if p.quantity is not None or not volume or at.ltt or at.ets:
            return False
        repeats = self.date is not None and date > self.date and volume == self.top - self.offset
        return repeats or schedule(self.kind, date).phase(at.estimate) == "before"

    def _first_contact(
        self, p: Packet, volume: int | None, at: Stamps, *, stamp: int, date: int, case4: bool, earlier: bool
    ) -> bool:  # fmt: skip
        """Cases 1-4; True when the packet then goes on as an ordinary one."""
        today = ist_day(at.rx) if at.rx else date
        self.date = date
        stale = not case4 and (date < today or (at.ltt and ist_day(at.ltt) < date))
        stale = stale or earlier
        given, self.given_baseline = self.given_baseline, None
        if given is not None:
            self.top = self.baseline = given
        if stale:
            self.date = max(today, date)
            self.stats["stale"] += 1
            return False
        if given is not None:
            return True
        if p.quantity is not None:
            return True
        if volume is None:
            self._seed(p)
            if at.ets and (not at.rx or at.rx - at.ets <= self.options["gap_s"]):
                return True
            self.price_only = True
            self._quote_fields(p, stamp, 0)
            return False
        self.has_volume = True
        return self._contact_volume(p, volume, at, stamp, case4=case4)

    def _contact_volume(self, p: Packet, volume: int, at: Stamps, stamp: int, *, case4: bool) -> bool:
        """Cases 2-4 for an instrument whose volume was not known before."""
        if volume == 0 and not case4:
            self.average = p.average
            self._seed(p)
        elif at.ltt and self.day.phase(at.ltt) == "preopen" and not case4:
            return True
        else:
            self.top = self.baseline = volume
            self.average = p.average
            self.trade_time = at.ltt or stamp
            self.top_said = at.ltt, p.price
            self.complete, self.joined = False, stamp
            self._seed(p)
            for base in self.bases:
                base.start_volume(volume, p.average, stamp)
        self._quote_fields(p, stamp, volume)
        return False

    def _seed(self, p: Packet) -> None:
        self.high, self.low = highest(self.high, p.high or None), lowest(self.low, p.low or None)

    def _quote_fields(self, p: Packet, stamp: int, volume: int) -> None:
        """Stamps and OI of any accepted packet of the date (docs/bars.md 5)."""
        if p.open and ist_day(stamp) == self.date and (not p.ltt or p.given or ist_day(p.ltt) == self.date):
            self.day_open = p.open
        self.seen = highest(self.seen, stamp)
        if p.oi is not None:
            key = (stamp, volume)
            if self.oi_key is None or key >= self.oi_key:
                self.oi, self.oi_key = p.oi, key
            for base in self.bases:
                for bar in base.bars:
                    bar.take_oi(key, p.oi)

    def _raw(self, p: Packet) -> int:
        return 0 if self.options["volume"] == "none" else (p.volume or 0) + self.offset

    def _sane(self, p: Packet) -> bool:
        """R21: a price that the packet itself does not contradict."""
        if p.price <= 0 or p.price == 2**31:
            return False
        return not (p.low and p.high) or p.low - self.tick <= p.price <= p.high + self.tick

    # A packet with volume (docs/bars.md 4)

    def _with_volume(self, p: Packet, raw: int, at: Stamps, stamp: int) -> None:
        volume = self.top + p.quantity if p.quantity is not None else self._unwrapped(raw)
        t, source = self._trade_time(p, at)
        hit = Hit(
            Shot(t, volume, p.price, p.high or None, p.low or None, p.open), p.average, volume - self.top,
            self.level(), self.seen, source, self.clamps,
        )  # fmt: skip
        if volume == self.top:
            same = at.ltt != 0 and (at.ltt, p.price) == self.top_said
            self.stats["duplicates"] += same and (p.oi is None or p.oi == (self.oi or 0))
            self.lows, self.gap_from = 0, None
        elif volume > self.top:
            self.lows = 0
            self._trade(hit, at, stamp, given=p.given)
            self.top_said = at.ltt, p.price
        elif self.trade_time is not None and t <= self.trade_time:
            self._late(hit, at.clock)
        else:
            before = self.offset
            self._rollback(hit, raw, at.clock, stamp)
            volume += self.offset - before
            if self.offset != before:
                self.top_said = at.ltt, p.price
        self._quote_fields(p, stamp, volume)

    def _unwrapped(self, raw: int) -> int:
        """R14 iii: the unsigned 32-bit counter may pass its end."""
        reached = self.top - self.offset
        if (reached % WRAP) * 10 > 9 * WRAP and raw * 10 < WRAP:
            self.offset += WRAP
            self.wraps += 1
        elif self.wraps and raw * 10 > 9 * WRAP and reached * 10 < WRAP:
            return raw + self.offset - WRAP
        return raw + self.offset

    def _trade_time(self, p: Packet, at: Stamps) -> tuple[int, int]:
        """R2: the clock that says which bar, and its source."""
        if p.given and at.ets:
            return at.ets, 0
        if self.options["bucket_by"] == "receive" and at.rx:
            return at.rx, 3
        if self.options["bucket_by"] == "ltt" and at.ltt and (not at.ets or at.ltt <= at.ets + 2 * SECOND):
            return at.ltt, 1
        return (at.ets, 2) if at.ets else (at.estimate, 3)

    def _trade(self, hit: Hit, at: Stamps, stamp: int, *, given: bool) -> None:
        t = hit.shot.t
        barred = self.day.phase(t) != "continuous" and self.bases[0].span(self.day, t) is not None
        if self.trade_time is not None and t < self.trade_time and not barred:
            spans = [(base, base.amendable(self.day, t)) for base in self.bases]
            closed = [span for base, span in spans if span and base.is_final(span[1], at.clock)]
            if closed and hit.source == 1 and at.ets:
                moved = max(at.ets, self.trade_time)
                s = hit.shot
                hit.shot = Shot(moved, s.volume, s.price, s.high, s.low, s.open)
                hit.source = 2
            else:
                self._late_trade(hit, at.clock)
                return
        if self.gap_from is not None:
            hit.gap = (self.gap_from, hit.shot.t)
        elif self.seen is not None and stamp - self.seen > self.options["gap_s"] and (at.watermark or 0) > self.seen:
            # Whoever pushes ticks knows whether a silence was one.
            hit.gap = None if given else (self.seen, hit.shot.t)
        self.gap_from = None
        self._book_trade(hit, at.clock)
        self._advance(hit)
        self.trade_time = hit.shot.t if self.trade_time is None else max(self.trade_time, hit.shot.t)

    def _advance(self, hit: Hit) -> None:
        self.top, self.average = hit.shot.volume, hit.average
        self.high, self.low = highest(self.high, hit.shot.high), lowest(self.low, hit.shot.low)

    def _book_trade(self, hit: Hit, clock: int | None) -> None:
        """A trade goes where its phase says: into bars, or under a name of its own."""
        phase = self.day.phase(hit.shot.t)
        if phase in {"preopen", "auction"}:
            self._auction("open" if phase == "preopen" else "close", hit)
        if phase != "continuous":
            for base in self.bases:
                base.shift(hit.shot.t, hit.delta)
        if self.bases[0].span(self.day, hit.shot.t) is None:
            self._book_phase(phase, hit)
            for base in self.bases:
                if hit.gap is not None:
                    base.mark_gap(self.day, hit.gap, clock, None)
            return
        waiting = self.bases[0].newest is None
        excluded = hit.gap is not None and phase == "continuous" and self.options["gap_volume"] == "exclude"
        for index, base in enumerate(self.bases):
            placed, began, rest = 0, None, hit
            if hit.gap is not None and phase == "continuous" and self.options["gap_volume"] == "spread":
                placed, began = lay_out(base, self.day, clock, self, hit)
            if placed:
                before = Level(hit.before.volume + placed, hit.before.average, hit.before.high, hit.before.low)
                rest = replace(hit, delta=hit.delta - placed, before=before)
            taken = base.trade(self.day, clock, self, rest)
            if not taken and phase == "continuous":
                base.shift(hit.shot.t, rest.delta)
            if index == 0 and not taken:
                self.stats["late_dropped"] += 1
                self.book("unattributed", rest.delta)
            elif index == 0 and excluded:
                self.book("unattributed", hit.delta)
            if hit.gap is not None and began is None:
                own = base.span(self.day, hit.shot.t)[0] if taken else None
                base.mark_gap(self.day, hit.gap, clock, own)
        self._fold_booked(waiting)

    def _fold_booked(self, waiting: bool) -> None:
        """The auction's prints are the first bar's, if it opened just now."""
        if waiting and self.prints and self.bases[0].newest is not None:
            self.bookings = [entry for entry in self.bookings if entry[0] != "auction_open"]

    def _auction(self, which: str, hit: Hit) -> None:
        volume = hit.delta + (self.auction[which] or {"volume": 0})["volume"]
        self.auction[which] = {"price": hit.shot.price, "volume": volume, "time": hit.shot.t}

    def _book_phase(self, phase: str, hit: Hit) -> None:
        if phase == "preopen":
            self.book("dropped" if self.options["preopen"] == "drop" else "auction_open", hit.delta)
            if self.options["preopen"] == "fold":
                self.prints.append(hit)
        elif phase == "auction":
            self.book("auction_close", hit.delta)
        elif phase in {"post", "after"} or hit.shot.t > self.day.legs[-1][1]:
            self.book("dropped" if self.options["postclose"] == "drop" else "post", hit.delta)
        else:
            self.book("unattributed", hit.delta)

    def _late_trade(self, hit: Hit, clock: int | None) -> None:
        self.stats["late"] += self.bases[0].amendable(self.day, hit.shot.t) is not None
        phase = self.day.phase(hit.shot.t)
        if self.bases[0].amendable(self.day, hit.shot.t) is None:
            if phase in {"preopen", "auction"}:
                self._auction("open" if phase == "preopen" else "close", hit)
            self._book_phase(phase, hit)
        waiting = self.bases[0].newest is None
        for index, base in enumerate(self.bases):
            span = base.amendable(self.day, hit.shot.t)
            bar = base.place(self.day, hit.shot.t, self.level(), clock, self)
            if bar is not None:
                base.late_trade(bar, hit)
                continue
            base.shift(span[0] if span else hit.shot.t, hit.delta)
            if index == 0 and span is not None:
                self.stats["late_dropped"] += 1
                self.book("unattributed", hit.delta)
        self._fold_booked(waiting)
        self._advance(hit)

    def _late(self, hit: Hit, clock: int | None) -> None:
        self.stats["late"] += 1
        if hit.shot.volume <= self.baseline:
            return
        for index, base in enumerate(self.bases):
            waiting = base.newest is None
            bar = base.place(self.day, hit.shot.t, self.level(), clock, self)
            booked, before = base.booked(), base.volumes()
            if bar is None:
                self.stats["late_dropped"] += index == 0 and base.amendable(self.day, hit.shot.t) is not None
                continue
            if index == 0:
                self._fold_booked(waiting)
            base.late(bar, hit, before)
            if index == 0:
                self._take_back(base.booked() - booked)

    def _take_back(self, gained: int) -> None:
        """Volume that a late snapshot gave to a bar and no later bar had comes from the latest other bookings."""
        for entry in reversed(self.bookings):
            part = min(gained, entry[1])
            entry[1] -= part
            gained -= part

    def _rollback(self, hit: Hit, raw: int, clock: int | None, stamp: int) -> None:
        if self.lows == 0:
            self.low_since = stamp
        self.lows += 1
        for base in self.bases:
            base.rollback(self.day, Shot(hit.shot.t, self.top, hit.shot.price), clock)
        if self.lows == 5 or stamp - self.low_since >= 10 * SECOND:
            self.offset = self.top - raw
            self.rebased -= hit.delta
            self.trade_time, self.clamps, self.lows = hit.shot.t, False, 0
            for base in self.bases:
                base.rebase(self.day, hit.shot.t, clock)

    # A packet without volume (docs/bars.md 6)

    def _price_only(self, p: Packet, at: Stamps, stamp: int) -> None:
        self.gap_from = None
        self.price_only = True
        if p.given and at.ets:
            t, source = stamp, 0
        elif self.options["bucket_by"] == "receive" and at.rx:
            t, source = at.rx, 3
        else:
            t, source = (at.ets, 2) if at.ets else (at.estimate, 3)
        shot = Shot(t, 0, p.price, p.high or None, p.low or None, p.open)
        hit = Hit(shot, 0, 0, self.level(), self.seen, source, True)
        if self.day.phase(t) != "continuous":
            self.stats["outside"] += 1
        else:
            late = False
            for index, base in enumerate(self.bases):
                behind = base.newest is not None and t < base.newest.last.t
                late |= index == 0 and behind
                bar = base.place(self.day, t, self.level(), at.clock, self)
                if bar is None:
                    self.stats["late_dropped"] += index == 0
                    continue
                if bar.updates == 0:
                    base.in_order = base.in_order if behind else bar
                    bar.straddle = not behind and (self.seen is None or self.seen < bar.start)
                bar.show(hit.shot)
                bar.take_extremes(hit.shot)
                bar.updates += 1
                bar.source = max(bar.source, source)
                bar.flags |= NO_VOLUME
            self.stats["late"] += late
        self.high, self.low = highest(self.high, hit.shot.high), lowest(self.low, hit.shot.low)
        self._quote_fields(p, stamp, 0)
