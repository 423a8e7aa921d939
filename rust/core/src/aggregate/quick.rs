//! The common ticks on the short way: an in-order trade inside the newest bar, and a repeat without a trade.
//!
//! They touch one cache line an instrument, in the wire's own 32-bit units: what they change is kept in a
//! [`Quick`] and merged into the bars by `spill` before anything else looks at them. Every condition here
//! only sends ticks the long way, which decides the same cases again; `tests/engine_ways.rs` holds the two
//! against each other.

use crate::ahead::ask;
use crate::bar::{Saying, Vwap, value_bounds};
use crate::session::{Anchor, Tail};
use crate::units::{DAY, MINUTE, Ns, SECOND};
use crate::wire::kite::packet::Full;

use super::seat::Seat;
use super::turn::Ends;
use super::{Book, BucketBy};

/// Prices and volumes below this multiply without leaving 64 bits: 2^30.
pub(super) const SMALL: u32 = 1 << 30;
/// A trade stamp may run ahead of its packet's exchange stamp by this many seconds (R2).
pub(super) const LTT_AHEAD: u32 = 2;
/// A broker's "no price" (R21).
const NO_PRICE: u32 = 1 << 31;
/// No trade time: matches no packet's.
pub(super) const NO_LTT: u32 = u32::MAX;

/// Σ 2·p·ΔV of one snapshot, bounded by what the rounded averages allow (R22); and whether it was bounded.
pub(super) fn value_of(
    how: &Saying,
    clamps: bool,
    p: i64,
    v0: i64,
    a0: i64,
    v1: i64,
    a1: i64,
) -> (i128, bool) {
    let raw = 2 * i128::from(p) * i128::from(v1 - v0);
    if matches!(how.vwap, Vwap::Ltp | Vwap::Hlc3) {
        return (raw, true);
    }
    if !clamps || a1 == 0 || (a0 == 0 && v0 > 0) {
        return (raw, false);
    }
    let (lo, hi) = value_bounds(v0, a0, v1, a1, how.atp_width);
    if how.vwap == Vwap::Atp {
        ((lo + hi) / 2, true)
    } else {
        (raw.max(lo).min(hi), true)
    }
}

/// What the short way knows and has seen since it was loaded: one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Quick {
    /// Trade time that the packet of the high-water volume said, and end of the newest bars; 0 sends every trade the long way.
    pub ltt: u32,
    pub ltt_end: u32,
    /// Highest stamp, and the first one that something else would have to happen at; 0 stops the short way.
    pub ets: u32,
    pub ets_end: u32,
    pub volume: u32,
    pub average: u32,
    pub oi: u32,
    pub price: u32,
    pub pmax: u32,
    pub pmin: u32,
    pub hmax: u32,
    pub lmin: u32,
    pub updates: u32,
    /// Packets since it was loaded.
    pub seen: u32,
    pub value2: i64,
}

impl Quick {
    pub const OFF: Self = Self {
        ltt: NO_LTT,
        ltt_end: 0,
        ets: 0,
        ets_end: 0,
        volume: 0,
        average: 0,
        oi: 0,
        price: 0,
        pmax: 0,
        pmin: u32::MAX,
        hmax: 0,
        lmin: u32::MAX,
        updates: 0,
        seen: 0,
        value2: 0,
    };
}

impl Quick {
    /// Whether words, or'ed together, are all small.
    #[inline(always)]
    pub const fn is_small(words: u32) -> bool {
        words < SMALL
    }

