//! Minutes from a broker's history: checked here, joined by the book (docs/bars.md §10).

use core::fmt;

use crate::aggregate::{Authority, Minute};
use crate::units::{MINUTE, Ns};

use super::Engine;

/// What is wrong with a row of history.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum RowFault {
    /// Not finite, not above 0 (0, where prices are signed), or too large.
    Price(f64),
    /// The high is below the low; the high.
    Range(f64),
    /// Negative, or beyond 2^53.
    Volume(i64),
    /// Not the start of a minute, or not between the years 2000 and 2200.
    Time(Ns),
    /// Before the row before it.
    Order(Ns),
}

/// Why history was not joined. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum JoinError {
    /// The first bad row, and what is wrong with it.
    Row { at: usize, fault: RowFault },
    /// No interval that is kept is a whole number of minutes.
    NoMinutes,
    /// `max_instruments` are tracked already.
    Full,
}

impl fmt::Display for RowFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Price(price) => write!(f, "price must be above 0 and below 9e8: {price}"),
            Self::Range(high) => write!(f, "high must not be below low: {high}"),
            Self::Volume(volume) => write!(f, "volume and oi must lie between 0 and 2**53: {volume}"),
            Self::Time(time) => write!(
                f,
                "time must be the start of a minute between the years 2000 and 2200: {time}"
            ),
            Self::Order(time) => write!(f, "times must ascend: {time}"),
        }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row { at, fault } => write!(f, "row {at}: {fault}"),
            Self::NoMinutes => write!(f, "no interval is kept that minutes make"),
            Self::Full => write!(f, "too many instruments: raise max_instruments"),
        }
    }
}

impl core::error::Error for JoinError {}

const OLDEST: Ns = 946_684_800_000_000_000;
const NEWEST: Ns = 7_258_118_400_000_000_000;
const LARGEST: i64 = 1 << 53;
const HIGHEST: f64 = 9e8;

fn fault(minute: &Minute, before: Option<&Minute>, signed: bool) -> Option<RowFault> {
    if !(OLDEST..=NEWEST).contains(&minute.time) || minute.time % MINUTE != 0 {
        return Some(RowFault::Time(minute.time));
    }
    if before.is_some_and(|before| minute.time < before.time) {
        return Some(RowFault::Order(minute.time));
    }
    let prices = [minute.open, minute.high, minute.low, minute.close];
    let sane = |price: f64| (price > 0.0 || (signed && price < 0.0)) && price.abs() < HIGHEST;
    if let Some(bad) = prices.into_iter().find(|price| !sane(*price)) {
        return Some(RowFault::Price(bad));
    }
    if minute.high < minute.low {
        return Some(RowFault::Range(minute.high));
    }
    let counts = [minute.volume, minute.oi];
    let bad = counts.into_iter().flatten().find(|n| !(0..=LARGEST).contains(n));
    bad.map(RowFault::Volume)
}

impl Engine {
    /// Joins a broker's minutes, ascending; of rows with the same time the last one counts. `now` is when they were
    /// read. Gives how many bars of all intervals were made or changed.
    ///
    /// # Errors
    /// [`JoinError`]; nothing was changed.
    pub fn join_history(
        &mut self,
        token: u32,
        minutes: &[Minute],
        now: Ns,
        authority: Authority,
    ) -> Result<usize, JoinError> {
        if !self.book.has_minutes() {
            return Err(JoinError::NoMinutes);
        }
        let signed = self.scales.of(token).is_signed();
        for (at, minute) in minutes.iter().enumerate() {
            let before = at.checked_sub(1).map(|before| &minutes[before]);
            if let Some(fault) = fault(minute, before, signed) {
                return Err(JoinError::Row { at, fault });
            }
        }
        let slot = self.tokens.get(token).or_else(|| self.meet(token));
        let slot = slot.ok_or(JoinError::Full)?;
        let mut distinct: Vec<Minute> = Vec::with_capacity(minutes.len());
        for minute in minutes {
            match distinct.last_mut() {
                Some(last) if last.time == minute.time => *last = *minute,
                _ => distinct.push(*minute),
            }
        }
        let clock = self.watermark.max(self.timer).max(self.book.own_clock(slot));
        Ok(self.book.join_history(slot, &distinct, now, clock, authority))
    }
}
