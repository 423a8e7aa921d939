"""Oracle, stage aggregate: the bases of one instrument and the rows they seal (docs/bars.md 4a, 4c, 8)."""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field, replace

from tests.oracle.book import (
    AUCTION,
    GAP,
    PARTIAL,
    VOL_REBASED,
    Bar,
    Content,
    Level,
    Shot,
    carried,
    content,
    ended,
    fold,
    row,
)
from tests.oracle.sessions import MINUTE, Schedule


@dataclass
class Series:
    """The sealed rows of one interval, oldest first, and the events they gave."""

    name: str
    step: int
    rows: list[dict] = field(default_factory=list)

    def seal(self, values: dict, events: list) -> None:
        """Adds a row at its place in time."""
        insort(self.rows, values, key=lambda values: values["time"])
        events.append((self.name, "closed", values["rev"], values))

    def revise(self, values: dict, events: list) -> None:
        """Replaces the row of the same start if any column changed."""
        at = next(i for i in range(len(self.rows) - 1, -1, -1) if self.rows[i]["time"] == values["time"])
        values |= {"rev": self.rows[at]["rev"]}
        if values != self.rows[at]:
            values["rev"] = min(values["rev"] + 1, 255)
            self.rows[at] = values
            events.append((self.name, "revised", values["rev"], values))


@dataclass
class Fold:
    """An n-minute bar: which minutes it is made of."""

    start: int
    end: int
    joined: bool
    parts: list[Bar] = field(default_factory=list)
    sealed: bool = False
    grown: bool = False


