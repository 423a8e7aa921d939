//! A bar in the wire's own 32-bit units: what the short way needs of an instrument's newest two bars.
//!
//! Only bars without anything unusual have a brief form: every trade in order and bounded, no gap, no
//! history in them. [`Turn`] holds the newest and the one before it in three cache lines; `turn` opens
//! and seals with them, and everything else sees whole [`Bar`]s, which `spill` makes of them.

use crate::bar::{
    Bar, Extremes, FULL_COVERAGE, Level, NO_HIGH, NO_LOW, Said, Saying, Vwap, flags, source, src,
};
use crate::units::{Ns, SECOND};

use super::fold::Fold;
use super::quick::SMALL;

/// What a bar knows from its opening, and the last open interest before its end: one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Opened {
    pub start: u32,
    pub end: u32,
    pub first_t: u32,
    pub first_v: u32,
    pub first_p: u32,
    /// 0 for none, as on the wire.
    pub first_h: u32,
    /// `u32::MAX` for none.
    pub first_l: u32,
    pub floor_v: u32,
    pub floor_a: u32,
    pub floor_h: u32,
    pub floor_l: u32,
    pub oi: u32,
    /// 0: there was none.
    pub oi_t: u32,
    pub oi_v: u32,
    pub flags: u32,
    pub source: u8,
    pub straddle: bool,
    pub sealed: bool,
    pub exists: bool,
}

/// What its trades made of a bar.
#[derive(Clone, Copy, Debug)]
pub(super) struct Traded {
    pub value2: i64,
    pub last_t: u32,
    pub last_p: u32,
    pub volume: u32,
    pub average: u32,
    pub pmax: u32,
    pub pmin: u32,
    pub hmax: u32,
    pub lmin: u32,
    pub updates: u32,
}

/// The newest bar as it was opened (its trades are in `Quick`), the one before it, and what is final of the minutes
/// before those but not yet in the folds.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Turn {
    /// Exists: the turn holds the instrument's bars, in place of the book's chain.
    pub open: Opened,
    pub before: Opened,
    pub traded: Traded,
    /// The leg's end in seconds: no bar lies beyond it.
    pub leg_end: u32,
    /// When the first of the folds ends that are not sealed, in seconds; 0: not looked up yet.
    pub folds_end: u32,
    /// What turns units into money.
    pub divisor: u32,
    /// The book's chain is behind the turn.
    pub moved: bool,
    /// Final minutes that no fold has yet, all before `kept_end`, where the first of the folds ends.
    pub kept: Fold,
    pub kept_end: u32,
    /// Volume of bars that were folded away since the turn was loaded.
    pub retired: u32,
    pub leg_start: u32,
    /// Folds of a bucket from before this second need to know of history, or of when the feed joined.
    pub since: u32,
}

impl Opened {
    pub const NONE: Self = Self {
        start: 0,
        end: 0,
        first_t: 0,
        first_v: 0,
        first_p: 0,
        first_h: 0,
        first_l: 0,
        floor_v: 0,
        floor_a: 0,
        floor_h: 0,
        floor_l: 0,
        oi: 0,
        oi_t: 0,
        oi_v: 0,
        flags: 0,
        source: 0,
        straddle: false,
        sealed: false,
        exists: false,
    };
}

impl Traded {
    pub const NONE: Self = Self {
        value2: 0,
        last_t: 0,
        last_p: 0,
        volume: 0,
        average: 0,
        pmax: 0,
        pmin: 0,
        hmax: 0,
        lmin: 0,
        updates: 0,
    };
}

impl Turn {
    pub const NONE: Self = Self {
        open: Opened::NONE,
        before: Opened::NONE,
        traded: Traded::NONE,
        leg_end: 0,
        folds_end: 0,
        divisor: 1,
        moved: false,
        kept: Fold::NEW,
        kept_end: 0,
        retired: 0,
        leg_start: 0,
        since: 0,
    };
}

const fn word(x: i64) -> Option<u32> {
    if x >= 0 && x < u32::MAX as i64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "just checked"
        )]
        return Some(x as u32);
    }
    None
}

/// Whole seconds, or none.
pub(super) const fn seconds(t: Ns) -> Option<u32> {
    if t % SECOND == 0 { word(t / SECOND) } else { None }
}

const fn high(x: i64) -> Option<u32> {
    if x == NO_HIGH {
        Some(0)
    } else if x == 0 {
        None
    } else {
        word(x)
    }
}

const fn low(x: i64) -> Option<u32> {
    if x == NO_LOW { Some(u32::MAX) } else { word(x) }
}

fn high_of(x: u32) -> i64 {
    if x == 0 { NO_HIGH } else { i64::from(x) }
}

fn low_of(x: u32) -> i64 {
    if x == u32::MAX { NO_LOW } else { i64::from(x) }
}

