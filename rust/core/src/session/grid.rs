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
    pub(super) fn bar_at(&self, t: Ns) -> Span {
        let (first, last) = (self.cell(self.leg.start), self.last_cell());
        // A merged stub has a cell of its own past the last one.
        let cell = self.cell(t.clamp(self.leg.start, self.leg.end - 1)).min(last);
        let start = if cell == first {
            self.leg.start
        } else {
            self.edge(cell)
        };
        let end = if cell == last {
            self.leg.end
        } else {
            self.edge(cell.saturating_add(1))
        };
        Span { start, end }
    }

    /// How many bars the leg has.
    pub(super) fn count(&self) -> usize {
        let cells = self
            .last_cell()
            .saturating_sub(self.cell(self.leg.start))
            .saturating_add(1);
        usize::try_from(cells).unwrap_or(usize::MAX)
    }

    /// The number of the cell that begins the leg's last bar.
    fn last_cell(&self) -> i64 {
        let last = self.cell(self.leg.end - 1);
        let short = self.edge(last.saturating_add(1)) > self.leg.end;
        let alone = last == self.cell(self.leg.start);
        if self.tail == Tail::Merge && short && !alone {
            last - 1
        } else {
            last
        }
    }

    fn cell(&self, t: Ns) -> i64 {
        t.saturating_sub(self.base).div_euclid(self.interval)
    }

    /// Where a cell begins. Only the outermost edges of huge intervals saturate, and those are cut.
    fn edge(&self, cell: i64) -> Ns {
        self.base.saturating_add(cell.saturating_mul(self.interval))
    }
}
