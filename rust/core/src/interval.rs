//! Stage 3a, interval: how long a bar is, and the names people write for it.
//!
//! A second-based interval divides a session's legs (R6, R7); day, week and month follow the calendar
//! of trading dates (R28) and have no fixed length.

use core::fmt;

use crate::units::{Ns, SECOND};

/// The largest interval that is counted in seconds; a day is its own kind.
const MAX_SECONDS: u32 = 86_399;

/// A bar's length. The order is from short to long.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Ord, PartialOrd, Debug)]
pub enum Interval {
    /// A whole number of seconds, 1 to 86,399; one minute is `Seconds(60)`.
    Seconds(u32),
    /// One trading date.
    Day,
    /// Monday to Sunday by trading date.
    Week,
    /// One calendar month by trading date.
    Month,
}

/// Why a text is no interval.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum IntervalErrorKind {
    /// The text is empty.
    Empty,
    /// The unit is none of the known words.
    Unit,
    /// The count is zero, or has too many digits.
    Count,
    /// The length is a day or more, and not exactly one day, week or month.
    TooLong,
}

/// A text that is no interval, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IntervalError {
    pub kind: IntervalErrorKind,
    pub text: String,
}

impl Interval {
    /// Reads `"1m"`, `"60m"`, `"1h"`, `"30s"`, `"1d"`, `"1w"`, `"1mo"` and the long forms `"minute"`,
    /// `"5minute"`, `"1min"`, `"day"`, `"week"`, `"month"`; a missing count is one.
    ///
    /// # Errors
    /// [`IntervalError`] with the text as it was given.
    pub fn parse(text: &str) -> Result<Self, IntervalError> {
        let fail = |kind| {
            Err(IntervalError {
                kind,
                text: text.to_owned(),
            })
        };
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return fail(IntervalErrorKind::Empty);
        }
        let digits = trimmed.bytes().take_while(u8::is_ascii_digit).count();
        let (count, unit) = trimmed.split_at(digits);
        let count: u32 = match count {
            "" => 1,
            // Ten digits or more do not fit; six are already more than any interval needs.
            _ => match count.parse() {
                Ok(n) if n > 0 => n,
                _ => return fail(IntervalErrorKind::Count),
            },
        };
        let seconds_each = match unit {
            // A bare letter is no name: "m" alone would be a guess.
            "s" | "m" | "h" | "d" | "w" | "mo" if digits == 0 => {
                return fail(IntervalErrorKind::Unit);
            }
            "s" | "sec" | "second" => 1,
            "m" | "min" | "minute" => 60,
            "h" | "hour" => 3_600,
            "d" | "day" if count == 1 => return Ok(Self::Day),
            "w" | "week" if count == 1 => return Ok(Self::Week),
            "mo" | "month" if count == 1 => return Ok(Self::Month),
            "d" | "day" | "w" | "week" | "mo" | "month" => return fail(IntervalErrorKind::TooLong),
            _ => return fail(IntervalErrorKind::Unit),
        };
        match count.checked_mul(seconds_each) {
            Some(n) if n <= MAX_SECONDS => Ok(Self::Seconds(n)),
            _ => fail(IntervalErrorKind::TooLong),
        }
    }

    /// The length in seconds; None for day, week and month.
    #[must_use]
    pub const fn seconds(self) -> Option<u32> {
        match self {
            Self::Seconds(n) => Some(n),
            Self::Day | Self::Week | Self::Month => None,
        }
    }

    /// The length in nanoseconds; None for day, week and month.
    #[must_use]
    pub const fn ns(self) -> Option<Ns> {
        match self {
            // A u32 of seconds is at most 4.3e18 ns, which an i64 holds.
            Self::Seconds(n) => Some(n as Ns * SECOND),
            Self::Day | Self::Week | Self::Month => None,
        }
    }
}

/// The canonical form: minutes where they are whole, else seconds, so an hour is `60m`.
impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seconds(n) if n % 60 == 0 => write!(f, "{}m", n / 60),
            Self::Seconds(n) => write!(f, "{n}s"),
            Self::Day => f.write_str("1d"),
            Self::Week => f.write_str("1w"),
            Self::Month => f.write_str("1mo"),
        }
    }
}

impl fmt::Display for IntervalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            IntervalErrorKind::Empty => "interval is empty",
            IntervalErrorKind::Unit => "interval needs a count and one of s, m, h, 1d, 1w, 1mo",
            IntervalErrorKind::Count => "interval count must be a positive number",
            IntervalErrorKind::TooLong => "interval must be shorter than a day, or 1d, 1w, 1mo",
        };
        write!(f, "{what}: {:?}", self.text)
    }
}

impl core::error::Error for IntervalError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_accepted_name_has_one_canonical_form() {
        for (given, canonical) in [
            ("1m", "1m"),
            ("1min", "1m"),
            ("minute", "1m"),
            ("60s", "1m"),
            ("3m", "3m"),
            ("5minute", "5m"),
            ("60m", "60m"),
            ("1h", "60m"),
            ("hour", "60m"),
            ("60minute", "60m"),
            ("2h", "120m"),
            ("125m", "125m"),
            ("30s", "30s"),
            ("90s", "90s"),
            ("86399s", "86399s"),
            ("1d", "1d"),
            ("day", "1d"),
            ("1w", "1w"),
            ("week", "1w"),
            ("1mo", "1mo"),
            ("month", "1mo"),
            (" 5m ", "5m"),
        ] {
            let interval = Interval::parse(given).unwrap();
            assert_eq!(interval.to_string(), canonical, "{given}");
            assert_eq!(Interval::parse(canonical), Ok(interval), "{given}");
        }
    }

    #[test]
    fn a_text_that_is_no_interval_says_what_is_wrong() {
        for (given, kind) in [
            ("", IntervalErrorKind::Empty),
            ("  ", IntervalErrorKind::Empty),
            ("0m", IntervalErrorKind::Count),
            ("99999999999s", IntervalErrorKind::Count),
            ("m", IntervalErrorKind::Unit),
            ("5", IntervalErrorKind::Unit),
            ("5q", IntervalErrorKind::Unit),
            ("1M", IntervalErrorKind::Unit),
            ("-5m", IntervalErrorKind::Unit),
            ("+5m", IntervalErrorKind::Unit),
            ("1.5m", IntervalErrorKind::Unit),
            ("५m", IntervalErrorKind::Unit),
            ("24h", IntervalErrorKind::TooLong),
            ("86400s", IntervalErrorKind::TooLong),
            ("4294967295h", IntervalErrorKind::TooLong),
            ("2d", IntervalErrorKind::TooLong),
        ] {
            let error = Interval::parse(given).unwrap_err();
            assert_eq!(error.kind, kind, "{given}");
            assert!(error.to_string().ends_with(&format!("{given:?}")), "{error}");
        }
    }

    #[test]
    fn lengths_are_in_seconds_and_nanoseconds_and_calendar_intervals_have_none() {
        assert_eq!(Interval::Seconds(60).seconds(), Some(60));
        assert_eq!(Interval::Seconds(60).ns(), Some(60_000_000_000));
        assert_eq!(Interval::Seconds(u32::MAX).ns(), Some(4_294_967_295_000_000_000));
        for calendar in [Interval::Day, Interval::Week, Interval::Month] {
            assert_eq!((calendar.seconds(), calendar.ns()), (None, None));
            assert!(calendar > Interval::Seconds(86_399));
        }
    }
}
