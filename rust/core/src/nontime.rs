//! Stage 5, nontime: bars that close by what was traded and not by the clock (R38).
//!
//! A feed of snapshots does not tell single trades. So there are update bars and no tick bars; a volume
//! that arrived in one piece is cut where the bar is full, all of it at the one price that is known; and
//! range and renko bars follow the last price and the day extremes recovered with it (R18).
//! Everything is counted in integers: prices in the instrument's unit, volume in its quantity.

mod fill;
mod heikin_ashi;
mod parse;
mod path;

pub use fill::{Overshoot, UpdateBars, ValueBars, VolumeBars};
pub use heikin_ashi::{HeikinAshi, heikin_ashi};
pub use parse::{NonTimeError, NonTimeErrorKind};
pub use path::{RangeBars, RenkoBars};

use crate::units::Ns;

/// The bits of [`Bar::flags`] that these bars use: `H_AMBIG`, `L_AMBIG`, `AMBIG`, `CAPPED`, and `FILLED` for a
/// bar that the price passed through between two updates.
pub use crate::bar::flags;

/// The most bars that one update can close. The last of them takes all that is left, and is flagged.
pub const MAX_BARS_PER_UPDATE: usize = 10_000;

/// One accepted update, as the engine's ladder of rules hands it on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Update {
    /// Trade time, UTC nanoseconds (R2).
    pub time: Ns,
    /// Last price in the instrument's unit.
    pub price: i64,
    /// What was traded since the update before; less than nothing counts as nothing.
    pub volume: i64,
    /// 1 if it was bought, -1 if it was sold, 0 if nobody knows: an estimate.
    pub side: i8,
    /// The day high, if it rose since the update before and R18 lets it be used.
    pub high: Option<i64>,
    /// The day low, if it fell since the update before and R18 lets it be used.
    pub low: Option<i64>,
    /// Open interest, if the update told it.
    pub oi: Option<i64>,
}

/// One bar, closed or forming.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// Time of the update that opened the bar.
    pub start: Ns,
    /// Time of the last update in the bar.
    pub end: Ns,
    pub open: i64,
    pub high: i64,
    pub low: i64,
    pub close: i64,
    pub volume: i64,
    /// Volume bought less volume sold, by the updates' sides.
    pub delta: i64,
    /// Twice the sum of price times volume.
    pub value2: i128,
    /// How many updates gave the bar something; one that was cut counts in each of its bars.
    pub updates: u32,
    /// Bits of [`flags`].
    pub flags: u32,
    /// The last open interest that an update of the bar told (R30).
    pub oi: Option<i64>,
}

impl Bar {
    fn opened(at: i64, time: Ns) -> Self {
        Self {
            start: time,
            end: time,
            open: at,
            high: at,
            low: at,
            close: at,
            volume: 0,
            delta: 0,
            value2: 0,
            updates: 0,
            flags: 0,
            oi: None,
        }
    }

    fn move_to(&mut self, price: i64) {
        self.high = self.high.max(price);
        self.low = self.low.min(price);
        self.close = price;
    }

    /// Books `volume` of an update here. Sums stop at the ends of their types.
    fn credit(&mut self, update: &Update, volume: i64) {
        self.end = self.end.max(update.time);
        self.volume = self.volume.saturating_add(volume);
        self.delta = self
            .delta
            .saturating_add(volume * i64::from(update.side.signum()));
        let value2 = 2 * i128::from(update.price) * i128::from(volume);
        self.value2 = self.value2.saturating_add(value2);
        self.updates = self.updates.saturating_add(1);
        self.oi = update.oi.or(self.oi);
    }
}

/// Any of the builders, chosen by a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonTime {
    Volume(VolumeBars),
    Value(ValueBars),
    Updates(UpdateBars),
    Range(RangeBars),
    Renko(RenkoBars),
}

impl NonTime {
    /// Reads `"volume:1000"`, `"value:1e6"`, `"updates:100"`, `"range:2.5"` or `"renko:1"`. Value, range
    /// and brick are in rupees and `divisor` is the instrument's price scale; volume and value bars take
    /// `":carry"` (the default) or `":overshoot"` behind the size.
    ///
    /// # Errors
    /// [`NonTimeError`] with the text as given: unknown kind or policy, or a size that is no positive
    /// whole number of units.
    pub fn parse(text: &str, divisor: u32) -> Result<Self, NonTimeError> {
        parse::parse(text, divisor)
    }

    /// Whether the bars are not smaller than one tick of the price, in units: smaller ones would be made by the
    /// thousand without telling anything.
    #[must_use]
    pub fn suits(&self, tick: i64) -> bool {
        match self {
            Self::Range(bars) => bars.size() >= i128::from(tick),
            Self::Renko(bars) => bars.size() >= i128::from(tick),
            Self::Volume(_) | Self::Value(_) | Self::Updates(_) => true,
        }
    }

    /// Takes an update and hands each bar that it closes to `emit`, in order.
    pub fn push(&mut self, update: &Update, emit: impl FnMut(Bar)) {
        match self {
            Self::Volume(bars) => bars.push(update, emit),
            Self::Value(bars) => bars.push(update, emit),
            Self::Updates(bars) => bars.push(update, emit),
            Self::Range(bars) => bars.push(update, emit),
            Self::Renko(bars) => bars.push(update, emit),
        }
    }

    /// The bar that has begun and not closed.
    #[must_use]
    pub fn forming(&self) -> Option<Bar> {
        match self {
            Self::Volume(bars) => bars.forming(),
            Self::Value(bars) => bars.forming(),
            Self::Updates(bars) => bars.forming(),
            Self::Range(bars) => bars.forming(),
            Self::Renko(bars) => bars.forming(),
        }
    }
}
