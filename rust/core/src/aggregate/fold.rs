//! Folds: n-minute bars made of minute bars (R27), never of ticks.

use crate::bar::Said;
use crate::interval::Interval;
use crate::session::Span;
use crate::units::{MINUTE, Ns, SECOND};

use super::Base;

/// One interval whose bars are folds of the minute base.
#[derive(Clone, Copy, Debug)]
pub struct FoldPlan {
    pub ns: Ns,
    pub interval: usize,
}

/// A fold of one instrument: the final minutes of one bucket, and how far the buckets are sealed. Two cache lines,
/// because the closing second of an hour goes through all of them.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Fold {
    /// The bucket looked up last.
    pub span: Span,
    /// Start of the newest sealed bucket.
    pub sealed: Ns,
    /// The bucket of the final minutes below; minutes that can still change are absorbed each time anew.
    start: Ns,
    open: i64,
    high: i64,
    low: i64,
    close: i64,
    volume: i64,
    value2: i128,
    width: i64,
    oi: i64,
    /// Ten-thousandths of coverage times seconds, and seconds.
    covered: u32,
    length: u32,
    ticks: u32,
    flags: u32,
    source: u8,
    src: u8,
    exists: bool,
}

impl Fold {
    pub const NEW: Self = Self {
        span: Span {
            start: Ns::MAX,
            end: Ns::MIN,
        },
        sealed: Ns::MIN,
        start: Ns::MIN,
        open: 0,
        high: 0,
        low: 0,
        close: 0,
        volume: 0,
        value2: 0,
        width: 0,
        oi: 0,
        covered: 0,
        length: 0,
        ticks: 0,
        flags: 0,
        source: 0,
        src: 0,
        exists: false,
    };

    /// Start of the bucket that has final minutes; `None` if none has.
    #[inline]
    pub fn held(&self) -> Option<Ns> {
        self.exists.then_some(self.start)
    }

    /// The final minutes of the bucket `span`; empty if those held are of another.
    #[inline]
    pub fn of(&self, span: Span) -> Said {
        if !self.exists || self.start != span.start {
            return Said::empty(span.start, span.end);
        }
        Said {
            start: span.start,
            end: span.end,
            open: self.open,
            high: self.high,
            low: self.low,
            close: self.close,
            volume: self.volume,
            value2: self.value2,
            width: i128::from(self.width),
            oi: self.oi,
            covered: i64::from(self.covered) * SECOND,
            length: i64::from(self.length) * SECOND,
            ticks: self.ticks,
            flags: self.flags,
            source: self.source,
            src: self.src,
            exists: true,
        }
    }

    /// Takes a final minute of the bucket `span` in. Bars last whole seconds, a day at most.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "10,000 a second of a day fit in 32 bits"
    )]
    pub fn keep(&mut self, span: Span, minute: &Said) {
        let mut sum = self.of(span);
        sum.absorb(minute);
        self.start = span.start;
        (self.open, self.high, self.low, self.close) = (sum.open, sum.high, sum.low, sum.close);
        (self.volume, self.value2, self.oi) = (sum.volume, sum.value2, sum.oi);
        self.width = i64::try_from(sum.width).unwrap_or(-1);
        self.covered = (sum.covered / SECOND) as u32;
        self.length = (sum.length / SECOND) as u32;
        (self.ticks, self.flags, self.source, self.src) = (sum.ticks, sum.flags, sum.source, sum.src);
        self.exists = true;
    }

    /// Reads the second cache line.
    #[inline]
    pub fn touch(&self) -> i64 {
        i64::from(self.flags)
    }

    /// Forgets the minutes, not what is sealed.
    pub fn forget(&mut self) {
        *self = Self {
            sealed: self.sealed,
            ..Self::NEW
        };
    }
}

/// Which bases the intervals need, the minute first, and which of them are folds.
pub(super) fn plan(intervals: &[Interval]) -> (Vec<Base>, Vec<FoldPlan>) {
    let timed = |(index, interval): (usize, &Interval)| interval.ns().map(|ns| (index, ns));
    let mut bases = Vec::new();
    let mut plans = Vec::new();
    if intervals
        .iter()
        .enumerate()
        .filter_map(timed)
        .any(|(_, ns)| ns % MINUTE == 0)
    {
        bases.push(Base {
            ns: MINUTE,
            interval: None,
        });
    }
    for (interval, ns) in intervals.iter().enumerate().filter_map(timed) {
        if ns == MINUTE {
            bases[0].interval = Some(interval);
        } else if ns % MINUTE == 0 {
            plans.push(FoldPlan { ns, interval });
        } else {
            bases.push(Base {
                ns,
                interval: Some(interval),
            });
        }
    }
    plans.sort_by_key(|plan| plan.ns);
    bases.sort_by_key(|base| if base.ns == MINUTE { 0 } else { base.ns });
    (bases, plans)
}
