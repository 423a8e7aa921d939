//! Minutes to n-minute bars: which minutes are in which bucket (R27).

use crate::bar::Said;
use crate::session::Span;
use crate::units::{MINUTE, Ns};

use super::Book;

impl Book {
    /// The bars of an n-minute interval that can still change, given what the minutes say.
    #[inline]
    pub(super) fn fold_groups(
        &mut self,
        slot: usize,
        plan: usize,
        said: &[Said],
        mut each: impl FnMut(&mut Self, &Said),
    ) {
        let at = slot * self.plans.len() + plan;
        let ns = self.plans[plan].ns;
        let mut held = self.folds[at].held();
        let mut i = 0;
        while i < said.len() {
            let span = self.fold_span(slot, at, ns, said[i].start);
            if let Some(start) = held.filter(|start| *start < span.start && *start > self.folds[at].sealed) {
                self.fold_alone(slot, at, ns, start, &mut each);
            }
            held = None;
            let mut sum = self.folds[at].of(span);
            while i < said.len() && said[i].start < span.end {
                sum.absorb(&said[i]);
                i += 1;
            }
            each(self, &sum);
        }
        if let Some(start) = held.filter(|start| *start > self.folds[at].sealed) {
            self.fold_alone(slot, at, ns, start, &mut each);
        }
    }

    /// A bucket all of whose minutes are final.
    #[cold]
    fn fold_alone(
        &mut self,
        slot: usize,
        at: usize,
        ns: Ns,
        start: Ns,
        each: &mut impl FnMut(&mut Self, &Said),
    ) {
        let span = self.fold_span(slot, at, ns, start);
        let sum = self.folds[at].of(span);
        each(self, &sum);
    }

    #[inline]
    pub(super) fn fold_span(&mut self, slot: usize, at: usize, ns: Ns, start: Ns) -> Span {
        let cached = self.folds[at].span;
        if cached.start <= start && start < cached.end {
            return cached;
        }
        let alone = Span {
            start,
            end: start.saturating_add(MINUTE),
        };
        let span = self.span_of(slot, ns, start).unwrap_or(alone);
        self.folds[at].span = span;
        span
    }
}
