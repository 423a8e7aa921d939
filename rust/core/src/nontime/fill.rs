//! Bars that close when they are full: of volume, of value, or of updates.

use core::num::{NonZeroU32, NonZeroU64, NonZeroU128};

use super::{Bar, MAX_BARS_PER_UPDATE, Update, flags};

/// What becomes of the part of an update that a full bar has no room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overshoot {
    /// The update is cut and the rest carried into the next bars, at the same price.
    Carry,
    /// The bar takes the whole update and is larger than its size.
    Keep,
}

/// The bucket that volume and value bars share: full at `size`, of which a traded quantity of one takes
/// `each`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bucket {
    size: u128,
    overshoot: Overshoot,
    filled: u128,
    forming: Option<Bar>,
}

impl Bucket {
    const fn new(size: u128, overshoot: Overshoot) -> Self {
        Self {
            size,
            overshoot,
            filled: 0,
            forming: None,
        }
    }

    /// An update without volume is no trade and leaves no trace (R4).
    fn push(&mut self, update: &Update, each: u128, mut emit: impl FnMut(Bar)) {
        let mut left = update.volume.max(0);
        let mut made = 0;
        while left > 0 {
            let mut bar = self
                .forming
                .take()
                .unwrap_or_else(|| Bar::opened(update.price, update.time));
            let (part, capped) = self.part(left, each, made);
            left -= part;
            bar.move_to(update.price);
            bar.credit(update, part);
            if capped {
                bar.flags |= flags::CAPPED;
            }
            if left == 0 {
                // The extremes go to the bar of the trade time, as in R18; if the update began in an
                // earlier bar they may belong there.
                apply_extremes(&mut bar, update, made > 0);
            }
            self.filled = self.filled.saturating_add(each * u128::from(part.unsigned_abs()));
            if self.filled >= self.size {
                self.filled = 0;
                made += 1;
                emit(bar);
            } else {
                self.forming = Some(bar);
            }
        }
    }

    /// How much of `left` the present bar takes, and whether only because of the limit.
    fn part(&self, left: i64, each: u128, made: usize) -> (i64, bool) {
        if self.overshoot == Overshoot::Keep || each == 0 {
            return (left, false);
        }
        // A quantity is not divisible, so a value bar ends with the first unit that reaches its size.
        let room = (self.size - self.filled).div_ceil(each);
        let part = i64::try_from(room).map_or(left, |room| room.min(left));
        let rest = u128::from((left - part).unsigned_abs());
        let capped = made + 1 >= MAX_BARS_PER_UPDATE && rest * each >= self.size;
        if capped { (left, true) } else { (part, false) }
    }
}

fn apply_extremes(bar: &mut Bar, update: &Update, straddles: bool) {
    if let Some(high) = update.high.filter(|high| *high > bar.high) {
        bar.high = high;
        bar.flags |= if straddles { flags::H_AMBIG } else { 0 };
    }
    if let Some(low) = update.low.filter(|low| *low < bar.low) {
        bar.low = low;
        bar.flags |= if straddles { flags::L_AMBIG } else { 0 };
    }
}

/// Bars of a fixed volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VolumeBars(Bucket);

impl VolumeBars {
    /// Bars that close at a volume of `size`.
    #[must_use]
    pub const fn new(size: NonZeroU64, overshoot: Overshoot) -> Self {
        Self(Bucket::new(size.get() as u128, overshoot))
    }

    /// Takes an update and hands each bar that it closes to `emit`.
    pub fn push(&mut self, update: &Update, emit: impl FnMut(Bar)) {
        self.0.push(update, 1, emit);
    }

    /// The bar that has begun and not closed.
    #[must_use]
    pub const fn forming(&self) -> Option<Bar> {
        self.0.forming
    }
}

/// Bars of a fixed traded value: the sum of price, without its sign, times volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueBars(Bucket);

impl ValueBars {
    /// Bars that close when twice their value, in the instrument's price unit, reaches `size2`.
    #[must_use]
    pub const fn new(size2: NonZeroU128, overshoot: Overshoot) -> Self {
        Self(Bucket::new(size2.get(), overshoot))
    }

    /// Takes an update and hands each bar that it closes to `emit`.
    pub fn push(&mut self, update: &Update, emit: impl FnMut(Bar)) {
        self.0
            .push(update, 2 * u128::from(update.price.unsigned_abs()), emit);
    }

    /// The bar that has begun and not closed.
    #[must_use]
    pub const fn forming(&self) -> Option<Bar> {
        self.0.forming
    }
}

/// Bars of a fixed number of updates. They are no tick bars: an update holds any number of trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpdateBars {
    size: u32,
    forming: Option<Bar>,
}

impl UpdateBars {
    /// Bars that close with their update of number `size`.
    #[must_use]
    pub const fn new(size: NonZeroU32) -> Self {
        Self {
            size: size.get(),
            forming: None,
        }
    }

    /// Takes an update, with volume or, as an index has none, without; hands the bar that it closes to
    /// `emit`.
    pub fn push(&mut self, update: &Update, mut emit: impl FnMut(Bar)) {
        let mut bar = self
            .forming
            .take()
            .unwrap_or_else(|| Bar::opened(update.price, update.time));
        bar.move_to(update.price);
        bar.credit(update, update.volume.max(0));
        apply_extremes(&mut bar, update, false);
        if bar.updates >= self.size {
            emit(bar);
        } else {
            self.forming = Some(bar);
        }
    }

    /// The bar that has begun and not closed.
    #[must_use]
    pub const fn forming(&self) -> Option<Bar> {
        self.forming
    }
}
