//! The long way of a packet with volume: is it a trade, a repeat, late, or a rollback (docs/bars.md §4)?

use crate::bar::source;
use crate::session::Phase;
use crate::units::{Ns, SECOND};

use super::contact::Contact;
use super::state::{Auction, Booking, Clock, NO_TIME, Snap};
use super::{Book, BucketBy, CloseOn, PostClose, PreOpen, VolumeKind};

/// A broker's "no price", whichever sign it is read with (R21).
pub(super) const NO_PRICE: i64 = 1 << 31;
/// A rollback is believed after so many lower volumes, or so long (R14 ii).
const LOWS: u8 = 5;
const LOW_FOR: Ns = 10 * SECOND;
/// Auction prints remembered for folding; there is one in practice.
const MAX_PRINTS: usize = 64;
/// Raw volumes above this may come from before a counter wrap (R14 iii).
const NEAR_WRAP: i64 = WRAP / 10 * 9;
/// A trade stamp may run ahead of its packet's exchange stamp by this much (R2).
const LTT_AHEAD: Ns = 2 * SECOND;
/// The counter's range (R14 iii).
const WRAP: i64 = 1 << 32;

/// A trade-bearing snapshot on its way into bars: its place in time and in the volume chain.
#[derive(Clone, Copy, Debug)]
pub struct Trade {
    pub t: Ns,
    pub source: u8,
    /// Adjusted cumulative volume.
    pub v: i64,
    pub delta: i64,
    /// Where the gap that ends here began.
    pub gap: Option<Ns>,
    /// The averages may bound its value; they may not after a rollback.
    pub bounded: bool,
}

impl Book {
    /// One packet with volume.
    #[cold]
    #[inline(never)]
    pub fn tick(&mut self, slot: usize, s: &Snap, clock: &Clock) {
        if self.options.volume == VolumeKind::None {
            self.price_tick(slot, s, clock);
            return;
        }
        self.spill(slot);
        match self.contact(slot, s, clock) {
            Contact::Nothing => return self.refresh(slot),
            Contact::Stamps => return self.settle(slot, s, clock),
            Contact::Seeded => {
                self.hot[slot].has_volume = true;
                return self.settle(slot, s, clock);
            }
            Contact::Ordinary => self.hot[slot].has_volume = true,
        }
        if !self.price_is_sane(slot, s) {
            self.tally.price_rejected += 1;
            self.settle(slot, s, clock);
            return;
        }
        let mut v = self.unwrap_volume(slot, s.volume);
        let (t, src) = self.place(s);
        let hot = &self.hot[slot];
        if v == hot.v_star {
            let same_oi = !s.has_oi || s.oi == hot.oi_star;
            let same = s.ltt != 0 && s.ltt == hot.ltt_said && s.price == hot.last_p && same_oi;
            self.tally.duplicates += u64::from(same);
            self.tally.quotes += u64::from(!same);
            self.gap_was_empty(slot);
            self.hot[slot].lows = 0;
        } else if v > hot.v_star {
            let (delta, bounded) = (v - hot.v_star, hot.clamps);
            self.hot[slot].lows = 0;
            self.trade(
                slot,
                s,
                clock,
                Trade {
                    t,
                    source: src,
                    v,
                    delta,
                    gap: None,
                    bounded,
                },
            );
        } else if t <= hot.ltt_star {
            self.late(
                slot,
                s,
                clock,
                Trade {
                    t,
                    source: src,
                    v,
                    delta: 0,
                    gap: None,
                    bounded: hot.clamps,
                },
            );
        } else {
            let before = self.hot[slot].offset;
            self.rollback(slot, s, clock, t, v);
            // If that was believed, it is the high water now.
            v += self.hot[slot].offset - before;
        }
        self.settle_at(slot, s, clock, v);
    }

    /// Stamps, OI and what follows from them, after the packet did its work.
    pub(super) fn settle(&mut self, slot: usize, s: &Snap, clock: &Clock) {
        let v = s.volume.saturating_add(self.hot[slot].offset);
        self.settle_at(slot, s, clock, v);
    }

    /// The same for a packet that is known to have been at `v`.
    fn settle_at(&mut self, slot: usize, s: &Snap, clock: &Clock, v: i64) {
        self.note_stamp(slot, s, v);
        self.note_day(slot, s);
        if s.has_oi {
            self.give_oi(slot, s.stamp, v, s.oi, clock);
        }
        if self.is_history(slot)
            && self.newest[slot * self.bases.len()..]
                .first()
                .is_some_and(|bar| bar.exists)
        {
            // The live clock may have sealed an n-minute bar whose minutes are still to come.
            self.fold_may_change(slot, 0, self.newest[slot * self.bases.len()].start);
        }
        if std::mem::take(&mut self.dirty) {
            self.resync(slot);
        }
        let opened = std::mem::take(&mut self.opened);
        let extra = std::mem::replace(&mut self.opened_extra, NO_TIME);
        if extra != NO_TIME && self.options.close_on == CloseOn::NextTick {
            for base in 0..self.bases.len() {
                self.close_base(slot, base, extra, NO_TIME);
            }
        }
        if opened != 0 && self.options.close_on == CloseOn::NextTick {
            // A bar that came late into another base has no next tick yet.
            for base in (0..self.bases.len()).filter(|base| opened & (1 << base) != 0) {
                let start = self.newest[slot * self.bases.len() + base].start;
                self.close_base(slot, base, start, NO_TIME);
            }
        }
        self.refresh(slot);
    }

