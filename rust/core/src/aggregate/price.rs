//! Packets without volume: every one is a price update (docs/bars.md §6; R29, R2).

use crate::bar::{Level, flags};
use crate::session::Phase;

use super::Book;
use super::contact::Contact;
use super::state::{Clock, Snap};
use super::tick::Trade;

impl Book {
    /// One packet without volume: an index, mode ltp, or any with `volume="none"`.
    #[cold]
    #[inline(never)]
    pub fn price_tick(&mut self, slot: usize, s: &Snap, clock: &Clock) {
        self.spill(slot);
        let undated = Snap {
            has_volume: false,
            volume: 0,
            average: 0,
            ..*s
        };
        let contact = self.contact(slot, &undated, clock);
        let s = &Snap {
            has_volume: false,
            volume: 0,
            ltt: 0,
            average: 0,
            ..*s
        };
        if contact == Contact::Nothing {
            return self.refresh(slot);
        }
        if self.hot[slot].has_volume {
            self.tally.without_volume += 1;
            return self.refresh(slot);
        }
        self.cold[slot].priced |= contact != Contact::Stamps;
        if contact != Contact::Ordinary {
            return self.settle(slot, s, clock);
        }
        self.gap_was_empty(slot);
        if !self.price_is_sane(slot, s) {
            self.tally.price_rejected += 1;
            self.settle(slot, s, clock);
            return;
        }
        let (t, source) = self.place(s);
        if matches!(self.cold[slot].schedule.phase(t), Phase::Continuous(_)) {
            self.arrivals += 1;
            let trade = Trade {
                t,
                source,
                v: self.arrivals,
                delta: 0,
                gap: None,
                bounded: false,
            };
            self.price_update(slot, s, clock, &trade);
        } else {
            self.tally.outside += 1;
        }
        let hot = &mut self.hot[slot];
        hot.h_star = hot.h_star.max(s.high);
        hot.l_star = hot.l_star.min(s.low);
        hot.last_p = s.price;
        self.settle(slot, s, clock);
    }

    fn price_update(&mut self, slot: usize, s: &Snap, clock: &Clock, trade: &Trade) {
        if !self.cold[slot].reserved {
            let day = self.cold[slot].day;
            self.reserve(slot, day);
        }
        let floor = Level {
            v: 0,
            a: 0,
            ..self.hot[slot].level()
        };
        for base in 0..self.bases.len() {
            let Some(span) = self.span_of(slot, self.bases[base].ns, trade.t) else {
                continue;
            };
            let at = slot * self.bases.len() + base;
            let newest = &self.newest[at];
            let in_order = !newest.exists || trade.t >= newest.last_t.max(newest.start);
            self.tally.late += u64::from(base == 0 && !in_order);
            if !self.is_open_to_change(span.end, clock) {
                self.tally.late_dropped += u64::from(base == 0);
                continue;
            }
            if in_order && (!newest.exists || span.start > newest.start) {
                self.open_bar(slot, base, span, s, floor, trade, clock);
            }
            if in_order {
                let bar = &mut self.newest[at];
                self.dirty |= bar.sealed;
                bar.take_update(s, trade);
            } else {
                let mut chain = self.take_chain(slot, base);
                if let Some(place) = self.place_in(slot, base, &mut chain, s, clock, trade.t) {
                    chain[place].take_update(s, trade);
                }
                self.put_chain(slot, base, chain);
            }
        }
    }
}

impl crate::bar::Bar {
    fn take_update(&mut self, s: &Snap, trade: &Trade) {
        self.take_price(trade.t, trade.v, s.price, s.high, s.low);
        self.hmax = self.hmax.max(s.high);
        self.lmin = self.lmin.min(s.low);
        self.updates = self.updates.saturating_add(1);
        self.flags |= flags::NO_VOLUME;
        self.source = self.source.max(trade.source);
    }
}
