//! In-order trades: the newest bar, or a newer one (docs/bars.md §4a).

use crate::bar::{Bar, Interest, Level, flags};
use crate::session::Span;
use crate::units::{DAY, Ns};

use super::quick::value_of;
use super::state::{Booking, Clock, NO_TIME, Snap};
use super::tick::Trade;
use super::{Book, EdgeSplit, GapVolume, OpenSource};

impl Book {
    /// The bucket of `t` in the instrument's day; `None` outside continuous trading.
    #[inline]
    pub(super) fn span_of(&self, slot: usize, ns: Ns, t: Ns) -> Option<Span> {
        if ns == DAY {
            return self.day_span(slot);
        }
        let cold = &self.cold[slot];
        let leg = cold.leg;
        if self.plain && leg.start <= t && t < leg.end {
            // What `bucket` finds, without looking for the leg.
            let start = leg.start + (t - leg.start) / ns * ns;
            return Some(Span {
                start,
                end: leg.end.min(start + ns),
            });
        }
        cold.schedule
            .bucket(t, ns, self.options.anchor, self.options.tail)
    }

    /// A trade not older than the last one.
    pub(super) fn in_order(&mut self, slot: usize, s: &Snap, clock: &Clock, trade: Trade) {
        if !self.cold[slot].reserved {
            let day = self.cold[slot].day;
            self.reserve(slot, day);
        }
        let excluded = trade.gap.is_some() && self.options.gap_volume == GapVolume::Exclude;
        for base in 0..self.bases.len() {
            let Some(span) = self.span_of(slot, self.bases[base].ns, trade.t) else {
                continue;
            };
            let placed = self.lay_out(slot, base, span, s, clock, &trade);
            let rest = Trade {
                delta: trade.delta - placed,
                ..trade
            };
            let taken = self.in_order_base(slot, base, span, s, clock, &rest, excluded);
            if base == 0 && (excluded || !taken) {
                self.book(slot, Booking::Unattributed, rest.delta);
            }
        }
        if self.bases.is_empty() {
            self.cold[slot].account.bars += trade.delta;
        }
    }

