//! Late and reordered snapshots: each amends its own bar, within the revision window (R14 i, R19, R20, R41).

use crate::bar::{Bar, Level};
use crate::session::Phase;

use super::Book;
use super::state::{Booking, Clock, NO_TIME, Snap};
use super::tick::Trade;

impl Book {
    /// A snapshot from before the high-water volume: volume moves from later bars to its own.
    pub(super) fn late(&mut self, slot: usize, s: &Snap, clock: &Clock, trade: Trade) {
        self.tally.late += 1;
        let phase = self.cold[slot].schedule.phase(trade.t);
        if trade.v <= self.cold[slot].account.baseline || !matches!(phase, Phase::Continuous(_)) {
            return;
        }
        for base in 0..self.bases.len() {
            let Some((mut chain, at)) = self.chain_with(slot, base, s, clock, trade.t) else {
                self.tally.late_dropped += u64::from(base == 0);
                continue;
            };
            let before = self.volumes(&chain);
            self.take_late(&mut chain[at], s, &trade, trade.v);
            if trade.v > chain[at].top_v {
                chain[at].top_v = trade.v;
                chain[at].top_a = s.average;
            }
            let after = self.volumes(&chain);
            for later in at + 1..chain.len() {
                let fell = before[later] - after[later];
                chain[later].value2 -= 2 * i128::from(s.price) * i128::from(fell);
            }
            chain[at].value2 += 2 * i128::from(s.price) * i128::from(after[at] - before[at]);
            if base == 0 {
                let gain = after.iter().sum::<i64>() - before.iter().sum::<i64>();
                self.unbook(slot, gain);
            }
            self.put_chain(slot, base, chain);
        }
    }

    /// More volume with a trade time that ran backwards: the delta belongs to the bar of its trade time (R19).
    pub(super) fn late_trade(&mut self, slot: usize, s: &Snap, clock: &Clock, trade: Trade) {
        self.tally.late += 1;
        self.shift_extras(slot, clock, &trade);
        for base in 0..self.bases.len() {
            // A final bar's level goes into the floor of the next, which may be lifted here, before it is.
            self.retire_before(slot, base, clock.now);
            let mut chain = self.take_chain(slot, base);
            let found = self.place_in(slot, base, &mut chain, s, clock, trade.t);
            let later = if let Some(at) = found {
                let level = self.levels(&chain)[at].v;
                self.take_late(&mut chain[at], s, &trade, level + trade.delta);
                chain[at].top_v = level + trade.delta;
                chain[at].value2 += 2 * i128::from(s.price) * i128::from(trade.delta);
                chain[at].clamp = false;
                at + 1
            } else {
                if base == 0 {
                    self.tally.late_dropped += 1;
                    self.book(slot, Booking::Unattributed, trade.delta);
                }
                chain
                    .iter()
                    .position(|bar| bar.start > trade.t)
                    .unwrap_or(chain.len())
            };
            self.shift(&mut chain[later..], clock, trade.delta);
            self.put_chain(slot, base, chain);
        }
    }

    /// Volume that was traded before these bars, and is not theirs, lifts their levels.
    fn shift(&mut self, bars: &mut [Bar], clock: &Clock, delta: i64) {
        let after = self.options.final_after();
        for bar in bars {
            // What is final stays as it is said.
            if clock.now != NO_TIME && bar.end.saturating_add(after) < clock.now {
                continue;
            }
            bar.floor.v += delta;
            bar.first_v += delta;
            bar.last_v += delta;
            bar.top_v += delta;
            bar.clamp = false;
            self.dirty |= bar.sealed;
        }
    }

    /// The same for the auctions' own bars.
    fn shift_extras(&mut self, slot: usize, clock: &Clock, trade: &Trade) {
        for which in 0..2 {
            let mut bars = std::mem::take(&mut self.cold[slot].extra[which]);
            if bars.first().is_some_and(|bar| bar.start > trade.t) {
                self.shift(&mut bars, clock, trade.delta);
            }
            self.cold[slot].extra[which] = bars;
        }
    }

    /// The same for a trade that is no bar's at all.
    pub(super) fn shift_after(&mut self, slot: usize, clock: &Clock, trade: &Trade) {
        self.shift_extras(slot, clock, trade);
        for base in 0..self.bases.len() {
            self.shift_base(slot, base, clock, trade);
        }
    }

