//! Sealing on the short way: the one bar of an instrument that is due, and the folds that end with it.

use crate::bar::Said;
use crate::session::Span;
use crate::units::{Ns, SECOND};

use super::super::brief::Opened;
use super::super::state::EventKind;
use super::super::{Book, NEVER};

impl Book {
    /// Seals the one bar that is due, and its folds. False: it is not the common case, and nothing was changed.
    #[inline(always)]
    pub(in crate::aggregate) fn close_turn(&mut self, slot: usize, now: Ns) -> bool {
        let Some(turn) = self.turns.get(slot).filter(|turn| turn.open.exists) else {
            return false;
        };
        let q = &self.seats[slot].quick;
        let grace = self.options.grace;
        let at = |second: u32| Ns::from(second) * SECOND;
        let is_due = |opened: &Opened| at(opened.end) <= now.saturating_sub(grace);
        let older = turn.before.exists && !turn.before.sealed;
        let (bar, traded) = if older {
            if !is_due(&turn.before) || is_due(&turn.open) || turn.open.sealed {
                return false;
            }
            (turn.before, turn.traded)
        } else {
            if turn.open.sealed || !is_due(&turn.open) {
                return false;
            }
            let mut open = turn.open;
            if q.ets < open.end && q.seen > 0 {
                (open.oi, open.oi_t, open.oi_v) = (q.oi, q.ets, q.volume);
            }
            (open, q.traded())
        };
        let earlier = turn.before.exists && !older;
        let sealing = now.saturating_sub(grace);
        let (start, end) = (bar.start, bar.end);
        let mut folds_end = turn.folds_end;
        if folds_end == 0 {
            let Some(found) = self.unsealed_end(slot, start, earlier) else {
                return false;
            };
            folds_end = found;
        }
        let folds = at(folds_end) <= sealing;
        if folds {
            // After a jump of the clock more may be due than the bar and the folds that end with it.
            let next = self.first_end(slot, end);
            if end != folds_end || at(next) <= sealing || !self.folds_are_plain(slot, end) {
                return false;
            }
        }
        let said = bar.say(&traded, &self.options.saying);
        if let Some(interval) = self.bases[0].interval {
            self.seal_plain(slot, interval, &said);
        }
        if folds {
            let turn = &self.turns[slot];
            let earlier = earlier.then(|| turn.before.say(&turn.traded, &self.options.saying));
            self.seal_folds(slot, end, &said, earlier.as_ref());
            folds_end = self.first_end(slot, end);
        }
        let mut due = if self.folds_each() > 0 {
            at(folds_end) + grace
        } else {
            NEVER
        };
        self.turns[slot].folds_end = folds_end;
        let (q, turn) = (&mut self.seats[slot].quick, &mut self.turns[slot]);
        turn.moved = true;
        if older {
            turn.before.sealed = true;
            due = due.min(at(turn.open.end) + grace);
        } else {
            turn.freeze(q);
            turn.open.sealed = true;
            q.ltt_end = 0;
            if q.ets < turn.open.end {
                q.ets_end = 0;
            }
        }
        self.due[slot] = due;
        true
    }

    /// When the first of the folds ends that hold something, none of which is sealed; none if one is, or if one of an
    /// older bucket is not.
    fn unsealed_end(&mut self, slot: usize, start: u32, earlier: bool) -> Option<u32> {
        let at = Ns::from(start) * SECOND;
        let earlier = earlier.then(|| Ns::from(self.turns[slot].before.start) * SECOND);
        for plan in 0..self.folds_each() {
            let fold = slot * self.plans.len() + plan;
            let ns = self.plans[plan].ns;
            let span = self.fold_span(slot, fold, ns, at);
            let fold = &self.folds[fold];
            let held = fold
                .held()
                .is_some_and(|start| start != span.start && start > fold.sealed);
            let behind =
                earlier.is_some_and(|start| start < span.start && fold.sealed.saturating_add(ns) <= start);
            if held || behind || fold.sealed >= span.start {
                return None;
            }
        }
        Some(self.first_end(slot, start))
    }

    /// Whether the folds that end at `end` consist of nothing but live minutes of after the feed joined.
    fn folds_are_plain(&self, slot: usize, end: u32) -> bool {
        let turn = &self.turns[slot];
        let since = turn.since.saturating_sub(turn.leg_start);
        self.ends
            .start_since(self.ending(slot, end), end - turn.leg_start, since)
            && (self.calendar.day.is_none() || end != turn.leg_end)
    }

    #[inline(always)]
    fn seal_folds(&mut self, slot: usize, end: u32, said: &Said, earlier: Option<&Said>) {
        let mut mask = self.ending(slot, end);
        // What the folds have not got yet: most often all of it is in each bucket that ends.
        let mut young = Said::empty(said.start, said.end);
        let kept = &self.turns[slot].kept;
        if let Some(start) = kept.held() {
            young = kept.of(Span { start, end: said.end });
        }
        let first = kept
            .held()
            .or(earlier.map(|earlier| earlier.start))
            .unwrap_or(said.start);
        let all = earlier.into_iter().chain([said]);
        all.clone().for_each(|minute| young.absorb(minute));
        while mask != 0 {
            let plan = mask.trailing_zeros() as usize;
            mask &= mask - 1;
            let at = slot * self.plans.len() + plan;
            let span = self.fold_span(slot, at, self.plans[plan].ns, said.start);
            let mut sum = self.folds[at].of(span);
            if first >= span.start {
                sum.absorb(&young);
            } else {
                all.clone()
                    .filter(|minute| minute.start >= span.start)
                    .for_each(|minute| sum.absorb(minute));
            }
            self.folds[at].sealed = span.start;
            self.seal_plain(slot, self.plans[plan].interval, &sum);
        }
    }

    /// [`Book::seal`] of a bar with no history in it, nor a moment at which the feed joined.
    #[inline(always)]
    fn seal_plain(&mut self, slot: usize, interval: usize, said: &Said) {
        let divisor = i64::from(self.turns[slot].divisor);
        let row = said.row(divisor, self.options.saying.vwap);
        self.tally.bars_closed += u64::from(interval < self.series());
        self.ring(slot, interval).put(row);
        self.emit(slot, interval, EventKind::Closed, row);
    }
}
