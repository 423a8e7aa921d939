//! The bars of one leg: anchored (R6), cut at the leg's ends (R7).

use super::{Anchor, Span, Tail};
use crate::units::Ns;

/// One leg's grid of bars. `interval` is positive and the leg not empty: `Grid::new` sees to it.
#[derive(Clone, Copy)]
pub(super) struct Grid {
    leg: Span,
    base: Ns,
    interval: Ns,
    tail: Tail,
}

impl Grid {
    /// None when the interval is not positive, for which no bar exists.
    pub(super) fn new(
        leg: Span,
        interval: Ns,
        anchor: Anchor,
        tail: Tail,
        open: Ns,
        midnight: Ns,
    ) -> Option<Self> {
        if interval <= 0 || leg.end <= leg.start {
            return None;
        }
        let base = match anchor {
            Anchor::Leg => leg.start,
            Anchor::Day => open,
            Anchor::Midnight => midnight,
            Anchor::Epoch => 0,
        };
        Some(Self {
            leg,
            base,
            interval,
            tail,
        })
    }

    /// The bar that holds `t`; stamps outside the leg get its first or its last bar.
    ///
    /// One division: the engine asks at the start of each bar of each instrument.
    pub(super) fn bar_at(&self, t: Ns) -> Span {
        let Span {
            start: open,
            end: close,
        } = self.leg;
        let cell = self.cell(t.clamp(open, close - 1));
        let (start, next) = (self.edge(cell), self.edge(cell.saturating_add(1)));
        let bar = Span {
            start: start.max(open),
            end: next.min(close),
        };
        if self.tail == Tail::Stub {
            return bar;
        }
        if next > close {
            // The stub itself, which joins the bar before it, if there is one.
            return Span {
                start: self.edge(cell.saturating_sub(1)).max(open),
                end: close,
            };
        }
        if self.edge(cell.saturating_add(2)) > close {
            return Span { end: close, ..bar };
        }
        bar
    }

    /// How many bars the leg has.
    pub(super) fn count(&self) -> usize {
        let (first, last) = (self.cell(self.leg.start), self.cell(self.leg.end - 1));
        let short = self.edge(last.saturating_add(1)) > self.leg.end;
        let merged = self.tail == Tail::Merge && short && last > first;
        let cells = last.saturating_sub(first).saturating_add(i64::from(!merged));
        usize::try_from(cells).unwrap_or(usize::MAX)
    }

    fn cell(&self, t: Ns) -> i64 {
        t.saturating_sub(self.base).div_euclid(self.interval)
    }

    /// Where a cell begins. Only the outermost edges of huge intervals saturate, and those are cut.
    fn edge(&self, cell: i64) -> Ns {
        self.base.saturating_add(cell.saturating_mul(self.interval))
    }
}
