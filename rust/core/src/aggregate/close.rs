//! Sealing by the clock, folds, revisions, and bars that become final (docs/bars.md §8; R25, R27).

use crate::ahead::ask;
use crate::bar::{Level, Said, flags};
use crate::units::{DAY, MINUTE, Ns};

use super::state::{Clock, EventKind, NO_TIME};
use super::{Book, NEVER};

/// How many instruments ahead of the one that is sealed memory is asked for.
const FAR: usize = 9;
const HALFWAY: usize = 6;
const NEAR: usize = 3;

impl Book {
    /// Something of the instrument is due when its bar that ends at `end` closes.
    #[inline]
    pub(super) fn expect(&mut self, slot: usize, end: Ns) {
        let due = end.saturating_add(self.options.grace);
        self.due[slot] = self.due[slot].min(due);
        self.next_due = self.next_due.min(due);
    }

    /// Seals everything that is due at `now`, instrument by instrument.
    #[cold]
    #[inline(never)]
    pub fn sweep(&mut self, now: Ns) {
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = pulp::x86::V3::try_new() {
            struct Sweep<'a>(&'a mut Book, Ns);
            impl pulp::NullaryFnOnce for Sweep<'_> {
                type Output = ();
                #[inline(always)]
                fn call(self) {
                    self.0.sweep_through(self.1);
                }
            }
            return simd.vectorize(Sweep(self, now));
        }
        self.sweep_through(now);
    }

    #[inline(always)]
    fn sweep_through(&mut self, now: Ns) {
        let mut next = NEVER;
        for slot in 0..self.due.len() {
            if self.due.get(slot + FAR).is_some_and(|due| *due <= now) {
                self.ask_for_bars(slot + FAR);
            }
            if self.due.get(slot + HALFWAY).is_some_and(|due| *due <= now) {
                self.ask_for_folds(slot + HALFWAY, now);
            }
            if self.due.get(slot + NEAR).is_some_and(|due| *due <= now) {
                self.ask_for_rows(slot + NEAR, now);
            }
            if self.due[slot] <= now && !self.close_turn(slot, now) {
                self.close_slot(slot, now);
            }
            next = next.min(self.due[slot]);
        }
        self.next_due = next;
    }

    /// Asks for what tells which bars are due, and for the bars.
    #[inline]
    fn ask_for_bars(&self, slot: usize) {
        if let Some(turn) = self.turns.get(slot) {
            ask(&self.seats[slot].quick);
            turn.ask();
        } else {
            ask(&self.cold[slot]);
            ask(&self.hot[slot]);
            for bar in &self.newest[slot * self.bases.len()..][..self.bases.len()] {
                bar.ask();
            }
        }
        if let Some(interval) = self.bases.first().and_then(|base| base.interval) {
            self.rings[slot * self.rings_each() + interval].ask();
        }
    }

    /// Asks for the folds that are due, and for what tells where their rows go.
    #[inline]
    fn ask_for_folds(&self, slot: usize, now: Ns) {
        let mut mask = self.folds_due(slot, now);
        while mask != 0 {
            let plan = mask.trailing_zeros() as usize;
            mask &= mask - 1;
            self.folds[slot * self.plans.len() + plan].ask();
            self.rings[slot * self.rings_each() + self.plans[plan].interval].ask();
        }
    }

    /// Asks for where the rows go.
    #[inline]
    fn ask_for_rows(&self, slot: usize, now: Ns) {
        let rings = &self.rings[slot * self.rings_each()..];
        if let Some(interval) = self.bases.first().and_then(|base| base.interval) {
            rings[interval].ask_for_row();
        }
        let mut mask = self.folds_due(slot, now);
        while mask != 0 {
            let plan = mask.trailing_zeros() as usize;
            mask &= mask - 1;
            rings[self.plans[plan].interval].ask_for_row();
        }
    }

    /// Seals what is due of one instrument and folds away what is final.
    #[cold]
    #[inline(never)]
    pub(super) fn close_slot(&mut self, slot: usize, now: Ns) {
        self.spill(slot);
        let sealing = now.saturating_sub(self.options.grace);
        let last = self.final_at(slot, now);
        let mut due = NEVER;
        for base in 0..self.bases.len() {
            due = due.min(self.close_base(slot, base, sealing, last));
        }
        self.forget_extras(slot, last);
        // The end of a date closes everything but what may go on with the next.
        if now != NEVER {
            self.close_awaited(slot, sealing);
            self.close_periods(slot, sealing);
        }
        due = due.min(self.still_due(slot));
        self.due[slot] = due;
        self.refresh(slot);
    }

    /// Sweeps one instrument only: its own clock, for ticks pushed from history.
    pub fn close_own(&mut self, slot: usize, now: Ns) {
        if self.due[slot] <= now {
            self.close_slot(slot, now);
        }
    }

    /// Seals the bars of one base that end at or before `sealing`, then their folds; what is final at `now` is
    /// folded away. Gives the next due time.
    pub(super) fn close_base(&mut self, slot: usize, base: usize, sealing: Ns, now: Ns) -> Ns {
        let mut due = NEVER;
        let auction = self.close_extra(slot, 0, base, sealing, &mut due);
        let at = slot * self.bases.len() + base;
        let interval = self.bases[base].interval;
        let mut said = std::mem::take(&mut self.said);
        said.clear();
        let mut before: Option<Level> = None;
        let count = self.older[at].len() + usize::from(self.newest[at].exists);
        for i in 0..count {
            let bar = self.older[at].get_mut(i).unwrap_or(&mut self.newest[at]);
            if bar.end > sealing && !bar.sealed {
                // Neither this bar nor a fold that it is in can be due.
                due = due.min(bar.end.saturating_add(self.options.grace));
                break;
            }
            let carry = before.map_or(bar.floor, |end| end.join(bar.floor));
            let (what, end) = bar.say(carry, &self.options.saying);
            before = Some(end);
            let sealed = std::mem::replace(&mut bar.sealed, true);
            if let (false, Some(interval)) = (sealed, interval) {
                self.seal(slot, interval, &what, 0);
            }
            said.push(what);
        }
        let post = self.close_extra(slot, 1, base, sealing, &mut due);
        let folds = base == 0 && self.bases[0].ns == MINUTE;
        if folds {
            due = due.min(self.close_folds(slot, sealing, &said, [auction, post]));
        }
        if now != NO_TIME {
            self.retire(slot, base, now, &said, folds);
        }
        self.said = said;
        due
    }

    /// What the bars of a base say, oldest first.
    pub(super) fn say(&self, slot: usize, base: usize, out: &mut Vec<Said>) {
        self.say_first(slot, base, usize::MAX, out);
    }

    /// What the oldest bars of a base say, at most `count` of them.
    pub(super) fn say_first(&self, slot: usize, base: usize, count: usize, out: &mut Vec<Said>) {
        out.clear();
        let at = slot * self.bases.len() + base;
        let newest = &self.newest[at];
        let mut before: Option<Level> = None;
        for bar in self.older[at]
            .iter()
            .chain(newest.exists.then_some(newest))
            .take(count)
        {
            let carry = before.map_or(bar.floor, |end| end.join(bar.floor));
            let (said, end) = bar.say(carry, &self.options.saying);
            before = Some(end);
            out.push(said);
        }
    }

    /// `extra`: what the auction's and the post-close's own bars say that were sealed just now.
    fn close_folds(&mut self, slot: usize, sealing: Ns, said: &[Said], extra: [Option<Said>; 2]) -> Ns {
        let mut due = NEVER;
        for plan in 0..self.plans.len() {
            // A date has its auctions in its own numbers.
            let [auction, post] = extra.map(|said| said.filter(|_| self.plans[plan].ns < DAY));
            if let Some(said) = auction {
                self.seal(slot, self.plans[plan].interval, &said, 0);
            }
            due = due.min(self.close_fold(slot, plan, sealing, said));
            if let Some(said) = post {
                self.seal(slot, self.plans[plan].interval, &said, 0);
            }
        }
        due
    }

    fn close_fold(&mut self, slot: usize, plan: usize, sealing: Ns, said: &[Said]) -> Ns {
        let mut due = NEVER;
        let grace = self.options.grace;
        let at = slot * self.plans.len() + plan;
        let fold = &self.folds[at];
        let one = said
            .first()
            .zip(said.last())
            .is_some_and(|(first, last)| fold.span.start <= first.start && last.start < fold.span.end);
        if one && fold.span.end > sealing && fold.held().is_none_or(|start| start == fold.span.start) {
            // All that can change lies in one bucket, which is not due: nothing to add up.
            if fold.span.start > fold.sealed {
                due = fold.span.end.saturating_add(grace);
            }
            return due;
        }
        self.fold_groups(slot, plan, said, |book, bar| {
            if bar.start <= book.folds[at].sealed {
                return;
            }
            if bar.end > sealing {
                due = due.min(bar.end.saturating_add(grace));
                return;
            }
            book.folds[at].sealed = bar.start;
            let flags = book.joined(slot, bar);
            book.seal(slot, book.plans[plan].interval, bar, flags);
        });
        due
    }

    /// A fold is PARTIAL too if the feed joined inside it, in a minute without a bar (R12 c).
    #[inline]
    pub(super) fn joined(&self, slot: usize, bar: &Said) -> u32 {
        let joined = self.cold[slot].t_join;
        if joined >= bar.start && joined < bar.end {
            flags::PARTIAL
        } else {
            0
        }
    }

    /// Appends a row, where in time it belongs, with `flags` besides what the bar says.
    #[inline]
    pub(super) fn seal(&mut self, slot: usize, interval: usize, said: &Said, flags: u32) {
        let row = self.row_of(slot, interval, said, flags);
        self.tally.bars_closed += u64::from(interval < self.series());
        self.ring(slot, interval).put(row);
        self.emit(slot, interval, EventKind::Closed, row);
        self.after_day(slot, interval, row.time);
    }

    /// Gives an open interest to the bars that end after its stamp (R30).
    pub(super) fn give_oi(&mut self, slot: usize, stamp: Ns, v: i64, oi: i64, clock: &Clock) {
        let bases = self.bases.len();
        let after = self.options.final_after();
        for bar in self.cold[slot].extra.iter_mut().flatten() {
            let open = clock.now == NO_TIME || bar.end.saturating_add(after) >= clock.now;
            let own = bar.start == self.opened_extra;
            self.dirty |= (own || open) && bar.take_oi(stamp, v, oi) && bar.sealed;
        }
        for base in 0..bases {
            let at = slot * bases + base;
            // A gap tick's own bar may be past its window already, and those of its shares.
            let opened = self.opened & (1 << base) != 0;
            let chain = self.older[at].iter_mut().map(|bar| {
                let shared = opened && !bar.sealed;
                (bar, shared)
            });
            for (bar, own) in chain.chain([(&mut self.newest[at], opened)]) {
                let open = own || clock.now == NO_TIME || bar.end.saturating_add(after) >= clock.now;
                if bar.exists && open && bar.take_oi(stamp, v, oi) {
                    self.dirty |= bar.sealed;
                }
            }
        }
    }
}