    pub(super) fn price_is_sane(&self, slot: usize, s: &Snap) -> bool {
        let tick = i64::from(self.hot[slot].tick);
        let bounded = s.high != crate::bar::NO_HIGH && s.low != crate::bar::NO_LOW;
        let inside = s.price >= s.low.saturating_sub(tick) && s.price <= s.high.saturating_add(tick);
        let signed = s.price != 0 && self.hot[slot].signed;
        (s.price > 0 || signed) && s.price.abs() != NO_PRICE && (!bounded || inside)
    }

    /// The broker's counter without its wraps and rollbacks (R14).
    fn unwrap_volume(&mut self, slot: usize, raw: i64) -> i64 {
        let hot = &mut self.hot[slot];
        let counter = hot.v_star - hot.offset;
        if raw < WRAP / 10 && counter > NEAR_WRAP && counter < WRAP {
            hot.offset += WRAP;
        } else if raw > NEAR_WRAP && raw < WRAP && hot.offset >= WRAP && counter < WRAP / 10 {
            return raw + hot.offset - WRAP;
        }
        raw.saturating_add(hot.offset)
    }

    /// Where in time a packet's trade lies, and which clock says so (R2).
    pub(super) fn place(&self, s: &Snap) -> (Ns, u8) {
        let exchange = if s.ets == 0 {
            (s.stamp, source::RECEIVE)
        } else {
            (s.ets, source::EXCHANGE)
        };
        match self.options.bucket_by {
            _ if s.given && s.ets != 0 => (s.stamp, source::GIVEN),
            BucketBy::Ltt if s.ltt != 0 && (s.ets == 0 || s.ltt <= s.ets + LTT_AHEAD) => (s.ltt, source::LTT),
            BucketBy::Ltt | BucketBy::Exchange => exchange,
            BucketBy::Receive if s.rx > 0 => (s.rx, source::RECEIVE),
            BucketBy::Receive => exchange,
        }
    }

    /// A newer stamp with a lower volume: the price counts, the volume waits to be believed (R14 ii).
    fn rollback(&mut self, slot: usize, s: &Snap, clock: &Clock, t: Ns, v: i64) {
        self.tally.rollbacks += 1;
        if self.hot[slot].lows == 0 {
            self.cold[slot].low_since = s.stamp;
        }
        let level = self.hot[slot].v_star;
        let bases = self.bases.len();
        self.hot[slot].lows += 1;
        let believed =
            self.hot[slot].lows >= LOWS || s.stamp.saturating_sub(self.cold[slot].low_since) >= LOW_FOR;
        let mut unflagged = 0_u64;
        for base in 0..bases {
            let span = self.span_of(slot, self.bases[base].ns, t);
            let open = span.is_some_and(|span| self.is_open_to_change(span.end, clock));
            let bar = &mut self.newest[slot * bases + base];
            if open && bar.exists && span.is_some_and(|span| span.start == bar.start) {
                bar.take_price(t, level, s.price, bar.first_h, bar.first_l);
                if (t, level) == (bar.last_t, bar.last_v) {
                    bar.last_p = s.price;
                }
                self.dirty |= bar.sealed;
                if believed {
                    bar.flags |= crate::bar::flags::VOL_REBASED;
                }
            } else {
                unflagged |= 1 << base;
            }
        }
        if believed {
            self.tally.rebases += 1;
            let hot = &mut self.hot[slot];
            let fall = hot.v_star - v;
            hot.offset += fall;
            hot.ltt_star = t;
            hot.clamps = false;
            hot.lows = 0;
            hot.note_said(s);
            self.cold[slot].account.rebased += fall;
            self.cold[slot].rebase_due = unflagged;
        }
    }

