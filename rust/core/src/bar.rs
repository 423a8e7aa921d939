//! Stage 4, bar: what a bar holds while it forms, what it says, and the row it becomes.
//!
//! The procedure is docs/bars.md §4a-4c. Prices are integers in the instrument's unit, volumes 64-bit
//! counts; only a [`Row`] has floats, made once, when the bar is sealed or read.

mod forming;
mod row;
mod said;

pub use forming::{Bar, Interest, Level};
pub use row::{Row, WORDS};
pub use said::{Extremes, Said, Saying, Vwap, value_bounds};

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
    /// The bar has a signed volume, which is an estimate (R38).
    pub const DELTA_EST: u32 = 1 << 14;
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