    /// Σ 2·p·ΔV of a trade above this level, all factors small; with `width`, bounded by the averages (R22).
    #[inline(always)]
    pub fn value_until(&self, price: u32, volume: u32, average: u32, width: Option<i64>) -> i64 {
        let (v, v0) = (i64::from(volume), i64::from(self.volume));
        // All factors are below 2^31, so the products stay below 2^63.
        let raw = (2 * i64::from(price)).wrapping_mul(v - v0);
        let Some(width) = width else {
            return raw;
        };
        let (a, a0) = (2 * i64::from(average), 2 * i64::from(self.average));
        let mid = v.wrapping_mul(a).wrapping_sub(v0.wrapping_mul(a0));
        let spread = width.wrapping_mul(v + v0);
        raw.max(mid.wrapping_sub(spread)).min(mid.wrapping_add(spread))
    }
}

impl Book {
    /// Asks for what the short way of an instrument needs first.
    #[inline(always)]
    pub fn ask(&self, slot: usize) {
        let seat = &self.seats[slot];
        ask(&seat.quick);
        ask(&seat.rest);
    }

    /// Tries the short way; `limit` is the latest second a stamp may have. False: nothing was changed.
    #[inline(always)]
    pub fn quick(&mut self, slot: usize, w: &Full, limit: u32) -> bool {
        let Seat { quick: q, rest } = &mut self.seats[slot];
        let (price, volume, ltt, ets) = (
            w.last_price.get(),
            w.volume_traded.get(),
            w.last_trade_time.get(),
            w.exchange_timestamp.get(),
        );
        let (high, low, oi) = (w.high.get(), w.low.get(), w.oi.get());
        // The day's extremes bound the price; none at all (0) is for the long way to judge.
        let sane = price >= low && price <= high && low != 0 && price != NO_PRICE;
        if !(sane & (ets >= q.ets) & (ets < q.ets_end) & (ets <= limit) & (ltt <= limit)) {
            return false;
        }
        if self.calendar.day.is_some() && !rest.has_day_of(w) {
            return false;
        }
        if volume == q.volume {
            // Without a trade the board shows the price and the average that it has.
            if ltt != q.ltt || price != q.price || w.average_traded_price.get() != q.average {
                return false;
            }
            let same = oi == q.oi;
            self.tally.duplicates += u64::from(same);
            self.tally.quotes += u64::from(!same);
        } else {
            let inside = (ltt >= q.ltt) & (ltt < q.ltt_end) & (ltt <= ets.wrapping_add(LTT_AHEAD));
            let average = w.average_traded_price.get();
            let small = (volume | average | price | high) < SMALL && average != 0;
            if !(inside & small & (volume > q.volume) & (ets - q.ets <= self.quick_gap)) {
                return false;
            }
            let width = self.quick_bounded.then_some(self.options.saying.atp_width);
            let Some(sum) = q.value2.checked_add(q.value_until(price, volume, average, width)) else {
                return false;
            };
            q.value2 = sum;
            q.pmax = q.pmax.max(price);
            q.pmin = q.pmin.min(price);
            q.hmax = q.hmax.max(high);
            q.lmin = q.lmin.min(low);
            q.updates = q.updates.wrapping_add(1);
            q.volume = volume;
            q.average = average;
            q.ltt = ltt;
            q.price = price;
            self.tally.trades += 1;
        }
        q.ets = ets;
        q.oi = oi;
        q.seen = q.seen.wrapping_add(1);
        rest.take(zerocopy::transmute_ref!(w));
        true
    }

