//! Folds: n-minute bars made of minute bars (R27), never of ticks.

use crate::ahead::ask;
use crate::bar::Said;
use crate::interval::Interval;
use crate::session::Span;
use crate::units::{DAY, MINUTE, Ns, SECOND};

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
    // Where its alignment costs nothing: with a hole before it, the fold has a third line.
    value2: i128,
    open: i64,
    high: i64,
    low: i64,
    close: i64,
    volume: i64,
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

const _: () = assert!(size_of::<Fold>() == 128);

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
    #[inline(always)]
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

    /// Asks for both cache lines.
    #[inline]
    pub fn ask(&self) {
        ask(&self.span);
        ask(&self.flags);
    }

    /// Forgets the minutes, not what is sealed.
    pub fn forget(&mut self) {
        *self = Self {
            sealed: self.sealed,
            ..Self::NEW
        };
    }
}

/// How the bars of all intervals are made.
pub(super) struct Plan {
    pub bases: Vec<Base>,
    pub plans: Vec<FoldPlan>,
    /// The rings of the minutes and of the days.
    pub minute: Option<usize>,
    pub day: Option<usize>,
    /// How many of these nobody asked for: minutes to make coarser bars of again when history corrects some, days to
    /// make weeks and months of.
    pub hidden: usize,
}

/// Which bases the intervals need, the minute first, which of them are folds, and which rings are needed besides;
/// those begin at `first_hidden`.
pub(super) fn plan(intervals: &[Interval], first_hidden: usize) -> Plan {
    let timed = |(index, interval): (usize, &Interval)| interval.ns().map(|ns| (index, ns));
    let whole = |(_, ns): (usize, Ns)| ns % MINUTE == 0;
    let mut made = Plan {
        bases: Vec::new(),
        plans: Vec::new(),
        minute: None,
        day: None,
        hidden: 0,
    };
    let minutes = intervals.iter().enumerate().filter_map(timed).any(whole);
    let days = intervals.iter().any(|interval| interval.ns().is_none());
    let mut ring = |wanted: Interval| {
        let shown = intervals.iter().position(|known| *known == wanted);
        shown.unwrap_or_else(|| {
            made.hidden += 1;
            first_hidden + made.hidden - 1
        })
    };
    let minute = minutes.then(|| ring(Interval::Seconds(60)));
    let day = days.then(|| ring(Interval::Day));
    (made.minute, made.day) = (minute, day);
    if minutes || days {
        made.bases.push(Base {
            ns: MINUTE,
            interval: minute,
        });
    }
    // A date is a fold of its minutes too; no interval in seconds is as long.
    made.plans
        .extend(day.map(|interval| FoldPlan { ns: DAY, interval }));
    for (interval, ns) in intervals.iter().enumerate().filter_map(timed) {
        if ns > MINUTE && ns % MINUTE == 0 {
            made.plans.push(FoldPlan { ns, interval });
        } else if ns != MINUTE {
            made.bases.push(Base {
                ns,
                interval: Some(interval),
            });
        }
    }
    made.plans.sort_by_key(|plan| plan.ns);
    made.bases
        .sort_by_key(|base| if base.ns == MINUTE { 0 } else { base.ns });
    made
}
