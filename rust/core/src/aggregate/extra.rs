//! Bars of the opening auction and of the time after the close, where the options ask for them (docs/bars.md §4;
//! R8, R9).
//!
//! Each base has its own, beside its chain: no late snapshot, gap or rolled-back price can touch them.

use crate::bar::{Bar, Interest, Level, Said, flags};
use crate::session::{Phase, Span};
use crate::units::Ns;

use super::quick::value_of;
use super::state::{Booking, Clock, NO_TIME, Snap};
use super::tick::Trade;
use super::{Book, PostClose, PreOpen};

impl Book {
    /// The own bar that the options give a time outside of continuous trading.
    pub(super) fn extra_span(&self, slot: usize, phase: Phase, t: Ns) -> Option<Span> {
        let schedule = &self.cold[slot].schedule;
        match phase {
            Phase::PreOpen if self.options.preopen == PreOpen::Bar => Some(Span {
                start: schedule.preopen?.start,
                end: schedule.open()?,
            }),
            Phase::PostClose | Phase::After if self.options.postclose == PostClose::Bar => {
                schedule.post.filter(|post| post.start <= t && t <= post.end)
            }
            _ => None,
        }
    }

    /// An auction's or the post-close's own bar, in every interval, sealed by the clock (R8, R9).
    pub(super) fn extra_bar(
        &mut self,
        slot: usize,
        which: usize,
        span: Span,
        s: &Snap,
        clock: &Clock,
        trade: &Trade,
    ) {
        if !self.is_open_to_change(span.end, clock) && !self.may_open_extra(slot, which, span, trade) {
            self.tally.late_dropped += 1;
            return self.book(slot, Booking::Unattributed, trade.delta);
        }
        self.cold[slot].account.bars += trade.delta;
        let hot = self.hot[slot];
        let mut bars = std::mem::take(&mut self.cold[slot].extra[which]);
        if bars.is_empty() {
            self.opened_extra = span.start;
            self.cold[slot].had_extra[which] = true;
        }
        for base in 0..self.bases.len() {
            if bars.len() == base {
                bars.push(self.new_extra(slot, which, base, span, trade.delta));
            }
            let bar = &mut bars[base];
            let reached = bar.end_level();
            if reached.v == hot.v_star {
                let how = &self.options.saying;
                let value = value_of(
                    how, hot.clamps, s.price, hot.v_star, hot.a_star, trade.v, s.average,
                );
                bar.take_trade(value, s, trade);
            } else {
                // Volume of elsewhere came since: as a late trade, on the bar's own level.
                let value = 2 * i128::from(s.price) * i128::from(trade.delta);
                let v = reached.v + trade.delta;
                bar.take_trade((value, false), s, &Trade { v, ..*trade });
                bar.top_a = reached.a;
            }
            self.dirty |= bar.sealed;
            let end = bar.end_level();
            let at = slot * self.bases.len() + base;
            let next = self.older[at].first_mut().unwrap_or(&mut self.newest[at]);
            if which == 0 && next.exists {
                next.floor = end.join(next.floor);
                self.dirty |= next.sealed;
            }
        }
        self.cold[slot].extra[which] = bars;
        self.expect(slot, span.end);
    }

    /// Whether such a bar may be opened past its window: by a gap tick, before any later bar (R13).
    fn may_open_extra(&self, slot: usize, which: usize, span: Span, trade: &Trade) -> bool {
        let newest = &self.newest[slot * self.bases.len()..][..self.bases.len()];
        let last = newest.iter().all(|bar| !bar.exists || bar.start < span.start);
        trade.gap.is_some() && last && !self.cold[slot].had_extra[which]
    }

    /// Such a bar of one base, without ticks yet; what lies behind it has been lifted by `delta` already.
    fn new_extra(&mut self, slot: usize, which: usize, base: usize, span: Span, delta: i64) -> Bar {
        let at = slot * self.bases.len() + base;
        let newest = &self.newest[at];
        let (level, before) = match which {
            0 if newest.exists => {
                let next = self.older[at].first().unwrap_or(newest).floor;
                let v = next.v - delta;
                (Level { v, ..next }, Bar::NONE.interest())
            }
            0 => (self.hot[slot].level(), Bar::NONE.interest()),
            _ if newest.exists => (self.hot[slot].level(), newest.interest()),
            _ => (self.hot[slot].level(), self.auction_interest(slot, base)),
        };
        let mut bar = self.new_bar(slot, span, level, before);
        let seen = self.hot[slot].ets_star;
        bar.straddle = seen == NO_TIME || seen < span.start;
        bar.flags |= flags::AUCTION;
        bar.flags |= self.rebase_flag(slot, base);
        bar
    }

    /// The open interest of the auction's own bar, final or not.
    pub(super) fn auction_interest(&self, slot: usize, base: usize) -> Interest {
        let cold = &self.cold[slot];
        cold.extra[0]
            .get(base)
            .map_or(cold.auction_interest, Bar::interest)
    }

    /// What an auction's or the post-close's own bar of a base says, if it is sealed or if it is not.
    pub(super) fn extra_said(&self, slot: usize, which: usize, base: usize, sealed: bool) -> Option<Said> {
        let bar = self.cold[slot].extra[which]
            .get(base)
            .filter(|bar| bar.sealed == sealed)?;
        Some(bar.say(bar.floor, &self.options.saying).0)
    }

    /// Seals such a bar of a base if it is due; gives what it says then, and else when it is due.
    pub(super) fn close_extra(
        &mut self,
        slot: usize,
        which: usize,
        base: usize,
        sealing: Ns,
        due: &mut Ns,
    ) -> Option<Said> {
        let bar = self.cold[slot].extra[which]
            .get_mut(base)
            .filter(|bar| !bar.sealed)?;
        if bar.end > sealing {
            *due = bar.end.saturating_add(self.options.grace).min(*due);
            return None;
        }
        bar.sealed = true;
        let said = self.extra_said(slot, which, base, true);
        if let (Some(said), Some(interval)) = (&said, self.bases[base].interval) {
            self.seal(slot, interval, said, 0);
        }
        said
    }

    /// Lets go of such bars that are final.
    pub(super) fn forget_extras(&mut self, slot: usize, now: Ns) {
        let after = self.options.final_after();
        let cold = &mut self.cold[slot];
        for which in 0..2 {
            let first = cold.extra[which].first();
            let last = first.filter(|bar| bar.sealed && bar.end.saturating_add(after) < now);
            let Some(interest) = last.map(Bar::interest) else {
                continue;
            };
            if which == 0 {
                cold.auction_interest = interest;
            }
            cold.extra[which].clear();
        }
    }
}

impl Bar {
    /// The level at the end of a bar that begins at its floor.
    fn end_level(&self) -> Level {
        self.floor.join(self.top())
    }
}