    /// Merges what the short way has seen into the instrument's state and its newest bars.
    pub(super) fn spill(&mut self, slot: usize) {
        let turned = self.turns.get(slot).is_some_and(|turn| turn.open.exists);
        let q = self.seats[slot].quick;
        if turned {
            self.unload_turn(slot, &q);
        }
        if q.seen == 0 {
            return;
        }
        self.seats[slot].quick = Quick::OFF;
        let hot = &mut self.hot[slot];
        let (v, stamp) = (i64::from(q.volume) + hot.offset, Ns::from(q.ets) * SECOND);
        let bases = self.bases.len();
        let held = if turned { 0 } else { bases };
        for bar in &mut self.newest[slot * bases..][..held] {
            if q.updates > 0 {
                bar.last_t = Ns::from(q.ltt) * SECOND;
                bar.last_v = v;
                bar.last_p = i64::from(q.price);
                bar.pmax = bar.pmax.max(i64::from(q.pmax));
                bar.pmin = bar.pmin.min(i64::from(q.pmin));
                bar.top_v = v;
                bar.top_a = i64::from(q.average);
                bar.hmax = bar.hmax.max(i64::from(q.hmax));
                bar.lmin = bar.lmin.min(i64::from(q.lmin));
                bar.value2 += i128::from(q.value2);
                bar.updates = bar.updates.saturating_add(q.updates);
                bar.source = bar.source.max(crate::bar::source::LTT);
            }
            if !bar.sealed {
                bar.take_oi(stamp, v, i64::from(q.oi));
            }
        }
        if q.updates > 0 {
            hot.v_star = v;
            hot.a_star = i64::from(q.average);
            hot.ltt_star = Ns::from(q.ltt) * SECOND;
            hot.ltt_said = hot.ltt_star;
            hot.h_star = hot.h_star.max(i64::from(q.hmax));
            hot.l_star = hot.l_star.min(i64::from(q.lmin));
            hot.last_p = i64::from(q.price);
        }
        hot.ets_star = stamp;
        (hot.oi_star, hot.oi_star_t, hot.oi_star_v) = (i64::from(q.oi), stamp, v);
    }

    /// Loads the short way from the instrument's state; off where that state is not the common one.
    pub(super) fn refresh(&mut self, slot: usize) {
        if let Some(turn) = self.turns.get_mut(slot) {
            // What it held has been given back, or was of a date that is over.
            turn.open.exists = false;
        }
        let mut loaded = self.load(slot).unwrap_or(Quick::OFF);
        if loaded.ets != 0 && !self.turns.is_empty() {
            self.load_turn(slot, &mut loaded);
        }
        self.seats[slot].quick = loaded;
    }

    fn load(&self, slot: usize) -> Option<Quick> {
        let hot = &self.hot[slot];
        // The long way learns that the instrument is live, which ends history's say on what is final.
        if self.is_history(slot) {
            return None;
        }
        if !hot.open || hot.lows > 0 || !hot.has_volume || hot.signed || !self.options.short_way {
            return None;
        }
        // A day that is sealed is looked at again with each packet: the broker's own numbers of it may change.
        if self.calendar.day.is_some() && self.day_is_sealed(slot) {
            return None;
        }
        // An auction's own bar is not among the newest, but takes open interest as they do.
        if self.cold[slot].extra.iter().any(|bars| !bars.is_empty()) {
            return None;
        }
        // What comes after a date is sealed may revise it.
        if self.calendar.day.is_some()
            && self.folds[(slot + 1) * self.plans.len() - 1].sealed == hot.day_start
        {
            return None;
        }
        let seconds = |t: Ns| {
            u32::try_from(t / SECOND)
                .ok()
                .filter(|s| Ns::from(*s) * SECOND == t)
        };
        let small = |x: i64| u32::try_from(x).ok();
        let ets = seconds(hot.ets_star)?;
        // A stamp at or past this must go the long way: the date's end, or the end of a bar that still takes OI.
        let mut ets_end = hot.day_start.checked_add(DAY)?;
        let (mut start, mut end) = (Ns::MIN, Ns::MAX);
        let bases = self.bases.len();
        for at in slot * bases..(slot + 1) * bases {
            let newest = &self.newest[at];
            let older = self.older[at].last().map_or(Ns::MIN, |bar| bar.end);
            let closed = if newest.sealed { newest.end } else { Ns::MIN };
            if hot.ets_star < older.max(closed) {
                return None;
            }
            // A price of a volume rollback may lie at a later trade time than the last trade (R14 ii).
            let in_order = newest.last_t <= hot.ltt_star;
            if newest.exists && !newest.sealed {
                end = if in_order { end } else { Ns::MIN };
                (start, end) = (start.max(newest.start), end.min(newest.end));
                if newest.end > hot.ets_star {
                    ets_end = ets_end.min(newest.end);
                }
            } else {
                end = Ns::MIN;
            }
        }
        // The bounds want the day's true volume: after a counter wrap that is not the wire's.
        let known = hot.clamps && hot.offset == 0 && (hot.a_star > 0 || hot.v_star == 0);
        // A repeat says the trade time of its packet, a trade in order comes after the last one; one word serves both.
        let trades = hot.ltt_said == hot.ltt_star
            && hot.ltt_star >= start
            && end > start
            && bases > 0
            && self.quick_trades
            && (known || !self.quick_bounded)
            && hot.a_star < i64::from(SMALL);
        Some(Quick {
            ltt: seconds(hot.ltt_said).unwrap_or(NO_LTT),
            ltt_end: if trades {
                u32::try_from(end / SECOND).ok()?
            } else {
                0
            },
            ets,
            ets_end: u32::try_from(ets_end / SECOND).ok()?,
            volume: small(hot.v_star - hot.offset)?,
            average: small(hot.a_star)?,
            oi: small(hot.oi_star)?,
            price: small(hot.last_p)?,
            ..Quick::OFF
        })
    }

