//! The common ticks on the short way: an in-order trade inside the newest bar, and a repeat without a trade.
//!
//! They touch one cache line an instrument, in the wire's own 32-bit units: what they change is kept in a
//! [`Quick`] and merged into the bars by `spill` before anything else looks at them. Every condition here
//! only sends ticks the long way, which decides the same cases again; `tests/engine_ways.rs` holds the two
//! against each other.

use crate::bar::{Saying, Vwap, value_bounds};
use crate::session::{Anchor, Tail};
use crate::units::{DAY, Ns, SECOND};
use crate::wire::kite::packet::Full;

use super::{Book, BucketBy};

/// Prices and volumes below this multiply without leaving 64 bits: 2^30.
const SMALL: u32 = 1 << 30;
/// A trade stamp may run ahead of its packet's exchange stamp by this many seconds (R2).
const LTT_AHEAD: u32 = 2;
/// A broker's "no price" (R21).
const NO_PRICE: u32 = 1 << 31;
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

/// What the board shows of the last packet beside what [`Quick`] holds, as it came: one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Rest {
    /// Last traded quantity.
    quantity: [u8; 4],
    /// Total buy and sell quantity, open, high, low, close.
    day: [u8; 24],
    /// OI day high and low.
    oi: [u8; 8],
    bid: [u8; 12],
    ask: [u8; 12],
    /// The instrument's last packet went the short way.
    fresh: bool,
}

/// An instrument's two lines, next to each other.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(128))]
pub(super) struct Seat {
    pub quick: Quick,
    rest: Rest,
}

impl Seat {
    pub const EMPTY: Self = Self {
        quick: Quick::OFF,
        rest: Rest {
            quantity: [0; 4],
            day: [0; 24],
            oi: [0; 8],
            bid: [0; 12],
            ask: [0; 12],
            fresh: false,
        },
    };
}

impl Rest {
    #[inline(always)]
    fn take(&mut self, body: &[u8; 184]) {
        self.quantity.copy_from_slice(&body[8..12]);
        self.day.copy_from_slice(&body[20..44]);
        self.oi.copy_from_slice(&body[52..60]);
        self.bid.copy_from_slice(&body[64..76]);
        self.ask.copy_from_slice(&body[124..136]);
        self.fresh = true;
    }
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
        self.seats[slot].quick.touch() ^ self.seats[slot].rest.bid[0]
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
        if volume == q.volume {
            if ltt != q.ltt {
                return false;
            }
            let same = price == q.price && oi == q.oi;
            self.tally.duplicates += u64::from(same);
            self.tally.quotes += u64::from(!same);
        } else {
            let inside = (ltt >= q.ltt) & (ltt < q.ltt_end) & (ltt <= ets.wrapping_add(LTT_AHEAD));
            let average = w.average_traded_price.get();
            let small = (volume | average | price) < SMALL && average != 0;
            if !(inside & small & (volume > q.volume) & (ets - q.ets <= self.quick_gap)) {
                return false;
            }
            let (v, v0) = (i64::from(volume), i64::from(q.volume));
            // All factors are below 2^31, so the products stay below 2^63.
            let raw = (2 * i64::from(price)).wrapping_mul(v - v0);
            let value = if self.quick_bounded {
                let (a, a0) = (2 * i64::from(average), 2 * i64::from(q.average));
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
        let q = &mut self.seats[slot].quick;
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
        self.seats[slot].quick = loaded.unwrap_or(Quick::OFF);
    }

    fn load(&self, slot: usize) -> Option<Quick> {
        let hot = &self.hot[slot];
        if !hot.open || hot.lows > 0 || !hot.has_volume || hot.signed || !self.options.short_way {
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
        full.last_trade_time = word(hot.ltt_star / SECOND).into();
        full.oi = word(hot.oi_star).into();
        full.exchange_timestamp = word(hot.ets_star / SECOND).into();
        Some(full)
    }

    /// The instrument's last packet went the long way: the board has it whole.
    pub(crate) fn went_the_long_way(&mut self, slot: usize) {
        self.seats[slot].rest.fresh = false;
    }

    /// What the options let the short way do.
    pub(super) fn tune(&mut self) {
        let options = &self.options;
        self.plain = options.anchor == Anchor::Leg && options.tail == Tail::Stub;
        self.quick_bounded = options.saying.vwap == Vwap::Hybrid;
        self.quick_trades =
            options.bucket_by == BucketBy::Ltt && options.saying.vwap != Vwap::Atp && self.nontime.is_empty();
        self.quick_gap = u32::try_from(options.gap / SECOND).unwrap_or(u32::MAX);
    }
}
