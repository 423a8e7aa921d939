//! Folds: n-minute bars made of minute bars (R27), never of ticks.

use crate::bar::Said;
use crate::interval::Interval;
use crate::session::Span;
use crate::units::{MINUTE, Ns};

use super::Base;

/// One interval whose bars are folds of the minute base.
#[derive(Clone, Copy, Debug)]
pub struct FoldPlan {
    pub ns: Ns,
    pub interval: usize,
}

/// A fold of one instrument: the final minutes of one bucket, and how far the buckets are sealed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fold {
    /// Final minutes only; minutes that can still change are absorbed each time anew.
    pub acc: Said,
    /// Start of the newest sealed bucket.
    pub sealed: Ns,
    /// The bucket looked up last.
    pub span: Span,
}

impl Fold {
    pub const NEW: Self = Self {
        acc: Said::empty(0, 0),
        sealed: Ns::MIN,
        span: Span {
            start: Ns::MAX,
            end: Ns::MIN,
        },
    };
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