    /// A trade-bearing packet goes where its phase says (R4, R8, R9).
    fn trade(&mut self, slot: usize, s: &Snap, clock: &Clock, mut trade: Trade) {
        self.tally.trades += 1;
        let mut backwards = trade.t < self.hot[slot].ltt_star;
        if backwards && trade.source == source::LTT && s.ets != 0 && !self.can_amend(slot, trade.t, clock) {
            // Too far back for a reordered packet: the trade time is not to be believed (R2).
            trade.t = s.ets.max(self.hot[slot].ltt_star);
            trade.source = source::EXCHANGE;
            backwards = false;
        }
        let phase = self.cold[slot].schedule.phase(trade.t);
        let continuous = matches!(phase, Phase::Continuous(_));
        // In an auction's own bar, a trade that ran backwards counts as one in order.
        if !backwards || self.extra_span(slot, phase, trade.t).is_some() {
            trade.gap = self.gap_before(slot, s, clock);
        }
        if !continuous {
            self.shift_after(slot, clock, &trade);
        }
        if let Some(from) = trade.gap {
            self.mark_gap_start(slot, from, trade.t, clock);
        }
        let after = self.cold[slot]
            .schedule
            .close()
            .is_some_and(|close| trade.t > close);
        let booked = self.cold[slot].account;
        match phase {
            Phase::Continuous(_) if backwards => self.late_trade(slot, s, clock, trade),
            Phase::Continuous(_) => self.in_order(slot, s, clock, trade),
            Phase::PreOpen => self.opening_auction(slot, s, clock, trade),
            Phase::CloseAuction => self.closing_auction(slot, s, trade),
            Phase::PostClose | Phase::After | Phase::Break if after => {
                self.post_close(slot, s, clock, trade);
            }
            _ => self.book(slot, Booking::Unattributed, trade.delta),
        }
        if trade.gap.is_some() {
            self.gap_booked(slot, trade.delta, booked);
        }
        self.feed_nontime(slot, s, &trade);
        let hot = &mut self.hot[slot];
        hot.v_star = trade.v;
        hot.a_star = s.average;
        hot.ltt_star = hot.ltt_star.max(trade.t);
        hot.h_star = hot.h_star.max(s.high);
        hot.l_star = hot.l_star.min(s.low);
        hot.note_said(s);
    }

    fn can_amend(&self, slot: usize, t: Ns, clock: &Clock) -> bool {
        self.bases.iter().all(|base| {
            self.span_of(slot, base.ns, t)
                .is_none_or(|span| self.is_open_to_change(span.end, clock))
        })
    }

    /// Whether a bar that ends at `end` may still change (R25).
    #[inline]
    pub(super) fn is_open_to_change(&self, end: Ns, clock: &Clock) -> bool {
        clock.now == NO_TIME || end.saturating_add(self.options.final_after()) >= clock.now
    }

    fn opening_auction(&mut self, slot: usize, s: &Snap, clock: &Clock, trade: Trade) {
        let hot = &self.hot[slot];
        let level = hot.level();
        let seen = hot.ets_star;
        let cold = &mut self.cold[slot];
        let before = cold.auction_open.map_or(0, |auction| auction.volume);
        cold.auction_open = Some(Auction {
            price: s.price,
            volume: before + trade.delta,
            time: trade.t,
        });
        match self.options.preopen {
            PreOpen::Separate => self.book(slot, Booking::AuctionOpen, trade.delta),
            PreOpen::Drop => self.book(slot, Booking::Dropped, trade.delta),
            PreOpen::Fold => {
                if cold.prints.is_empty() {
                    cold.before_prints = seen;
                }
                // A first bar that is open already has had its auction.
                if cold.opened == 0 && cold.prints.len() < MAX_PRINTS {
                    cold.prints.push((*s, trade, level));
                }
                self.book(slot, Booking::AuctionOpen, trade.delta);
            }
            PreOpen::Bar => {
                if let Some(span) = self.extra_span(slot, Phase::PreOpen, trade.t) {
                    self.extra_bar(slot, 0, span, s, clock, &trade);
                }
            }
        }
    }

    fn closing_auction(&mut self, slot: usize, s: &Snap, trade: Trade) {
        let cold = &mut self.cold[slot];
        let before = cold.auction_close.map_or(0, |auction| auction.volume);
        cold.auction_close = Some(Auction {
            price: s.price,
            volume: before + trade.delta,
            time: trade.t,
        });
        self.book(slot, Booking::AuctionClose, trade.delta);
    }

    fn post_close(&mut self, slot: usize, s: &Snap, clock: &Clock, trade: Trade) {
        let drops = self.options.postclose == PostClose::Drop;
        match self.extra_span(slot, Phase::PostClose, trade.t) {
            Some(post) => self.extra_bar(slot, 1, post, s, clock, &trade),
            None if drops => self.book(slot, Booking::Dropped, trade.delta),
            None => self.book(slot, Booking::Post, trade.delta),
        }
    }

    /// Books volume that is no bar's (R11).
    pub(super) fn book(&mut self, slot: usize, booking: Booking, volume: i64) {
        let cold = &mut self.cold[slot];
        *cold.account.of(booking) += volume;
        match cold.bookings.last_mut() {
            Some((last, sum)) if *last == booking => *sum += volume,
            _ => cold.bookings.push((booking, volume)),
        }
    }

    /// Late packets gave bars volume that was booked elsewhere: takes it off there, the last booking first.
    pub(super) fn unbook(&mut self, slot: usize, mut volume: i64) {
        let cold = &mut self.cold[slot];
        while volume > 0 {
            let Some((booking, sum)) = cold.bookings.last_mut() else {
                break;
            };
            let part = volume.min(*sum);
            *sum -= part;
            volume -= part;
            let (booking, empty) = (*booking, *sum == 0);
            *cold.account.of(booking) -= part;
            if empty {
                cold.bookings.pop();
            }
        }
    }
}
