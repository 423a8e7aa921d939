//! Stage 0, units: time, price scale and interval, as the rest of the crate counts them.
//!
//! Time is `i64` nanoseconds since the Unix epoch, UTC (rule R1). A price inside the core is an integer
//! in its segment's own unit; it becomes `f64` only for readers, correctly rounded (kite-protocol §5).

/// Nanoseconds since the Unix epoch, UTC.
pub type Ns = i64;

/// Nanoseconds in a second.
pub const SECOND: Ns = 1_000_000_000;
/// Nanoseconds in a minute.
pub const MINUTE: Ns = 60 * SECOND;
/// Nanoseconds in a day.
pub const DAY: Ns = 86_400 * SECOND;
/// India Standard Time is a constant offset: no time-zone database, no daylight saving (R1).
pub const IST_OFFSET: Ns = 19_800 * SECOND;

/// The IST calendar day an instant falls on, as days since 1970-01-01 (R10: the trading date).
#[must_use]
pub const fn ist_day(at: Ns) -> i64 {
    at.saturating_add(IST_OFFSET).div_euclid(DAY)
}

/// The instant at which an IST calendar day begins.
#[must_use]
pub const fn ist_midnight(day: i64) -> Ns {
    day.saturating_mul(DAY).saturating_sub(IST_OFFSET)
}