    /// False: the bar is final, the volume is nobody's.
    #[expect(
        clippy::too_many_arguments,
        reason = "one tick's facts, decided once by the caller"
    )]
    fn in_order_base(
        &mut self,
        slot: usize,
        base: usize,
        span: Span,
        s: &Snap,
        clock: &Clock,
        trade: &Trade,
        excluded: bool,
    ) -> bool {
        let at = slot * self.bases.len() + base;
        let newest = &self.newest[at];
        let newer = !newest.exists || span.start > newest.start;
        let late = !self.is_open_to_change(span.end, clock);
        // Only bars without volume can lie beyond a trade that is in order: the mode was raised.
        let place = if newer || span.start == newest.start {
            None
        } else {
            self.older[at].iter().rposition(|bar| bar.start == span.start)
        };
        let behind = !newer && span.start < newest.start;
        if (behind && place.is_none()) || (late && !(trade.gap.is_some() && newer)) {
            // What comes later starts above this volume, whoever's it was.
            self.shift_base(slot, base, clock, trade);
            self.tally.late_dropped += u64::from(base == 0);
            return false;
        }
        let mut delta = trade.delta;
        let hot = self.hot[slot];
        // Above the high water if shares of a gap's volume lie in earlier bars.
        let level = trade.v - trade.delta;
        let split = level != hot.v_star;
        let mut clamps = hot.clamps && !split;
        if newer {
            let floor = Level {
                v: level,
                ..hot.level()
            };
            let shared = self.open_bar(slot, base, span, s, floor, trade, clock);
            delta -= shared.unwrap_or(0);
            clamps &= shared.is_none();
        }
        // A bar that the auction was folded into has ticks already.
        let empty = newer && self.newest[at].updates == 0;
        let carry = if excluded && !empty {
            self.carry(slot, base).v
        } else {
            0
        };
        let bar = match place {
            Some(i) => &mut self.older[at][i],
            None => &mut self.newest[at],
        };
        if let Some(from) = trade.gap {
            bar.flags |= flags::GAP;
            bar.uncovered += (trade.t.min(span.end) - from.max(span.start)).max(0);
            bar.gap_volume += delta;
            if excluded && empty {
                bar.floor.v = trade.v;
                bar.floor.a = s.average;
            } else if excluded {
                bar.floor.v = carry + trade.delta;
                bar.clamp = false;
            }
            if from < span.start {
                bar.floor.h = bar.floor.h.max(s.high);
                bar.floor.l = bar.floor.l.min(s.low);
            }
        }
        let (v0, a0) = (trade.v - delta, hot.a_star);
        let value = if excluded {
            (0, true)
        } else if split {
            (2 * i128::from(s.price) * i128::from(delta), false)
        } else {
            value_of(&self.options.saying, clamps, s.price, v0, a0, trade.v, s.average)
        };
        bar.take_trade(value, s, trade);
        self.dirty |= bar.sealed;
        if base == 0 && trade.gap.is_some() && !excluded {
            self.gap_taken(slot, span, trade.v - hot.v_star, delta, s.price, value.0);
        }
        true
    }

    /// The level at the start of a base's newest bar.
    fn carry(&self, slot: usize, base: usize) -> Level {
        let at = slot * self.bases.len() + base;
        let floor = self.newest[at].floor;
        self.levels(&self.older[at])
            .last()
            .map_or(floor, |end| end.join(floor))
    }

    /// Opens the newest bar of a base. Gives the volume that `edge_split="prorata"` leaves to the bar before, if it
    /// splits.
    #[expect(
        clippy::too_many_arguments,
        reason = "one tick's facts, decided once by the caller"
    )]
    pub(super) fn open_bar(
        &mut self,
        slot: usize,
        base: usize,
        span: Span,
        s: &Snap,
        floor: Level,
        trade: &Trade,
        clock: &Clock,
    ) -> Option<i64> {
        let at = slot * self.bases.len() + base;
        let seen = self.hot[slot].ets_star;
        let straddle = seen == NO_TIME || seen < span.start;
        let before = match &self.newest[at] {
            bar if bar.exists => bar.interest(),
            _ => self.auction_interest(slot, base),
        };
        let mut bar = self.new_bar(slot, span, floor, before);
        bar.straddle = straddle;
        let mut shared = None;
        let held = &self.newest[at];
        let splits = self.options.edge_split == EdgeSplit::Prorata
            && straddle
            && trade.gap.is_none()
            && trade.delta > 0
            && held.exists
            && self.is_open_to_change(held.end, clock);
        let before = &mut self.newest[at];
        if splits && before.contains(seen) && trade.t > seen {
            let (whole, part) = (i128::from(trade.t - seen), i128::from(span.start - seen));
            let moved = (i128::from(trade.delta) * part / whole) as i64;
            shared = Some(moved);
            before.top_v = floor.v + moved;
            before.value2 += 2 * i128::from(s.price) * i128::from(moved);
            before.clamp = false;
            self.dirty |= before.sealed;
            bar.floor.v += moved;
            bar.clamp = false;
        }
        let before = *before;
        bar.flags |= self.rebase_flag(slot, base);
        self.first_of_the_day(slot, base, &mut bar, s);
        if before.exists {
            self.older[at].push(before);
        }
        self.newest[at] = bar;
        self.opened |= 1 << base;
        // A bar that opens past its window is sealed by the sweep, which folds away what is final too.
        if trade.gap.is_none() || self.options.gap_volume != GapVolume::Spread {
            self.retire_before(slot, base, clock.now);
        }
        self.fold_may_change(slot, base, span.start);
        self.expect(slot, span.end);
        shared
    }

    /// A bar without ticks yet, with what it knows from its surroundings: `before` is the open interest of the bar
    /// before it.
    pub(super) fn new_bar(&self, slot: usize, span: Span, floor: Level, before: Interest) -> Bar {
        let mut bar = Bar {
            start: span.start,
            end: span.end,
            floor,
            exists: true,
            ..Bar::NONE
        };
        bar.flags |= self.join_flag(slot, span, &mut bar.uncovered);
        let hot = &self.hot[slot];
        (bar.oi, bar.oi_t, bar.oi_v) = if hot.oi_star_t != NO_TIME && hot.oi_star_t < span.end {
            (hot.oi_star, hot.oi_star_t, hot.oi_star_v)
        } else {
            before
        };
        bar
    }

    /// What only the first bar of a date gets: the broker's open, the auction folded in (R8).
    pub(super) fn first_of_the_day(&mut self, slot: usize, base: usize, bar: &mut Bar, s: &Snap) {
        let how = self.options.saying;
        let cold = &mut self.cold[slot];
        if cold.opened & (1 << base) != 0 {
            return;
        }
        cold.opened |= 1 << base;
        if self.options.open_source == OpenSource::DayOpen && cold.complete {
            bar.day_open = s.day_open;
        }
        let Some((_, _, floor)) = cold.prints.first() else {
            return;
        };
        let mut folded = 0;
        // What was traded since and is no bar's lies below the prints.
        let sum: i64 = cold.prints.iter().map(|(_, trade, _)| trade.delta).sum();
        let below = bar.floor.v - sum;
        bar.clamp &= below == floor.v;
        bar.floor = Level { v: below, ..*floor };
        bar.flags |= flags::AUCTION;
        bar.straddle = cold.before_prints == NO_TIME || cold.before_prints < bar.start;
        for (print, trade, level) in &cold.prints {
            // As when it came: a rollback since then says nothing about it.
            let value = value_of(
                &how,
                trade.bounded,
                print.price,
                level.v,
                level.a,
                trade.v,
                print.average,
            );
            folded += trade.delta;
            let v = below + folded;
            bar.take_trade(value, print, &Trade { v, ..*trade });
        }
        if base == 0 {
            self.cold[slot].account.auction_open -= folded;
            self.cold[slot]
                .bookings
                .retain(|(booking, _)| *booking != Booking::AuctionOpen);
        }
    }

    /// PARTIAL if the bar contains the moment the feed joined (R12).
    pub(super) fn join_flag(&self, slot: usize, span: Span, uncovered: &mut Ns) -> u32 {
        let joined = self.cold[slot].t_join;
        if joined >= span.start && joined < span.end {
            *uncovered += joined - span.start;
            return flags::PARTIAL;
        }
        0
    }

    /// A gap ends with a trade: it is remembered, and the bars in which it began lack their tails (R13).
    pub(super) fn mark_gap_start(&mut self, slot: usize, from: Ns, to: Ns, clock: &Clock) {
        self.tally.gaps += 1;
        self.remember_gap(slot, from, to);
        for base in 0..self.bases.len() {
            let at = slot * self.bases.len() + base;
            let ends_here = self.span_of(slot, self.bases[base].ns, to);
            // A gap that begins with the leg's last stamp begins in its last bar (R3).
            let Some(begins) = self.span_of(slot, self.bases[base].ns, from) else {
                continue;
            };
            let mut older = self.older[at].iter_mut().chain([&mut self.newest[at]]);
            let Some(bar) = older.find(|bar| bar.exists && bar.start == begins.start) else {
                continue;
            };
            // The bar in which the gap also ends is marked by the tick itself.
            let same = ends_here.is_some_and(|span| span.start == bar.start);
            let open =
                clock.now == NO_TIME || bar.end.saturating_add(self.options.final_after()) >= clock.now;
            if open && !same {
                bar.flags |= flags::GAP;
                // A trade of the auction may end a gap that began after it.
                bar.uncovered += (to.min(bar.end) - from).max(0);
                self.dirty |= bar.sealed;
            }
        }
    }

    /// VOL_REBASED if the base's next bar says so.
    pub(super) fn rebase_flag(&mut self, slot: usize, base: usize) -> u32 {
        let due = &mut self.cold[slot].rebase_due;
        let flag = if *due & (1 << base) == 0 {
            0
        } else {
            flags::VOL_REBASED
        };
        *due &= !(1 << base);
        flag
    }
}

impl Bar {
    /// Takes an in-order trade, whose value and whether that was bounded the caller knows (R22).
    pub(super) fn take_trade(&mut self, (value, bounded): (i128, bool), s: &Snap, trade: &Trade) {
        self.take_price(trade.t, trade.v, s.price, s.high, s.low);
        self.top_v = trade.v;
        self.top_a = s.average;
        self.hmax = self.hmax.max(s.high);
        self.lmin = self.lmin.min(s.low);
        self.value2 += value;
        self.clamp &= bounded;
        self.updates = self.updates.saturating_add(1);
        self.source = self.source.max(trade.source);
    }
}
