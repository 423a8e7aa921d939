//! A bar that can still change, and the level between one bar and the next.

use crate::ahead::ask;
use crate::units::Ns;

use super::{NO_HIGH, NO_LOW};

/// Levels that only rise (or, for the low, fall) through a day: the chain between bars (R41).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    pub v: i64,
    pub a: i64,
    pub h: i64,
    pub l: i64,
}

impl Level {
    pub const START: Self = Self {
        v: 0,
        a: 0,
        h: NO_HIGH,
        l: NO_LOW,
    };

    /// The higher of two levels, field by field; the average follows the volume, the later one on a tie.
    #[must_use]
    #[inline]
    pub fn join(self, later: Self) -> Self {
        let (v, a) = if later.v >= self.v {
            (later.v, later.a)
        } else {
            (self.v, self.a)
        };
        Self {
            v,
            a,
            h: self.h.max(later.h),
            l: self.l.min(later.l),
        }
    }
}

/// An open interest, and its key: the stamp and the volume that it came with (R30).
pub type Interest = (i64, Ns, i64);

/// A bar that is not final yet. The fields that a tick touches come first: two cache lines.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Bar {
    pub end: Ns,
    pub last_t: Ns,
    pub last_v: i64,
    pub last_p: i64,
    pub pmax: i64,
    pub pmin: i64,
    pub top_v: i64,
    pub top_a: i64,
    pub hmax: i64,
    pub lmin: i64,
    /// Σ 2·price·ΔV after the clamps of R22.
    pub value2: i128,
    pub oi: i64,
    pub oi_t: Ns,
    pub oi_v: i64,
    pub updates: u32,
    pub flags: u32,
    pub start: Ns,
    pub floor: Level,
    pub first_t: Ns,
    pub first_v: i64,
    pub first_p: i64,
    pub first_h: i64,
    pub first_l: i64,
    /// The day's open as the broker says it, where `open_source` asks for it; 0 otherwise.
    pub day_open: i64,
    pub gap_volume: i64,
    /// Nanoseconds of the bar during which the feed was not connected.
    pub uncovered: Ns,
    pub source: u8,
    /// The tick before the bar's first lies before the bar's start (R18).
    pub straddle: bool,
    pub clamp: bool,
    pub sealed: bool,
    /// False only for the place holder of an instrument that has no bar yet.
    pub exists: bool,
}

impl Bar {
    /// The place holder: contains no instant.
    pub const NONE: Self = Self {
        end: Ns::MIN,
        last_t: Ns::MIN,
        last_v: i64::MIN,
        last_p: 0,
        pmax: i64::MIN,
        pmin: i64::MAX,
        top_v: i64::MIN,
        top_a: 0,
        hmax: NO_HIGH,
        lmin: NO_LOW,
        value2: 0,
        oi: 0,
        oi_t: Ns::MIN,
        oi_v: i64::MIN,
        updates: 0,
        flags: 0,
        start: Ns::MAX,
        floor: Level::START,
        first_t: Ns::MAX,
        first_v: i64::MAX,
        first_p: 0,
        first_h: NO_HIGH,
        first_l: NO_LOW,
        day_open: 0,
        gap_volume: 0,
        uncovered: 0,
        source: 0,
        straddle: false,
        clamp: true,
        sealed: false,
        exists: false,
    };

    /// Asks for the lines that sealing reads.
    #[inline]
    pub(crate) fn ask(&self) {
        ask(&self.end);
        ask(&self.hmax);
        ask(&self.oi_v);
        ask(&self.first_p);
    }

    #[must_use]
    #[inline]
    pub fn contains(&self, t: Ns) -> bool {
        self.start <= t && t < self.end
    }

    #[inline]
    pub fn top(&self) -> Level {
        Level {
            v: self.top_v,
            a: self.top_a,
            h: self.hmax,
            l: self.lmin,
        }
    }

    /// Takes one snapshot's price into first, last, highest and lowest. On equal keys the earlier arrival stays.
    #[inline]
    pub fn take_price(&mut self, t: Ns, v: i64, p: i64, h: i64, l: i64) {
        if (t, v) < (self.first_t, self.first_v) {
            self.first_t = t;
            self.first_v = v;
            self.first_p = p;
            self.first_h = h;
            self.first_l = l;
        }
        if (t, v) > (self.last_t, self.last_v) {
            self.last_t = t;
            self.last_v = v;
            self.last_p = p;
        }
        self.pmax = self.pmax.max(p);
        self.pmin = self.pmin.min(p);
    }

    /// Its open interest with the key of that.
    #[must_use]
    pub fn interest(&self) -> Interest {
        (self.oi, self.oi_t, self.oi_v)
    }

    /// Takes an open interest whose key is at least the one held (R30).
    #[inline]
    pub fn take_oi(&mut self, t: Ns, v: i64, oi: i64) -> bool {
        let newer = t < self.end && (t, v) >= (self.oi_t, self.oi_v);
        if newer {
            self.oi_t = t;
            self.oi_v = v;
            self.oi = oi;
        }
        newer
    }
}
