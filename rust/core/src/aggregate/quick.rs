//! The common ticks on the short way: an in-order trade inside the newest bar, and a repeat without a trade.
//!
//! They touch one cache line an instrument, in the wire's own 32-bit units: what they change is kept in a
//! [`Quick`] and merged into the bars by `spill` before anything else looks at them. Every condition here
//! only sends ticks the long way, which decides the same cases again; `tests/engine_ways.rs` holds the two
//! against each other.

use crate::bar::{Saying, Vwap, value_bounds};
use crate::units::{DAY, Ns, SECOND};

use super::{Book, BucketBy};

/// Prices and volumes below this multiply without leaving 64 bits: 2^30.
const SMALL: u32 = 1 << 30;
/// A trade stamp may run ahead of its packet's exchange stamp by this many seconds (R2).
const LTT_AHEAD: u32 = 2;
/// No trade time: matches no packet's.
const NO_LTT: u32 = u32::MAX;

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
    if !clamps || a1 <= 0 || (a0 <= 0 && v0 > 0) {
        return (raw, false);
    }
    let (lo, hi) = value_bounds(v0, a0, v1, a1, how.atp_width);
    if how.vwap == Vwap::Atp {
        ((lo + hi) / 2, true)
    } else {
        (raw.max(lo).min(hi), true)
    }
}

/// A full packet's fields as they are on the wire.
#[derive(Clone, Copy, Debug)]
pub struct Wire {
    pub price: u32,
    pub volume: u32,
    pub average: u32,
    pub high: u32,
    pub low: u32,
    pub ltt: u32,
    pub oi: u32,
    pub ets: u32,
}

/// What the short way knows and has seen since it was loaded: one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Quick {
    /// Trade time of the high-water volume, and end of the newest bars; 0 sends every trade the long way.
    ltt: u32,
    ltt_end: u32,
    /// Highest stamp, and the first one that something else would have to happen at; 0 stops the short way.
    ets: u32,
    ets_end: u32,
    volume: u32,
    average: u32,
    oi: u32,
    price: u32,
    pmax: u32,
    pmin: u32,
    hmax: u32,
    lmin: u32,
    updates: u32,
    /// Packets since it was loaded.
    seen: u32,
    value2: i64,
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
    /// Any bits of the line.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "any bits will do")]
    pub fn touch(&self) -> u8 {
        self.ets as u8
    }
}

impl Book {
    /// Reads what the short way of an instrument needs first, so that it is at hand.
    #[inline(always)]
    #[must_use]
    pub fn touch(&self, slot: usize) -> u8 {
        self.quick[slot].touch()
    }

    /// Tries the short way; `limit` is the latest second a stamp may have. False: nothing was changed.
    #[inline(always)]
    pub fn quick(&mut self, slot: usize, w: &Wire, limit: u32) -> bool {
        let q = &mut self.quick[slot];
        // The day's extremes bound the price; none at all (0) is for the long way to judge.
        let sane = w.price >= w.low && w.price <= w.high && w.low != 0;
        if !(sane & (w.ets >= q.ets) & (w.ets < q.ets_end) & (w.ets <= limit) & (w.ltt <= limit)) {
            return false;
        }
        if w.volume == q.volume {
            if w.ltt != q.ltt {
                return false;
            }
            let same = w.price == q.price && w.oi == q.oi;
            self.tally.duplicates += u64::from(same);
            self.tally.quotes += u64::from(!same);
        } else {
            let inside = (w.ltt >= q.ltt) & (w.ltt < q.ltt_end) & (w.ltt <= w.ets.wrapping_add(LTT_AHEAD));
            let small = (w.volume | w.average | w.price) < SMALL && w.average != 0;
            if !(inside & small & (w.volume > q.volume) & (w.ets - q.ets <= self.quick_gap)) {
                return false;
            }
            let (v, v0) = (i64::from(w.volume), i64::from(q.volume));
            // All factors are below 2^31, so the products stay below 2^63.
            let raw = (2 * i64::from(w.price)).wrapping_mul(v - v0);
            let value = if self.quick_bounded {
                let (a, a0) = (2 * i64::from(w.average), 2 * i64::from(q.average));
                let width = self.options.saying.atp_width;
                let mid = v.wrapping_mul(a).wrapping_sub(v0.wrapping_mul(a0));
                let spread = width.wrapping_mul(v + v0);
                raw.max(mid.wrapping_sub(spread)).min(mid.wrapping_add(spread))
            } else {
                raw
            };
            let Some(sum) = q.value2.checked_add(value) else {
                return false;
            };
            q.value2 = sum;
            q.pmax = q.pmax.max(w.price);
            q.pmin = q.pmin.min(w.price);
            q.hmax = q.hmax.max(w.high);
            q.lmin = q.lmin.min(w.low);
            q.updates = q.updates.wrapping_add(1);
            q.volume = w.volume;
            q.average = w.average;
            q.ltt = w.ltt;
            q.price = w.price;
            self.tally.trades += 1;
        }
        q.ets = w.ets;
        q.oi = w.oi;
        q.seen = q.seen.wrapping_add(1);
        true
    }

    /// Merges what the short way has seen into the instrument's state and its newest bars.
    pub(super) fn spill(&mut self, slot: usize) {
        let q = &mut self.quick[slot];
        if q.seen == 0 {
            return;
        }
        let q = std::mem::replace(
            q,
            Quick {
                seen: 0,
                ..Quick::OFF
            },
        );
        let hot = &mut self.hot[slot];
        let (v, stamp) = (i64::from(q.volume) + hot.offset, Ns::from(q.ets) * SECOND);
        let bases = self.bases.len();
        for bar in &mut self.newest[slot * bases..(slot + 1) * bases] {
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
            hot.h_star = hot.h_star.max(i64::from(q.hmax));
            hot.l_star = hot.l_star.min(i64::from(q.lmin));
            hot.last_p = i64::from(q.price);
        }
        hot.ets_star = stamp;
        (hot.oi_star, hot.oi_star_t, hot.oi_star_v) = (i64::from(q.oi), stamp, v);
    }

    /// Loads the short way from the instrument's state; off where that state is not the common one.
    pub(super) fn refresh(&mut self, slot: usize) {
        let loaded = self.load(slot);
        self.quick[slot] = loaded.unwrap_or(Quick::OFF);
    }

    fn load(&self, slot: usize) -> Option<Quick> {
        let hot = &self.hot[slot];
        if !hot.open || hot.lows > 0 || !hot.has_volume || !self.options.short_way {
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
            if newest.exists && !newest.sealed {
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
        let trades = hot.ltt_star >= start
            && end > start
            && bases > 0
            && self.quick_trades
            && (known || !self.quick_bounded)
            && hot.a_star < i64::from(SMALL);
        Some(Quick {
            ltt: seconds(hot.ltt_star).unwrap_or(NO_LTT),
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

    /// What the options let the short way do.
    pub(super) fn tune(&mut self) {
        let options = &self.options;
        self.quick_bounded = options.saying.vwap == Vwap::Hybrid;
        self.quick_trades =
            options.bucket_by == BucketBy::Ltt && options.saying.vwap != Vwap::Atp && self.nontime.is_empty();
        self.quick_gap = u32::try_from(options.gap / SECOND).unwrap_or(u32::MAX);
    }
}
