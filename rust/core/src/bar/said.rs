//! What a bar says: its numbers after the chain was walked, folds of them, and the row they make.

use crate::units::Ns;

use super::{Bar, FULL_COVERAGE, Level, NO_HIGH, NO_LOW, Row, flags, source, src};

/// The nearest `f64`; the 128-bit conversion is a call, most values do not need it.
#[inline]
#[expect(
    clippy::cast_precision_loss,
    reason = "rounds to nearest, as docs/bars.md says"
)]
fn float(x: i128) -> f64 {
    match i64::try_from(x) {
        Ok(small) => small as f64,
        Err(_) => wide(x),
    }
}

#[cold]
#[expect(
    clippy::cast_precision_loss,
    reason = "rounds to nearest, as docs/bars.md says"
)]
fn wide(x: i128) -> f64 {
    x as f64
}

/// How a bar's vwap is made (R22).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vwap {
    Hybrid,
    Atp,
    Ltp,
    Hlc3,
}

/// What happens to a recovered day extreme that may belong to the bar before (R18).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extremes {
    Apply,
    Skip,
    Off,
}

/// The options that decide what a bar says.
#[derive(Clone, Copy, Debug)]
pub struct Saying {
    pub vwap: Vwap,
    pub extremes: Extremes,
    /// Twice the half-width of the broker's rounding of its average, in price units: 1 rounds, 2 truncates.
    pub atp_width: i64,
}

/// What a bar says, in integers: a base bar after its chain was walked, or a fold of such bars (R27).
#[derive(Clone, Copy, Debug)]
pub struct Said {
    pub start: Ns,
    pub end: Ns,
    pub open: i64,
    pub high: i64,
    pub low: i64,
    pub close: i64,
    pub volume: i64,
    pub value2: i128,
    /// Σ (hi − lo) of the clamps; negative where a bar with volume had none.
    pub width: i128,
    pub oi: i64,
    /// Σ coverage · length.
    pub covered: i64,
    /// Σ length.
    pub length: i64,
    pub ticks: u32,
    pub flags: u32,
    pub source: u8,
    pub src: u8,
    /// False until something was absorbed.
    pub exists: bool,
}

/// `[lo, hi]` that the rounded averages at both ends allow for twice the value between them (R22).
#[must_use]
#[inline]
pub fn value_bounds(v0: i64, a0: i64, v1: i64, a1: i64, w: i64) -> (i128, i128) {
    let mid = 2 * (i128::from(v1) * i128::from(a1) - i128::from(v0) * i128::from(a0));
    let spread = i128::from(w) * (i128::from(v1) + i128::from(v0));
    (mid - spread, mid + spread)
}

impl Bar {
    /// What the bar says after `carry`, the level at its start, and the level at its end.
    #[must_use]
    #[inline]
    pub fn say(&self, carry: Level, how: &Saying) -> (Said, Level) {
        let end = carry.join(self.top());
        let volume = end.v - carry.v;
        let mut flags = self.flags;
        let mut high = self.pmax;
        let mut low = self.pmin;
        if how.extremes != Extremes::Off {
            // Without a day's extreme from before the bar, it can only have moved since the bar's first snapshot.
            let before_h = if carry.h == NO_HIGH { self.first_h } else { carry.h };
            let before_l = if carry.l == NO_LOW { self.first_l } else { carry.l };
            if before_h != NO_HIGH && self.hmax > before_h && self.hmax > high {
                let ambiguous = self.straddle && self.hmax == self.first_h;
                if !ambiguous || how.extremes == Extremes::Apply {
                    high = self.hmax;
                    flags |= if ambiguous { flags::H_AMBIG } else { 0 };
                }
            }
            if before_l != NO_LOW && self.lmin < before_l && self.lmin < low {
                let ambiguous = self.straddle && self.lmin == self.first_l;
                if !ambiguous || how.extremes == Extremes::Apply {
                    low = self.lmin;
                    flags |= if ambiguous { flags::L_AMBIG } else { 0 };
                }
            }
        }
        let open = if self.day_open != 0 {
            self.day_open
        } else {
            self.first_p
        };
        if self.day_open != 0 {
            high = high.max(open);
            low = low.min(open);
        }
        let mut value2 = if volume == 0 { 0 } else { self.value2 };
        let mut width = if volume == 0 { 0 } else { -1 };
        if volume > 0 && how.vwap != Vwap::Hlc3 {
            let known = end.a != 0 && (carry.a != 0 || carry.v == 0);
            if how.vwap == Vwap::Hybrid && self.clamp && known {
                let (lo, hi) = value_bounds(carry.v, carry.a, end.v, end.a, how.atp_width);
                value2 = value2.max(lo).min(hi);
                width = hi - lo;
            }
            if how.vwap != Vwap::Atp {
                let volume2 = 2 * i128::from(volume);
                value2 = value2
                    .max(volume2 * i128::from(low))
                    .min(volume2 * i128::from(high));
            }
        }
        if self.source == source::RECEIVE {
            flags |= flags::TIME_APPROX;
        }
        if self.oi_t == Ns::MIN {
            flags |= flags::NO_OI;
        }
        let length = self.end - self.start;
        let covered = (length - self.uncovered).max(0);
        let said = Said {
            start: self.start,
            end: self.end,
            open,
            high,
            low,
            close: self.last_p,
            volume,
            value2,
            width,
            oi: self.oi,
            covered: if covered == length {
                FULL_COVERAGE
            } else {
                covered * FULL_COVERAGE / length.max(1)
            } * length,
            length,
            ticks: self.updates,
            flags,
            source: self.source,
            src: src::LIVE,
            exists: true,
        };
        (said, end)
    }
}

