//! The common ticks: an in-order trade inside the newest bars, and a repeat without a trade.
//!
//! A tick that fails any condition here goes the long way, which decides the same cases again; a
//! property test holds the two against each other.

use crate::bar::{Saying, Vwap, value_bounds};
use crate::units::{DAY, Ns, SECOND};

use super::state::{Clock, Snap};
use super::{Book, BucketBy};

/// Raw volumes above this may come from before a counter wrap (R14 iii).
pub(super) const NEAR_WRAP: i64 = (1 << 32) / 10 * 9;
/// A trade stamp may run ahead of its packet's exchange stamp by this much (R2).
pub(super) const LTT_AHEAD: Ns = 2 * SECOND;

/// Σ 2·p·ΔV of one snapshot, bounded by what the rounded averages allow (R22); and whether it was bounded.
#[inline(always)]
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

impl Book {
    /// Tries the short way. False: nothing was changed.
    #[inline(always)]
    pub(super) fn fast(&mut self, slot: usize, s: &Snap, clock: &Clock) -> bool {
        let hot = &mut self.hot[slot];
        let v = s.volume + hot.offset;
        let stamps_fine = s.ets >= hot.ets_star
            && s.ets >= hot.day_start
            && s.ets - hot.day_start < DAY
            && s.ltt >= hot.day_start
            && s.ltt <= s.ets + LTT_AHEAD;
        let price_fine = s.price > 0
            && s.price >= s.low.saturating_sub(i64::from(hot.tick))
            && s.price <= s.high.saturating_add(i64::from(hot.tick))
            && s.price != crate::aggregate::tick::NO_PRICE;
        if !(hot.open && !s.given && stamps_fine && price_fine && s.volume <= NEAR_WRAP && s.has_oi) {
            return false;
        }
        let bases = self.bases.len();
        let newest = &mut self.newest[slot * bases..(slot + 1) * bases];
        if v == hot.v_star {
            if s.ets < hot.oi_barrier {
                return false;
            }
            let same = s.ltt == hot.ltt_star && s.price == hot.last_p && s.oi == hot.oi_star;
            self.tally.duplicates += u64::from(same);
            self.tally.quotes += u64::from(!same);
        } else {
            let inside = s.ltt >= hot.fast_start && s.ltt < hot.fast_end && s.ltt >= hot.ltt_star;
            let silent = s.ets - hot.ets_star > self.options.gap && clock.watermark > hot.ets_star;
            if v < hot.v_star
                || !inside
                || s.ets < hot.oi_barrier
                || silent
                || self.options.bucket_by != BucketBy::Ltt
            {
                return false;
            }
            let (value, bounded) = value_of(
                &self.options.saying,
                hot.clamps,
                s.price,
                hot.v_star,
                hot.a_star,
                v,
                s.average,
            );
            for bar in newest.iter_mut() {
                bar.take_price(s.ltt, v, s.price, s.high, s.low);
                bar.top_v = v;
                bar.top_a = s.average;
                bar.hmax = bar.hmax.max(s.high);
                bar.lmin = bar.lmin.min(s.low);
                bar.value2 += value;
                bar.clamp &= bounded;
                bar.updates = bar.updates.saturating_add(1);
                bar.source = bar.source.max(crate::bar::source::LTT);
            }
            self.tally.trades += 1;
            hot.v_star = v;
            hot.a_star = s.average;
            hot.ltt_star = s.ltt;
            hot.h_star = hot.h_star.max(s.high);
            hot.l_star = hot.l_star.min(s.low);
            hot.last_p = s.price;
        }
        for bar in newest {
            if !bar.sealed {
                bar.take_oi(s.ets, v, s.oi);
            }
        }
        hot.lows = 0;
        hot.ets_star = s.ets;
        hot.oi_star = s.oi;
        hot.oi_star_t = s.ets;
        hot.oi_star_v = v;
        true
    }
}
