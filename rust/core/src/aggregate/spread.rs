//! `gap_volume="spread"`: a gap's volume over the time of the gap (docs/bars.md §7; R13).

use crate::bar::{Level, NO_HIGH, NO_LOW, flags};
use crate::session::Span;
use crate::units::{MINUTE, Ns, SECOND};

use super::state::{Clock, Snap};
use super::tick::Trade;
use super::{Book, GapVolume};

/// The time `[from, to)` in which a gap's volume was traded; stamps name whole seconds.
#[derive(Clone, Copy)]
struct Stretch {
    from: Ns,
    to: Ns,
}

impl Book {
    /// Lays a gap tick's volume over the base's bars before that of `own`. Gives how much of it was placed.
    pub(super) fn lay_out(
        &mut self,
        slot: usize,
        base: usize,
        own: Span,
        s: &Snap,
        clock: &Clock,
        trade: &Trade,
    ) -> i64 {
        let Some(gap) = trade.gap.filter(|_| self.options.gap_volume == GapVolume::Spread) else {
            return 0;
        };
        let hot = &self.hot[slot];
        let (level, begin) = (hot.v_star, gap.max(hot.ltt_star));
        let stretch = Stretch {
            from: begin.saturating_add(SECOND),
            to: trade.t.saturating_add(SECOND),
        };
        let whole = self.traded_in(slot, stretch, stretch.to);
        // What history knows of these minutes is better than any share.
        let known = Span {
            start: gap.saturating_sub(MINUTE - 1),
            end: trade.t.saturating_add(1),
        };
        if whole == 0 || self.cold[slot].joined.any_in(known) {
            return 0;
        }
        let ns = self.bases[base].ns;
        let mut placed = 0;
        let mut next = stretch.from;
        for leg in self.cold[slot].schedule.legs().to_vec() {
            next = next.max(leg.start);
            while next < leg.end.min(own.start) {
                let Some(span) = self.span_of(slot, ns, next) else {
                    break;
                };
                let before = self.traded_in(slot, stretch, span.end);
                let reached = (i128::from(trade.delta) * i128::from(before) / i128::from(whole)) as i64;
                let share = Trade {
                    v: level + reached,
                    delta: reached - placed,
                    ..*trade
                };
                if share.delta > 0 && self.take_share(slot, base, span, s, clock, &share, gap) {
                    placed = reached;
                }
                next = span.end;
            }
        }
        placed
    }

    /// How much continuous trading of the stretch lies before `end`.
    fn traded_in(&self, slot: usize, stretch: Stretch, end: Ns) -> Ns {
        let end = end.min(stretch.to);
        let legs = self.cold[slot].schedule.legs().iter();
        legs.map(|leg| (end.min(leg.end) - stretch.from.max(leg.start)).max(0))
            .sum()
    }

    /// A share goes into its bar, which is opened if need be. False: it is final, or behind a later one.
    #[expect(
        clippy::too_many_arguments,
        reason = "one tick's facts, decided once by the caller"
    )]
    fn take_share(
        &mut self,
        slot: usize,
        base: usize,
        span: Span,
        s: &Snap,
        clock: &Clock,
        share: &Trade,
        gap: Ns,
    ) -> bool {
        let at = slot * self.bases.len() + base;
        let newest = &self.newest[at];
        let (bar, level) = if !newest.exists || span.start > newest.start {
            let floor = Level {
                v: share.v - share.delta,
                ..self.hot[slot].level()
            };
            self.open_bar(slot, base, span, s, floor, share, clock);
            let bar = &mut self.newest[at];
            bar.flags |= flags::GAP;
            bar.flags |= if gap <= span.start { flags::MISSING } else { 0 };
            bar.uncovered += span.end - gap.max(span.start);
            bar.take_price(span.end - 1, share.v, s.price, NO_HIGH, NO_LOW);
            bar.source = bar.source.max(share.source);
            (bar, floor.v)
        } else {
            let mut chain = self.older[at].clone();
            chain.push(*newest);
            let found = chain.iter().rposition(|bar| bar.start == span.start);
            let open = self.is_open_to_change(span.end, clock);
            let Some(place) = found.filter(|_| open) else {
                return false;
            };
            let level = self.levels(&chain)[place].v;
            match self.older[at].get_mut(place) {
                Some(bar) => (bar, level),
                None => (&mut self.newest[at], level),
            }
        };
        // Without an average nothing bounds the value of what follows in this bar or the next.
        bar.top_v = level + share.delta;
        bar.top_a = 0;
        bar.value2 += 2 * i128::from(s.price) * i128::from(share.delta);
        bar.clamp = false;
        bar.gap_volume += share.delta;
        self.dirty |= bar.sealed;
        true
    }
}