impl Said {
    /// An empty fold of the bucket `[start, end)`.
    #[must_use]
    pub const fn empty(start: Ns, end: Ns) -> Self {
        Self {
            start,
            end,
            open: 0,
            high: i64::MIN,
            low: i64::MAX,
            close: 0,
            volume: 0,
            value2: 0,
            width: 0,
            oi: 0,
            covered: 0,
            length: 0,
            ticks: 0,
            flags: 0,
            source: 0,
            src: 0,
            exists: false,
        }
    }

    /// Folds the next bar of the bucket in (R27).
    #[inline(always)]
    pub fn absorb(&mut self, bar: &Self) {
        if !self.exists {
            self.open = bar.open;
            self.exists = true;
            self.flags = bar.flags;
        }
        self.high = self.high.max(bar.high);
        self.low = self.low.min(bar.low);
        self.close = bar.close;
        self.volume += bar.volume;
        self.value2 += bar.value2;
        self.width = if bar.width < 0 || self.width < 0 {
            -1
        } else {
            self.width + bar.width
        };
        self.covered += bar.covered;
        self.length += bar.length;
        self.ticks = self.ticks.saturating_add(bar.ticks);
        // A missing OI or volume is a property of the whole only while no part has it.
        let whole = flags::NO_OI | flags::NO_VOLUME;
        if bar.flags & flags::NO_OI == 0 {
            self.oi = bar.oi;
        }
        self.flags = (self.flags | bar.flags) & !whole | (self.flags & bar.flags & whole);
        self.source = self.source.max(bar.source);
        self.src |= bar.src;
    }

    /// The row a reader sees. `divisor` turns units into money.
    #[must_use]
    #[inline(always)]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "prices are below 2^53 and exact; values round once, as docs/bars.md says"
    )]
    pub fn row(&self, divisor: i64, how: Vwap) -> Row {
        let d = divisor as f64;
        let (open, high, low, close) = (
            self.open as f64 / d,
            self.high as f64 / d,
            self.low as f64 / d,
            self.close as f64 / d,
        );
        let (mut vwap, mut err) = (f64::NAN, f32::NAN);
        if self.volume > 0 {
            // Twice and four times the volume in units; the 128-bit way is for volumes nobody has seen yet.
            let unit2 = match self.volume.checked_mul(2 * divisor) {
                Some(unit2) => unit2 as f64,
                None => float(2 * i128::from(self.volume) * i128::from(divisor)),
            };
            vwap = match how {
                // Three equal prices may give a third of their sum that is none of them.
                Vwap::Hlc3 => ((high + low + close) / 3.0).max(low).min(high),
                Vwap::Atp => float(self.value2) / unit2,
                Vwap::Hybrid | Vwap::Ltp => (float(self.value2) / unit2).max(low).min(high),
            };
            if self.width >= 0 && how == Vwap::Hybrid {
                // Doubling a float is exact.
                err = (float(self.width) / (2.0 * unit2)) as f32;
            }
        }
        Row {
            time: self.start,
            open,
            high,
            low,
            close,
            volume: self.volume,
            vwap,
            oi: self.oi,
            ticks: self.ticks,
            flags: self.flags,
            vwap_err: err,
            coverage: if self.covered == FULL_COVERAGE * self.length {
                FULL_COVERAGE as u16
            } else {
                (self.covered / self.length.max(1)) as u16
            },
            rev: 0,
            origin: self.source | self.src << 4,
        }
    }
}
