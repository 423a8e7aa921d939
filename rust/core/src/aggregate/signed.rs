//! Which side a trade was on, as far as snapshots let one guess (R38, docs/bars.md §12): always an estimate.

/// How volume gets its sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedVolume {
    Off,
    /// Up from the price before is bought, down is sold, and an equal price is what the one before was.
    Tick,
    /// Above the middle of the best bid and ask before the trade is bought, below is sold; else by the tick rule.
    Quote,
}

/// What the rules need of an instrument's date so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signing {
    price: Option<i64>,
    side: i8,
    /// Best bid plus best ask of the packet before, if it had both.
    pub mid2: Option<i64>,
}

impl Signing {
    pub const NEW: Self = Self {
        price: None,
        side: 0,
        mid2: None,
    };

    /// The side of a trade: 1 bought, -1 sold, 0 not known.
    pub fn side(&mut self, rule: SignedVolume, price: i64) -> i8 {
        if rule == SignedVolume::Off {
            return 0;
        }
        let before = self.price.replace(price).unwrap_or(price);
        if price != before {
            self.side = if price > before { 1 } else { -1 };
        }
        match self.mid2.filter(|_| rule == SignedVolume::Quote) {
            Some(mid2) if 2 * price > mid2 => 1,
            Some(mid2) if 2 * price < mid2 => -1,
            _ => self.side,
        }
    }
}
