//! Bars that change after they were sealed, and bars that cannot any more (docs/bars.md §8).

use crate::bar::{Level, Row, Said};
use crate::units::{DAY, MINUTE, Ns};

use super::state::{EventKind, NO_TIME};
use super::{Book, FoldPlan};

impl Book {
    /// A minute that opens inside an n-minute bar that is sealed already revises it.
    pub(super) fn fold_may_change(&mut self, slot: usize, base: usize, start: Ns) {
        if base > 0 || self.bases[0].ns != MINUTE {
            return;
        }
        for plan in 0..self.plans.len() {
            let sealed = self.folds[slot * self.plans.len() + plan].sealed;
            self.dirty |= start < sealed.saturating_add(self.plans[plan].ns);
        }
    }

    /// Compares sealed bars that are not final with what they say now, and publishes what changed.
    #[cold]
    pub(super) fn resync(&mut self, slot: usize) {
        let mut said = std::mem::take(&mut self.said);
        for base in 0..self.bases.len() {
            let at = slot * self.bases.len() + base;
            let [auction, post] = [0, 1].map(|which| self.extra_said(slot, which, base, true));
            let interval = self.bases[base].interval;
            self.say(slot, base, &mut said);
            if let Some(interval) = interval {
                auction
                    .iter()
                    .for_each(|said| self.revise(slot, interval, said, 0));
                for (i, what) in said.iter().enumerate() {
                    if self.older[at].get(i).unwrap_or(&self.newest[at]).sealed {
                        self.revise(slot, interval, what, 0);
                    }
                }
                post.iter().for_each(|said| self.revise(slot, interval, said, 0));
            }
            let folds = base == 0 && self.bases[0].ns == MINUTE;
            for plan in 0..if folds { self.plans.len() } else { 0 } {
                let fold = slot * self.plans.len() + plan;
                let FoldPlan { ns, interval } = self.plans[plan];
                let own = |said: Option<Said>| said.filter(|_| ns < DAY);
                own(auction)
                    .iter()
                    .for_each(|said| self.revise(slot, interval, said, 0));
                self.fold_groups(slot, plan, &said, |book, bar| {
                    if bar.start <= book.folds[fold].sealed {
                        let flags = book.joined(slot, bar);
                        book.revise(slot, interval, bar, flags);
                    }
                });
                own(post)
                    .iter()
                    .for_each(|said| self.revise(slot, interval, said, 0));
            }
        }
        self.said = said;
    }

    pub(super) fn revise(&mut self, slot: usize, interval: usize, said: &Said, flags: u32) {
        let row = self.row_of(slot, interval, said, flags);
        match self.ring(slot, interval).find(row.time) {
            Some(held) if held.says_the_same(&row) => {}
            Some(held) => {
                let row = Row {
                    rev: held.rev.saturating_add(1),
                    ..row
                };
                self.tally.bars_revised += 1;
                self.ring(slot, interval).put(row);
                self.emit(slot, interval, EventKind::Revised, row);
                self.after_day(slot, interval, row.time);
            }
            None => self.seal(slot, interval, said, flags),
        }
    }

    /// Folds away what became final, when a tick opens a bar: work that the closing second need not do.
    pub(super) fn retire_before(&mut self, slot: usize, base: usize, now: Ns) {
        let at = slot * self.bases.len() + base;
        let after = self.options.final_after();
        if now == NO_TIME
            || self.older[at]
                .first()
                .is_none_or(|bar| bar.end.saturating_add(after) >= now)
        {
            return;
        }
        let mut said = std::mem::take(&mut self.said);
        // The bar just opened, and the one before it, have nothing to say here.
        let last = self.older[at].partition_point(|bar| bar.end.saturating_add(after) < now);
        self.say_first(slot, base, last, &mut said);
        self.retire(slot, base, now, &said, base == 0 && self.bases[0].ns == MINUTE);
        self.said = said;
    }

    /// Final bars go into the folds and into the floor of the bar after them.
    pub(super) fn retire(&mut self, slot: usize, base: usize, now: Ns, said: &[Said], folds: bool) {
        let at = slot * self.bases.len() + base;
        let after = self.options.final_after();
        let last = self.older[at]
            .iter()
            .take_while(|bar| bar.end.saturating_add(after) < now)
            .count();
        if last == 0 {
            return;
        }
        for minute in &said[..last] {
            if base == 0 {
                self.cold[slot].account.bars += minute.volume;
            }
            for plan in 0..if folds { self.plans.len() } else { 0 } {
                let fold = slot * self.plans.len() + plan;
                let span = self.fold_span(slot, fold, self.plans[plan].ns, minute.start);
                self.folds[fold].keep(span, minute);
            }
        }
        let mut before: Option<Level> = None;
        for bar in self.older[at].drain(..last) {
            let carry = before.map_or(bar.floor, |end| end.join(bar.floor));
            before = Some(carry.join(bar.top()));
        }
        let next = self.older[at].first_mut().unwrap_or(&mut self.newest[at]);
        if let Some(end) = before {
            next.floor = end.join(next.floor);
        }
    }
}