class Base:
    """The bars of one step, and for the base of minutes the intervals folded from them."""

    def __init__(self, step: int, intervals: list[tuple[str, int]], options: dict) -> None:
        self.step = step
        self.options = options
        self.own = next((Series(*item) for item in intervals if item[1] == step), None)
        self.folds = [(Series(*item), {}) for item in sorted(intervals, key=lambda i: i[1]) if item[1] != step]
        self.new_date()

    def new_date(self) -> None:
        """Forgets the bars of the date that ended; their rows stay."""
        self.bars: list[Bar] = []
        self.final: list[Bar] = []
        self.done: Level | None = None
        self.newest: Bar | None = None
        self.in_order: Bar | None = None
        self.rebased_next = False
        for _, made in self.folds:
            made.clear()

    def span(self, day: Schedule, t: int, step: int | None = None) -> tuple[int, int] | None:
        """The bar of t: continuous trading, and the auctions where they have bars."""
        phase = day.phase(t)
        if phase == "preopen" and self.options["preopen"] == "bar":
            return day.preopen[0], day.legs[0][0]
        if phase == "post" and self.options["postclose"] == "bar":
            return day.post
        return day.bucket(t, step or self.step, self.options["anchor"], self.options["tail"])

    def amendable(self, day: Schedule, t: int) -> tuple[int, int] | None:
        """The bar of t that something else than a trade in order may change: the auctions' bars are not."""
        return self.span(day, t) if day.phase(t) == "continuous" else None

    def is_final(self, end: int, clock: int | None) -> bool:
        """R25: nothing amends a bar once the clock has passed its end by more than the revision window."""
        return clock is not None and clock > end + self.options["revise"]

    def settle(self, clock: int | None) -> None:
        """Fixes the bars that have become final."""
        while self.bars and self.bars[0].sealed and self.is_final(self.bars[0].end, clock):
            (bar, carry, end), *_ = self.walk()
            bar.frozen = content(bar, carry, end, self.options)
            self.final.append(self.bars.pop(0))
            self.done = end

    def walk(self) -> list[tuple[Bar, Level, Level]]:
        """Every bar that is not fixed, with the levels at its start and its end."""
        walked, before = [], self.done
        for bar in self.bars:
            carry = carried(bar, before)
            before = ended(bar, carry)
            walked.append((bar, carry, before))
        return walked

    def contents(self) -> dict[int, Content]:
        """What every bar of the date says, by start."""
        said = {bar.start: bar.frozen for bar in self.final}
        return said | {bar.start: content(bar, carry, end, self.options) for bar, carry, end in self.walk()}

    def volumes(self) -> dict[int, int]:
        """The volume of every bar that is not fixed, by start."""
        return {bar.start: end.volume - carry.volume for bar, carry, end in self.walk()}

    def booked(self) -> int:
        """The volume of all bars of the date."""
        return sum(bar.frozen.volume for bar in self.final) + sum(self.volumes().values())

    def find(self, start: int) -> Bar | None:
        """The bar of this start that is not fixed yet."""
        return next((bar for bar in self.bars if bar.start == start), None)

    def open(self, day: Schedule, span: tuple[int, int], floor: Level, state) -> Bar:
        """Puts a new bar at its place, with the OI as of its end and its place in every fold."""
        bar = Bar(*span, floor)
        if state.joined is not None and span[0] <= state.joined < span[1]:
            bar.flags |= PARTIAL
            bar.joined = state.joined
        inserted = self.newest is not None and self.newest.start > bar.start
        known = self.bars if inserted else [*self.final, *self.bars]
        before = [other for other in known if other.start < bar.start]
        if state.oi_key is not None and state.oi_key[0] < bar.end:
            bar.oi, bar.oi_key = state.oi, state.oi_key
        elif before:
            bar.oi, bar.oi_key = before[-1].oi, before[-1].oi_key
        insort(self.bars, bar, key=lambda bar: bar.start)
        traded = [other for other in [*self.final, *self.bars] if day.phase(other.start) == "continuous"]
        for index, other in enumerate(traded):
            other.first_of_date = state.complete and index == 0
        if self.newest is None or bar.start > self.newest.start:
            self.newest = bar
        for series, made in self.folds:
            start, end = self.span(day, bar.start, series.step)
            joined = state.joined is not None and start <= state.joined < end
            whole = made.setdefault(start, Fold(start, end, joined))
            insort(whole.parts, bar, key=lambda bar: bar.start)
            whole.grown = True
        return bar

    def place(self, day: Schedule, t: int, floor: Level, clock: int | None, state) -> Bar | None:
        """The bar of t for a late snapshot, inserted if its window is open; None when it is final."""
        span = self.amendable(day, t)
        if span is None or self.is_final(span[1], clock):
            return None
        found = self.find(span[0])
        if found is None:
            if any(bar.start == span[0] for bar in self.final):
                return None
            later = [bar for bar in self.bars if bar.start > span[0]]
            prints = state.prints if self._before_all() else []
            if prints:
                floor = prints[0].before
            found = self.open(day, span, later[0].floor if later else floor, state)
            self._fold_in(found, prints, state.top)
        return found

    def start_volume(self, volume: int, average: int, joined: int) -> None:
        """Volume is known from here on: the bars that price-only packets opened begin at this level."""
        for bar in self.bars:
            bar.floor = Level(volume, average, bar.floor.high, bar.floor.low)
            if bar.start <= joined < bar.end:
                bar.flags |= PARTIAL
                bar.joined = joined
        for _, made in self.folds:
            for whole in made.values():
                whole.joined = whole.start <= joined < whole.end

    # What the clock and corrections make of the bars.

    def revise(self, clock: int | None, divisor: int, events: list) -> None:
        """Writes again the sealed rows that changed (R25)."""
        said = self.contents()
        for bar in self.bars:
            if self.own and bar.sealed and not self.is_final(bar.end, clock):
                self.own.revise(row(said[bar.start], 0, divisor, self.options), events)
        for series, made in self.folds:
            for whole in sorted(made.values(), key=lambda whole: whole.start):
                # A gap tick may open a minute past its window: its fold follows, or the volumes would part (R27).
                if whole.sealed and (whole.grown or not self.is_final(whole.end, clock)):
                    series.revise(self.fold_row(whole, said, divisor), events)
                whole.grown = False

    def fold_row(self, whole: Fold, said: dict[int, Content], divisor: int) -> dict:
        """The columns of an n-minute bar."""
        minutes = [said[part.start] for part in whole.parts]
        return row(fold((whole.start, whole.end), minutes, whole.joined), 0, divisor, self.options)

    def seal(self, due, divisor: int, events: list) -> None:
        """Seals the bars for which due(start, end) holds: own bars by start, then the folds, shortest first."""
        waiting = [bar for bar in self.bars if not bar.sealed and due(bar.start, bar.end)]
        folds = [
            (series, whole)
            for series, made in self.folds
            for whole in sorted(made.values(), key=lambda whole: whole.start)
            if not whole.sealed and due(whole.start, whole.end)
        ]
        said = self.contents() if waiting or folds else {}
        for bar in waiting:
            bar.sealed = True
            if self.own:
                self.own.seal(row(said[bar.start], 0, divisor, self.options), events)
        for series, whole in folds:
            whole.sealed = True
            series.seal(self.fold_row(whole, said, divisor), events)

    def unsealed(self, name: str, divisor: int) -> list[dict]:
        """The rows that the unsealed bars of an interval would be."""
        said = self.contents()
        if self.own and self.own.name == name:
            return [row(said[bar.start], 0, divisor, self.options) for bar in self.bars if not bar.sealed]
        made = next(made for series, made in self.folds if series.name == name)
        ordered = sorted(made.values(), key=lambda whole: whole.start)
        return [self.fold_row(whole, said, divisor) for whole in ordered if not whole.sealed]

    # What a snapshot does to the bars.

    def trade(self, day: Schedule, clock: int | None, state, hit) -> bool:
        """A trade in order. False when its bar is final, and nothing was taken."""
        span = self.span(day, hit.shot.t)
        bar = None
        if self.newest is not None and span[0] <= self.newest.start:
            bar = self.find(span[0])
            # An auction that shows after prices of the first leg still has its own bar.
            if self.is_final(span[1], clock) or (bar is None and day.phase(hit.shot.t) == "continuous"):
                return False
        elif self.is_final(span[1], clock) and hit.gap is None:
            return False
        delta, shared = hit.delta, False
        traded = day.phase(hit.shot.t) == "continuous"
        if bar is None:
            known = [other for other in self.bars if day.phase(other.start) == "continuous"]
            previous = next((other for other in reversed(known) if other.start < span[0]), None)
            later = [other for other in self.bars if other.start > span[0]]
            # What lies behind an auction that shows late has been lifted by it already.
            floor = replace(later[0].floor, volume=later[0].floor.volume - delta) if later else hit.before
            bar = self.begin(day, span, state, replace(hit, before=floor) if not traded else hit)
            if self.options["edge_split"] == "prorata" and bar.straddle and hit.gap is None and traded:
                share = self._share(bar, previous, hit, state, clock)
                delta -= share or 0
                shared = share is not None
        reached = next(end for other, _, end in self.walk() if other is bar)
        if not traded and reached.volume != hit.before.volume:
            self._raise(bar, hit)
            return True
        marked = hit.gap is not None and traded
        if marked:
            self._gap(bar, hit)
        if marked and self.options["gap_volume"] == "exclude":
            self._exclude(bar, hit)
        else:
            plain = shared or hit.before.volume != state.top
            value2, bounded = (2 * hit.shot.price * delta, False) if plain else hit.value(delta, self.options)
            bar.value2 += value2
            bar.clamp &= bounded
        self._update(bar, hit)
        return True

    def begin(self, day: Schedule, span: tuple[int, int], state, hit) -> Bar:
        """A new bar for a trade in order, with the auction's prints if they belong to it."""
        floor = hit.before
        prints = state.prints if day.phase(hit.shot.t) == "continuous" and self._before_all() else []
        if prints:
            floor = prints[0].before
        bar = self.in_order = self.open(day, span, floor, state)
        bar.straddle = state.seen is None or state.seen < bar.start
        bar.flags |= VOL_REBASED if self.rebased_next else 0
        self.rebased_next = False
        self._fold_in(bar, prints, hit.before.volume)
        if day.phase(hit.shot.t) != "continuous":
            bar.flags |= AUCTION
        return bar

    def _fold_in(self, bar: Bar, prints: list, level: int) -> None:
        """R8 preopen="fold": the auction's prints are the first updates of the date's first bar, opened at a level."""
        level -= sum(print_.delta for print_ in prints)
        if prints and level != bar.floor.volume:
            bar.floor = Level(level, bar.floor.average, bar.floor.high, bar.floor.low)
            bar.clamp = False
        for print_ in prints:
            level += print_.delta
            if bar.updates == 0:
                bar.straddle = print_.seen is None or print_.seen < bar.start
            value2, bounded = print_.value(print_.delta, self.options)
            bar.value2 += value2
            bar.clamp &= bounded
            bar.flags |= AUCTION
            self._update(bar, replace(print_, shot=replace(print_.shot, volume=level)))

    def _before_all(self) -> bool:
        return not self.bars and not self.final

    def _update(self, bar: Bar, hit) -> None:
        bar.show(hit.shot)
        bar.take_extremes(hit.shot)
        if bar.top is None or hit.shot.volume > bar.top[0]:
            bar.top = hit.shot.volume, hit.average
        bar.updates += 1
        bar.source = max(bar.source, hit.source)

    def _share(self, bar: Bar, previous: Bar | None, hit, state, clock: int | None) -> int | None:
        """R2 edge_split="prorata": the part of the delta before the edge goes to the bar before it."""
        seen = state.seen
        if previous is None or seen is None or not previous.start <= seen < previous.end:
            return None
        if self.is_final(previous.end, clock):
            return None
        share = hit.delta * (bar.start - seen) // (hit.shot.t - seen)
        previous.top = hit.before.volume + share, hit.before.average
        previous.value2 += 2 * hit.shot.price * share
        previous.clamp = False
        bar.floor = Level(hit.before.volume + share, bar.floor.average, bar.floor.high, bar.floor.low)
        return share

    def _gap(self, bar: Bar, hit) -> None:
        bar.flags |= GAP
        bar.gap_volume += hit.delta
        bar.gaps.append(hit.gap)
        if hit.gap[0] < bar.start:
            # The day's extremes may have been set inside the gap, so they say nothing about this bar.
            floor = bar.floor
            high = max(floor.high or 0, hit.shot.high or 0) or None
            low = min(floor.low or hit.shot.low or 0, hit.shot.low or floor.low or 0) or None
            bar.floor = Level(floor.volume, floor.average, high, low)

    def mark_gap(self, day: Schedule, gap: tuple[int, int], clock: int | None, but: int | None) -> None:
        """Flags the bar in which a gap began, unless it is final or the gap's own bar."""
        span = self.amendable(day, gap[0])
        bar = self.find(span[0]) if span else None
        if bar is not None and bar.start != but and not self.is_final(bar.end, clock):
            bar.flags |= GAP
            bar.gaps.append(gap)

    def _exclude(self, bar: Bar, hit) -> None:
        """R13 gap_volume="exclude": the level moves up, the bar's volume does not."""
        carry = next(carry for other, carry, _ in self.walk() if other is bar)
        if bar.top is None:
            bar.floor = Level(hit.shot.volume, hit.average, bar.floor.high, bar.floor.low)
        else:
            bar.floor = Level(carry.volume + hit.delta, carry.average, bar.floor.high, bar.floor.low)
            bar.clamp = False

    def late(self, bar: Bar, hit, before: dict[int, int]) -> None:
        """R41: a snapshot below the high water amends its own bar and takes its volume from later ones."""
        bar.show_late(hit.shot)
        bar.take_extremes(hit.shot)
        if bar.top is None or hit.shot.volume > bar.top[0]:
            bar.top = hit.shot.volume, hit.average
        bar.updates += 1
        bar.source = max(bar.source, hit.source)
        after = self.volumes()
        for other in self.bars:
            change = after[other.start] - before.get(other.start, 0)
            if other is bar or (other.start > bar.start and change < 0):
                other.value2 += 2 * hit.shot.price * change

    def late_trade(self, bar: Bar, hit) -> None:
        """New volume with an older stamp: the bar of the stamp grows, the later ones shift up."""
        self.shift(bar.start, hit.delta)
        self._raise(bar, hit)

    def _raise(self, bar: Bar, hit) -> None:
        """A volume on top of what a bar has; the bars behind it have been lifted."""
        level = next(end.volume for other, _, end in self.walk() if other is bar)
        shot = hit.shot
        raised = Shot(shot.t, level + hit.delta, shot.price, shot.high, shot.low, shot.open)
        average = bar.top[1] if bar.top is not None else bar.floor.average
        bar.top = raised.volume, average
        bar.show_late(raised)
        bar.take_extremes(raised)
        bar.clamp = False
        bar.value2 += 2 * shot.price * hit.delta
        bar.updates += 1
        bar.source = max(bar.source, hit.source)

    def shift(self, start: int, delta: int) -> None:
        """Moves the levels of all bars after this start up."""
        if self.final and start <= self.final[-1].start:
            done = self.done
            self.done = Level(done.volume + delta, done.average, done.high, done.low)
        for other in self.bars:
            if other.start > start:
                other.clamp = False
                other.floor = Level(other.floor.volume + delta, other.floor.average, other.floor.high, other.floor.low)
                other.top = other.top and (other.top[0] + delta, other.top[1])
                for name in ("first", "last"):
                    shot = getattr(other, name)
                    moved = Shot(shot.t, shot.volume + delta, shot.price, shot.high, shot.low, shot.open)
                    setattr(other, name, moved)

    def rollback(self, day: Schedule, shot: Shot, clock: int | None) -> None:
        """R14 ii: the price counts in the newest bar, the volume does not."""
        span = self.amendable(day, shot.t)
        bar = self.find(span[0]) if span else None
        if bar is not None and bar is self.newest and not self.is_final(bar.end, clock):
            bar.show(Shot(shot.t, shot.volume, shot.price))

    def rebase(self, day: Schedule, t: int, clock: int | None) -> None:
        """R14 ii: flags the current bar, or the next one."""
        span = self.amendable(day, t)
        bar = self.find(span[0]) if span else None
        if bar is not None and bar is self.newest and not self.is_final(bar.end, clock):
            bar.flags |= VOL_REBASED
        else:
            self.rebased_next = True


def bases(intervals: list[tuple[str, int]], options: dict) -> list[Base]:
    """One base of minutes for the intervals of whole minutes, one for each other interval."""
    minutes = [item for item in intervals if item[1] % MINUTE == 0]
    others = sorted((item for item in intervals if item[1] % MINUTE), key=lambda item: item[1])
    made = [Base(MINUTE, minutes, options)] if minutes else []
    return made + [Base(item[1], [item], options) for item in others]