/// The brief form of a bar, if it has one.
pub(super) fn brief(bar: &Bar) -> Option<(Opened, Traded)> {
    let usual = bar.exists
        && bar.clamp
        && bar.day_open == 0
        && bar.gap_volume == 0
        && bar.uncovered == 0
        && bar.last_v == bar.top_v
        && bar.top_v >= bar.floor.v;
    let small = |x: i64| x < i64::from(SMALL);
    if !usual || !small(bar.top_v | bar.top_a | bar.floor.a) || !small(bar.pmax.max(bar.hmax)) {
        return None;
    }
    let no_oi = bar.oi_t == Ns::MIN;
    let opened = Opened {
        start: seconds(bar.start)?,
        end: seconds(bar.end)?,
        first_t: seconds(bar.first_t)?,
        first_v: word(bar.first_v)?,
        first_p: word(bar.first_p)?,
        first_h: high(bar.first_h)?,
        first_l: low(bar.first_l)?,
        floor_v: word(bar.floor.v)?,
        floor_a: word(bar.floor.a)?,
        floor_h: high(bar.floor.h)?,
        floor_l: low(bar.floor.l)?,
        oi: word(bar.oi)?,
        oi_t: if no_oi {
            0
        } else {
            seconds(bar.oi_t).filter(|t| *t > 0)?
        },
        oi_v: if no_oi { 0 } else { word(bar.oi_v)? },
        flags: bar.flags,
        source: bar.source,
        straddle: bar.straddle,
        sealed: bar.sealed,
        exists: true,
    };
    let traded = Traded {
        value2: i64::try_from(bar.value2).ok()?,
        last_t: seconds(bar.last_t)?,
        last_p: word(bar.last_p)?,
        volume: word(bar.top_v)?,
        average: word(bar.top_a)?,
        pmax: word(bar.pmax)?,
        pmin: word(bar.pmin)?,
        hmax: high(bar.hmax)?,
        lmin: low(bar.lmin)?,
        updates: bar.updates,
    };
    Some((opened, traded))
}

impl Opened {
    pub fn floor(&self) -> Level {
        Level {
            v: i64::from(self.floor_v),
            a: i64::from(self.floor_a),
            h: high_of(self.floor_h),
            l: low_of(self.floor_l),
        }
    }

    /// The whole bar.
    pub fn bar(&self, traded: &Traded) -> Bar {
        let at = |seconds: u32| Ns::from(seconds) * SECOND;
        let some_oi = self.oi_t > 0;
        Bar {
            end: at(self.end),
            last_t: at(traded.last_t),
            last_v: i64::from(traded.volume),
            last_p: i64::from(traded.last_p),
            pmax: i64::from(traded.pmax),
            pmin: i64::from(traded.pmin),
            top_v: i64::from(traded.volume),
            top_a: i64::from(traded.average),
            hmax: high_of(traded.hmax),
            lmin: low_of(traded.lmin),
            value2: i128::from(traded.value2),
            oi: i64::from(self.oi),
            oi_t: if some_oi { at(self.oi_t) } else { Ns::MIN },
            oi_v: if some_oi { i64::from(self.oi_v) } else { i64::MIN },
            updates: traded.updates,
            flags: self.flags,
            start: at(self.start),
            floor: self.floor(),
            first_t: at(self.first_t),
            first_v: i64::from(self.first_v),
            first_p: i64::from(self.first_p),
            first_h: high_of(self.first_h),
            first_l: low_of(self.first_l),
            day_open: 0,
            gap_volume: 0,
            uncovered: 0,
            source: self.source,
            straddle: self.straddle,
            clamp: true,
            sealed: self.sealed,
            exists: true,
        }
    }

    /// What the bar says: [`Bar::say`] in 64 bits, which hold these bars' products.
    pub fn say(&self, traded: &Traded, how: &Saying) -> Said {
        let volume = traded.volume - self.floor_v;
        let (mut high, mut low, mut flags) = (traded.pmax, traded.pmin, self.flags);
        if how.extremes != Extremes::Off {
            let before_h = if self.floor_h == 0 {
                self.first_h
            } else {
                self.floor_h
            };
            let before_l = if self.floor_l == u32::MAX {
                self.first_l
            } else {
                self.floor_l
            };
            if before_h != 0 && traded.hmax > before_h && traded.hmax > high {
                let ambiguous = self.straddle && traded.hmax == self.first_h;
                if !ambiguous || how.extremes == Extremes::Apply {
                    high = traded.hmax;
                    flags |= if ambiguous { flags::H_AMBIG } else { 0 };
                }
            }
            if before_l != u32::MAX && traded.lmin < before_l && traded.lmin < low {
                let ambiguous = self.straddle && traded.lmin == self.first_l;
                if !ambiguous || how.extremes == Extremes::Apply {
                    low = traded.lmin;
                    flags |= if ambiguous { flags::L_AMBIG } else { 0 };
                }
            }
        }
        let (high, low) = (i64::from(high), i64::from(low));
        let (mut value2, mut width) = if volume == 0 { (0, 0) } else { (traded.value2, -1) };
        if volume > 0 && how.vwap != Vwap::Hlc3 {
            let known = traded.average > 0 && (self.floor_a > 0 || self.floor_v == 0);
            if how.vwap == Vwap::Hybrid && known {
                let (v0, v1) = (i64::from(self.floor_v), i64::from(traded.volume));
                let mid = 2 * (v1 * i64::from(traded.average) - v0 * i64::from(self.floor_a));
                let spread = how.atp_width * (v1 + v0);
                value2 = value2.max(mid - spread).min(mid + spread);
                width = 2 * spread;
            }
            let volume2 = 2 * i64::from(volume);
            value2 = value2.max(volume2 * low).min(volume2 * high);
        }
        flags |= if self.source == source::RECEIVE {
            flags::TIME_APPROX
        } else {
            0
        };
        flags |= if self.oi_t == 0 { flags::NO_OI } else { 0 };
        let (start, end) = (Ns::from(self.start) * SECOND, Ns::from(self.end) * SECOND);
        let length = end - start;
        Said {
            start,
            end,
            open: i64::from(self.first_p),
            high,
            low,
            close: i64::from(traded.last_p),
            volume: i64::from(volume),
            value2: i128::from(value2),
            width: i128::from(width),
            oi: i64::from(self.oi),
            covered: FULL_COVERAGE * length,
            length,
            ticks: traded.updates,
            flags,
            source: self.source,
            src: src::LIVE,
            exists: true,
        }
    }
}
