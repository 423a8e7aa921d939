//! Ticks from elsewhere: a price with a quantity, with a cumulative volume, or alone.

use core::fmt;

use crate::aggregate::Clock;
use crate::units::Ns;
use crate::wire::kite::scale::segment;

use super::{Engine, ODD_DELAY, default_tick};

/// What a caller hands over: one trade or snapshot of one instrument.
#[derive(Clone, Copy, Debug)]
pub struct Pushed {
    pub price: f64,
    /// When it was at the exchange, UTC nanoseconds; 0 if that is not known, of a live tick only.
    pub time: Ns,
    /// Shares of this trade alone.
    pub quantity: Option<i64>,
    /// The day's volume so far.
    pub cumulative: Option<i64>,
    pub oi: Option<i64>,
    /// When it was received, for a live tick; `None` for history, which moves no clock but its own.
    pub rx: Option<Ns>,
}

/// Why a pushed tick was not taken. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum PushError {
    /// Not finite, or too large to be exact.
    Price(f64),
    /// Before 2000 or after 2200.
    Time(&'static str, Ns),
    /// Negative, or beyond 2^53.
    Volume(&'static str, i64),
    /// Both a quantity and a cumulative volume.
    BothVolumes,
    /// `max_instruments` are tracked already.
    Full,
}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Price(price) => write!(f, "price must be finite and below 9e8: {price:?}"),
            Self::Time(name, time) => write!(
                f,
                "{name} must be nanoseconds between the years 2000 and 2200: {time}"
            ),
            Self::Volume(name, volume) => write!(f, "{name} must lie between 0 and 2**53: {volume}"),
            Self::BothVolumes => write!(f, "give quantity or cumulative_volume, not both"),
            Self::Full => write!(f, "too many instruments: raise max_instruments"),
        }
    }
}

impl core::error::Error for PushError {}

/// Fine enough for every price a broker quotes; the float comes back exactly.
const PUSHED_DIVISOR: i64 = 10_000_000;
const OLDEST: Ns = 946_684_800_000_000_000;
const NEWEST: Ns = 7_258_118_400_000_000_000;
const LARGEST: i64 = 1 << 53;

impl Engine {
    /// How many more instruments can be tracked.
    #[must_use]
    pub const fn room(&self) -> usize {
        self.max_instruments.saturating_sub(self.instruments.len())
    }

    /// Whether `push` would take this tick; gives its price in units.
    ///
    /// # Errors
    /// The [`PushError`] of `push`.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "bounded just above"
    )]
    pub fn check(&self, token: u32, tick: &Pushed) -> Result<i64, PushError> {
        let volumes = [
            ("quantity", tick.quantity),
            ("cumulative_volume", tick.cumulative),
            ("oi", tick.oi),
        ];
        for (name, volume) in volumes {
            if let Some(bad) = volume.filter(|volume| !(0..=LARGEST).contains(volume)) {
                return Err(PushError::Volume(name, bad));
            }
        }
        if tick.quantity.is_some() && tick.cumulative.is_some() {
            return Err(PushError::BothVolumes);
        }
        // Who does not know when it was at the exchange knows at least when it came.
        let stamped = Some(tick.time).filter(|time| *time != 0 || tick.rx.is_none());
        for (name, time) in [("time_ns", stamped), ("received_ns", tick.rx)] {
            if let Some(bad) = time.filter(|time| !(OLDEST..=NEWEST).contains(time)) {
                return Err(PushError::Time(name, bad));
            }
        }
        let slot = self.tokens.get(token);
        if slot.is_none() && self.room() == 0 {
            return Err(PushError::Full);
        }
        let divisor = slot.map_or(PUSHED_DIVISOR, |slot| self.book.divisor(slot));
        let units = tick.price * divisor as f64;
        if units.abs() >= LARGEST as f64 || units.is_nan() {
            return Err(PushError::Price(tick.price));
        }
        Ok(units.round_ties_even() as i64)
    }

    /// One tick from elsewhere.
    ///
    /// # Errors
    /// [`PushError`]; nothing was changed.
    pub fn push(&mut self, token: u32, tick: &Pushed) -> Result<(), PushError> {
        let units = self.check(token, tick)?;
        let slot = self.tokens.get(token);
        let slot = match slot {
            Some(slot) => slot,
            None => {
                let class = self.book.sessions.class_of_segment(segment(token));
                let tick_size = default_tick(token, PUSHED_DIVISOR);
                self.add(token, class, PUSHED_DIVISOR, tick_size, None)
                    .ok_or(PushError::Full)?
            }
        };
        // The board shows packets: what the short way still holds of the last one must not mix with this tick.
        self.catch_up(slot);
        self.counts.pushed += 1;
        let rx = tick.rx.unwrap_or(0);
        // A stamp far ahead of its receipt cannot be true, and would close the bars of every instrument.
        let ahead = rx > 0 && tick.time > rx.saturating_add(ODD_DELAY);
        self.book.tally.bad_stamps += u64::from(ahead);
        let time = if ahead { 0 } else { tick.time };
        let at = if time == 0 {
            rx.saturating_sub(self.delay)
        } else {
            time
        };
        let mut snap = self.snap_given(units, at, rx);
        if time == 0 {
            // Placed by its receipt, and flagged so, as a packet without stamps is (R2).
            (snap.ltt, snap.ets) = (0, 0);
        }
        snap.has_oi = tick.oi.is_some();
        snap.oi = tick.oi.unwrap_or(0);
        snap.added = tick.quantity.is_some();
        snap.has_volume = tick.quantity.is_some() || tick.cumulative.is_some();
        snap.volume = match (tick.cumulative, tick.quantity) {
            (Some(volume), _) => volume,
            (None, Some(quantity)) => self.book.add_quantity(slot, at, quantity),
            (None, None) => 0,
        };
        if tick.rx.is_some() {
            self.stamp(time, rx);
            self.step(slot, &snap);
            return Ok(());
        }
        let before = self.book.pushed_at(slot, tick.time);
        let clock = Clock {
            now: self.book.clock_of(slot, self.watermark.max(self.timer), before),
            watermark: super::NO_TIME,
        };
        if snap.has_volume {
            self.book.tick(slot, &snap, &clock);
        } else {
            self.book.price_tick(slot, &snap, &clock);
        }
        self.book.close_own(slot, clock.now.max(tick.time));
        Ok(())
    }
}