    /// Lifts what one base has after a trade that it has no bar for.
    pub(super) fn shift_base(&mut self, slot: usize, base: usize, clock: &Clock, trade: &Trade) {
        if self.newest[slot * self.bases.len() + base].start <= trade.t {
            return;
        }
        self.retire_before(slot, base, clock.now);
        let mut chain = self.take_chain(slot, base);
        let later = chain.partition_point(|bar| bar.start <= trade.t);
        self.shift(&mut chain[later..], clock, trade.delta);
        self.put_chain(slot, base, chain);
    }

    fn take_late(&mut self, bar: &mut Bar, s: &Snap, trade: &Trade, v: i64) {
        if (trade.t, v) < (bar.first_t, bar.first_v) && bar.day_open != 0 {
            bar.day_open = s.day_open;
        }
        bar.take_price(trade.t, v, s.price, s.high, s.low);
        bar.hmax = bar.hmax.max(s.high);
        bar.lmin = bar.lmin.min(s.low);
        bar.updates = bar.updates.saturating_add(1);
        bar.source = bar.source.max(trade.source);
    }

    /// The chain of a base with the bar of `t` in it, opened there if need be; `None` if that bar is final.
    fn chain_with(
        &mut self,
        slot: usize,
        base: usize,
        s: &Snap,
        clock: &Clock,
        t: i64,
    ) -> Option<(Vec<Bar>, usize)> {
        let mut chain = self.take_chain(slot, base);
        let found = self.place_in(slot, base, &mut chain, s, clock, t);
        match found {
            Some(at) => Some((chain, at)),
            None => {
                self.put_chain(slot, base, chain);
                None
            }
        }
    }

    /// Where the bar of `t` is in a chain, after opening it if it was not there.
    pub(super) fn place_in(
        &mut self,
        slot: usize,
        base: usize,
        chain: &mut Vec<Bar>,
        s: &Snap,
        clock: &Clock,
        t: i64,
    ) -> Option<usize> {
        let span = self.span_of(slot, self.bases[base].ns, t)?;
        if !self.is_open_to_change(span.end, clock) {
            return None;
        }
        let at = chain.partition_point(|bar| bar.start < span.start);
        if chain.get(at).is_none_or(|bar| bar.start != span.start) {
            let floor = chain
                .get(at)
                .map_or_else(|| self.hot[slot].level(), |next| next.floor);
            let [auction, post] = &self.cold[slot].extra;
            // Before a later bar, what is final has nothing to say any more.
            let last = at == chain.len() && post.is_empty();
            let before = match at
                .checked_sub(1)
                .map(|before| &chain[before])
                .or(auction.get(base))
            {
                Some(bar) if last || self.is_open_to_change(bar.end, clock) => bar.interest(),
                None if last => self.auction_interest(slot, base),
                _ => Bar::NONE.interest(),
            };
            let mut bar = self.new_bar(slot, span, floor, before);
            if let Some(next) = chain.get_mut(at).filter(|_| at == 0) {
                // The date's first bar is the first by start.
                bar.day_open = std::mem::take(&mut next.day_open);
            }
            self.first_of_the_day(slot, base, &mut bar, s);
            chain.insert(at, bar);
            self.fold_may_change(slot, base, span.start);
            self.expect(slot, span.end);
        }
        self.dirty |= chain[at..].iter().any(|bar| bar.sealed);
        Some(at)
    }

    /// All bars of a base that may not be final yet, by start, as one list; [`Book::put_chain`] puts it back.
    pub(super) fn take_chain(&mut self, slot: usize, base: usize) -> Vec<Bar> {
        let at = slot * self.bases.len() + base;
        let mut chain = std::mem::take(&mut self.older[at]);
        let newest = std::mem::replace(&mut self.newest[at], Bar::NONE);
        if newest.exists {
            chain.push(newest);
        }
        chain
    }

    pub(super) fn put_chain(&mut self, slot: usize, base: usize, mut chain: Vec<Bar>) {
        let at = slot * self.bases.len() + base;
        self.newest[at] = chain.pop().unwrap_or(Bar::NONE);
        self.older[at] = chain;
    }

    fn volumes(&self, chain: &[Bar]) -> Vec<i64> {
        self.walk(chain).map(|(volume, _)| volume).collect()
    }

    pub(super) fn levels(&self, chain: &[Bar]) -> Vec<Level> {
        self.walk(chain).map(|(_, end)| end).collect()
    }

    /// Volume of each bar and level at its end (docs/bars.md §4b).
    fn walk<'a>(&self, chain: &'a [Bar]) -> impl Iterator<Item = (i64, Level)> + 'a {
        let mut before = None;
        chain.iter().map(move |bar| {
            let carry = before.map_or(bar.floor, |end: Level| end.join(bar.floor));
            let end = carry.join(bar.top());
            before = Some(end);
            (end.v - carry.v, end)
        })
    }
}
