//! What readers ask of bars that are not sealed, and where volume went.

use crate::bar::{Row, Said};
use crate::session::Phase;
use crate::units::{DAY, Ns, ist_day};

use super::state::NO_TIME;
use super::{Account, Book, FoldPlan};

/// What an instrument's ticks of its date said last. Times are 0 for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Last {
    pub price: i64,
    pub volume: Option<i64>,
    pub oi: Option<i64>,
    pub trade_time: Ns,
    pub stamp: Ns,
}

impl Book {
    /// What the instrument's ticks said last; `None` before its first price.
    pub fn last(&mut self, slot: usize) -> Option<Last> {
        self.settle_quick(slot);
        let hot = &self.hot[slot];
        let time = |t: Ns| if t == NO_TIME { 0 } else { t };
        (hot.last_p != 0).then(|| Last {
            price: hot.last_p,
            volume: hot.has_volume.then_some(hot.v_star),
            oi: (hot.oi_star_t != NO_TIME).then_some(hot.oi_star),
            trade_time: time(hot.ltt_star),
            stamp: time(hot.ets_star),
        })
    }

    /// Where the volume of the instrument's date went; bars that are still open included.
    #[must_use]
    pub fn account(&mut self, slot: usize) -> Account {
        self.settle_quick(slot);
        let cold = &self.cold[slot];
        let mut account = Account {
            last: self.hot[slot].v_star,
            ..cold.account
        };
        if !self.bases.is_empty() {
            let mut said = Vec::new();
            self.say(slot, 0, &mut said);
            account.bars += said.iter().map(|bar| bar.volume).sum::<i64>();
        }
        account
    }

    /// The accounts of all the instrument's dates, added up.
    #[must_use]
    pub fn account_of_all_days(&mut self, slot: usize) -> Account {
        let today = self.account(slot);
        let mut sum = self.cold[slot].past;
        sum.add(&today);
        sum
    }

    /// The bars of an interval that are not sealed yet, oldest first, each with its end; the last is still forming.
    #[must_use]
    pub fn unsealed(&mut self, slot: usize, interval: usize) -> Vec<(Row, Ns)> {
        self.settle_quick(slot);
        let kind = interval.checked_sub(self.intervals.len());
        if let Some(kind) = kind.filter(|kind| *kind < self.nontime.len()) {
            return self.nontime_forming(slot, kind).into_iter().collect();
        }
        let own = self.base_of(interval);
        let extra = |book: &Self, which| book.extra_said(slot, which, own?, false);
        let mut said = Vec::new();
        let mut out = Vec::new();
        out.extend(extra(self, 0));
        if let Some(base) = self.bases.iter().position(|base| base.interval == Some(interval)) {
            self.say(slot, base, &mut said);
            let at = slot * self.bases.len() + base;
            let sealed = |i: usize| self.older[at].get(i).unwrap_or(&self.newest[at]).sealed;
            out.extend(
                said.iter()
                    .enumerate()
                    .filter(|(i, _)| !sealed(*i))
                    .map(|(_, bar)| *bar),
            );
        } else if let Some(plan) = self.plans.iter().position(|plan| plan.interval == interval) {
            self.say(slot, 0, &mut said);
            let fold = slot * self.plans.len() + plan;
            self.fold_groups(slot, plan, &said, |book, bar| {
                if bar.start > book.folds[fold].sealed {
                    let flags = bar.flags | book.joined(slot, bar);
                    out.push(Said { flags, ..*bar });
                }
            });
        }
        out.extend(extra(self, 1));
        let mut rows: Vec<_> = out
            .into_iter()
            .map(|bar| (self.row_of(slot, interval, &bar, 0), bar.end))
            .collect();
        rows.extend(self.awaited_rows(slot, interval, &rows));
        rows.extend(self.open_period(slot, interval));
        rows
    }

    /// The end of the bar of an interval that starts at `start`.
    #[must_use]
    pub fn end_of(&self, slot: usize, interval: usize, start: Ns) -> Ns {
        let Some(ns) = self.intervals.get(interval).and_then(|interval| interval.ns()) else {
            return self.calendar_end(slot, interval, start);
        };
        let schedule = self.schedule_of(slot, ist_day(start));
        let bucket = schedule.bucket(start, ns, self.options.anchor, self.options.tail);
        bucket.map_or_else(
            || match schedule.phase(start) {
                Phase::PreOpen => schedule.open().unwrap_or(start),
                Phase::PostClose => schedule.post.map_or(start, |post| post.end),
                _ => start,
            },
            |span| span.end,
        )
    }

    /// The base whose bars, or folds of them, a series has; `None` for days and longer, and for bars without time.
    fn base_of(&self, series: usize) -> Option<usize> {
        let folded = |plan: &FoldPlan| plan.interval == series && plan.ns < DAY;
        let own = self.bases.iter().position(|base| base.interval == Some(series));
        own.or_else(|| self.plans.iter().any(folded).then_some(0))
    }

    /// Brings the bars up to date for a reader.
    fn settle_quick(&mut self, slot: usize) {
        self.spill(slot);
        self.refresh(slot);
    }
}