    /// The last packet of an instrument if it went the short way, put together again with one level of depth;
    /// afterwards the caller's copy counts.
    pub fn last_packet(&mut self, slot: usize, token: u32) -> Option<Full> {
        self.spill(slot);
        self.refresh(slot);
        let (rest, hot) = (&mut self.seats[slot].rest, &self.hot[slot]);
        if !std::mem::take(&mut rest.fresh) {
            return None;
        }
        let word = |x: i64| u32::try_from(x).unwrap_or(0);
        let mut bytes = [0; 184];
        bytes[8..12].copy_from_slice(&rest.quantity);
        bytes[20..44].copy_from_slice(&rest.day);
        bytes[52..60].copy_from_slice(&rest.oi);
        bytes[64..76].copy_from_slice(&rest.bid);
        bytes[124..136].copy_from_slice(&rest.ask);
        let mut full: Full = zerocopy::transmute!(bytes);
        full.instrument_token = token.into();
        full.last_price = word(hot.last_p).into();
        full.average_traded_price = word(hot.a_star).into();
        full.volume_traded = word(hot.v_star - hot.offset).into();
        full.last_trade_time = word(hot.ltt_said / SECOND).into();
        full.oi = word(hot.oi_star).into();
        full.exchange_timestamp = word(hot.ets_star / SECOND).into();
        Some(full)
    }

    /// The instrument's last packet went the long way: the board has it whole. Its day is kept to see a change of it.
    pub(crate) fn went_the_long_way(&mut self, slot: usize, full: &Full) {
        let rest = &mut self.seats[slot].rest;
        rest.take(zerocopy::transmute_ref!(full));
        rest.fresh = false;
    }

    /// What the options let the short way do.
    pub(super) fn tune(&mut self) {
        let options = &self.options;
        self.plain = options.anchor == Anchor::Leg && options.tail == Tail::Stub;
        self.quick_bounded = options.saying.vwap == Vwap::Hybrid;
        self.quick_trades =
            options.bucket_by == BucketBy::Ltt && options.saying.vwap != Vwap::Atp && self.nontime.is_empty();
        self.base_seconds = self.bases.first().map_or(0, |base| base.ns / SECOND) as u32;
        // A date is the last of the folds; its end is the clock's business.
        let folds = self
            .plans
            .iter()
            .filter(|plan| plan.ns < DAY && self.bases[0].ns == MINUTE);
        self.ends = Ends::new(folds.map(|plan| (plan.ns / SECOND) as u32).collect());
        self.quick_gap = u32::try_from(options.gap / SECOND).unwrap_or(u32::MAX);
    }
}
