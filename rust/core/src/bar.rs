//! Stage 4, bar: what a bar holds while it forms, what it says, and the row it becomes.
//!
//! The procedure is docs/bars.md §4a-4c. Prices are integers in the instrument's unit, volumes 64-bit
//! counts; only a [`Row`] has floats, made once, when the bar is sealed or read.

use crate::units::Ns;

/// Bits of a row's `flags` column (R39).
pub mod flags {
    /// The feed joined after the bar's start: its head is missing (R12).
    pub const PARTIAL: u32 = 1;
    /// A gap in the feed touches the bar (R13).
    pub const GAP: u32 = 1 << 1;
    /// The bar lies wholly inside a gap; its prices are unknown (R13).
    pub const MISSING: u32 = 1 << 2;
    /// Some tick was placed by its receive time for want of exchange stamps (R2).
    pub const TIME_APPROX: u32 = 1 << 3;
    /// The instrument or the mode has no volume: volume is 0 and vwap NaN (R29, R31).
    pub const NO_VOLUME: u32 = 1 << 4;
    /// No open interest was seen (R31).
    pub const NO_OI: u32 = 1 << 5;
    /// The high is a day high that may have been traded before the bar's start (R18).
    pub const H_AMBIG: u32 = 1 << 6;
    /// The low is a day low that may have been traded before the bar's start (R18).
    pub const L_AMBIG: u32 = 1 << 7;
    /// The exchange took volume back and the counter was rebased (R14).
    pub const VOL_REBASED: u32 = 1 << 8;
    /// The row was filled on read; nothing traded (R24).
    pub const FILLED: u32 = 1 << 9;
    /// The bar is, or starts with, an auction or the post-close session (R8, R9).
    pub const AUCTION: u32 = 1 << 10;
    /// History replaced or corrected the bar (R12, R13, R34).
    pub const REPAIRED: u32 = 1 << 11;
    /// High and low came in one update; their order is unknown (R38).
    pub const AMBIG: u32 = 1 << 12;
    /// One update would have made too many bars; the last carries the rest (R38).
    pub const CAPPED: u32 = 1 << 13;
}

/// Which clock placed a tick (R2), worst last.
pub mod source {
    pub const GIVEN: u8 = 0;
    pub const LTT: u8 = 1;
    pub const EXCHANGE: u8 = 2;
    pub const RECEIVE: u8 = 3;
}

/// Where a bar's numbers came from (R39).
pub mod src {
    pub const LIVE: u8 = 1;
    pub const HISTORY: u8 = 2;
    pub const MIXED: u8 = 3;
}

/// No day high seen yet: below every price.
pub const NO_HIGH: i64 = i64::MIN;
/// No day low seen yet: above every price.
pub const NO_LOW: i64 = i64::MAX;
/// `coverage` is counted in ten-thousandths of the bar.
pub const FULL_COVERAGE: i64 = 10_000;

/// One sealed bar, ten 64-bit words: what a page's columns hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    pub time: Ns,
    pub open: f64,
    pub high: f64,
    pub low: f64,
    pub close: f64,
    pub volume: i64,
    pub vwap: f64,
    pub oi: i64,
    pub ticks: u32,
    pub flags: u32,
    pub vwap_err: f32,
    /// Ten-thousandths of the bar during which the feed was connected.
    pub coverage: u16,
    pub rev: u8,
    /// `time_source` in the low four bits, `src` in the high four.
    pub origin: u8,
}

/// Number of 64-bit words (columns) in a row.
pub const WORDS: usize = 10;

impl Row {
    /// Room for a row.
    pub const BLANK: Self = Self {
        time: 0,
        open: 0.0,
        high: 0.0,
        low: 0.0,
        close: 0.0,
        volume: 0,
        vwap: 0.0,
        oi: 0,
        ticks: 0,
        flags: 0,
        vwap_err: 0.0,
        coverage: 0,
        rev: 0,
        origin: 0,
    };

    /// The row as a page stores it, word by word.
    #[must_use]
    #[inline]
    pub fn words(&self) -> [u64; WORDS] {
        [
            self.time.cast_unsigned(),
            self.open.to_bits(),
            self.high.to_bits(),
            self.low.to_bits(),
            self.close.to_bits(),
            self.volume.cast_unsigned(),
            self.vwap.to_bits(),
            self.oi.cast_unsigned(),
            u64::from(self.ticks) | u64::from(self.flags) << 32,
            u64::from(self.vwap_err.to_bits())
                | u64::from(self.coverage) << 32
                | u64::from(self.rev) << 48
                | u64::from(self.origin) << 56,
        ]
    }

    /// The inverse of [`Row::words`].
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "each cast picks a packed field")]
    pub fn from_words(w: &[u64; WORDS]) -> Self {
        Self {
            time: w[0].cast_signed(),
            open: f64::from_bits(w[1]),
            high: f64::from_bits(w[2]),
            low: f64::from_bits(w[3]),
            close: f64::from_bits(w[4]),
            volume: w[5].cast_signed(),
            vwap: f64::from_bits(w[6]),
            oi: w[7].cast_signed(),
            ticks: w[8] as u32,
            flags: (w[8] >> 32) as u32,
            vwap_err: f32::from_bits(w[9] as u32),
            coverage: (w[9] >> 32) as u16,
            rev: (w[9] >> 48) as u8,
            origin: (w[9] >> 56) as u8,
        }
    }

    /// Equality of everything a reader sees but `rev`, NaN equal to itself.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        let with_rev = Self {
            rev: self.rev,
            ..*other
        };
        self.words() == with_rev.words()
    }
}

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
        let open = if self.day_open > 0 {
            self.day_open
        } else {
            self.first_p
        };
        if self.day_open > 0 {
            high = high.max(open);
            low = low.min(open);
        }
        let mut value2 = if volume == 0 { 0 } else { self.value2 };
        let mut width = if volume == 0 { 0 } else { -1 };
        if volume > 0 && how.vwap != Vwap::Hlc3 {
            let known = end.a > 0 && (carry.a > 0 || carry.v == 0);
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
    #[inline]
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
                Vwap::Hlc3 => (high + low + close) / 3.0,
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
