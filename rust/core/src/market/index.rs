//! Market, indices: a weighted sum of equities, published about once a second.

use super::config::{Instrument, at};
use super::rng::Rng;
use crate::units::{Ns, SECOND};

const PURPOSE: u64 = 2;
/// An index counts at most this many names, so that its truth stays quick to compute.
const MOST_COMPONENTS: usize = 30;

/// Which instruments make an index, by their place in the market, and at what level it starts.
#[derive(Clone, Debug)]
pub(crate) struct Basket {
    pub(crate) components: Vec<usize>,
    base_sum: u128,
    base_level: u128,
}

impl Basket {
    pub(crate) fn new(index: &Instrument, market: &[Instrument]) -> Self {
        use super::config::Kind;
        let components: Vec<usize> = (0..market.len())
            .filter(|&i| market[i].kind == Kind::Equity)
            .take(MOST_COMPONENTS)
            .collect();
        let mut basket = Self {
            components,
            base_sum: 0,
            base_level: index.base_price.into(),
        };
        basket.base_sum = basket.sum(|i| market[i].base_price);
        basket
    }

    fn sum(&self, price: impl Fn(usize) -> u32) -> u128 {
        let weighted = |(place, &i): (usize, &usize)| u128::from(price(i)) * (1 + place as u128 % 7);
        self.components.iter().enumerate().map(weighted).sum()
    }

    /// The index's level when the components stand at these prices.
    pub(crate) fn level(&self, price: impl Fn(usize) -> u32) -> u32 {
        if self.base_sum == 0 {
            return self.base_level as u32;
        }
        let level = (self.base_level * self.sum(price) + self.base_sum / 2) / self.base_sum;
        u32::try_from(level).unwrap_or(u32::MAX)
    }
}

/// When an index publishes on one day: nearly every second, at any phase of it.
#[derive(Clone, Debug)]
pub(crate) struct Publications {
    rng: Rng,
}

impl Publications {
    pub(crate) const fn new(seed: u64, index: &Instrument, day: i64) -> Self {
        Self {
            rng: Rng::new(seed, PURPOSE, index.token, day),
        }
    }

    /// The instant of the publication within this second. Ask once for every second of the index's day,
    /// in order: the answers are one random stream.
    pub(crate) fn within(&mut self, day: i64, second: u32) -> Option<Ns> {
        let phase = Ns::from(self.rng.below(SECOND as u32));
        let published = self.rng.below(64) != 0;
        published.then_some(at(day, second) + phase)
    }
}

/// The day's open, high and low as an index packet carries them: of the session only, zeros before it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct IndexDay {
    pub(crate) open: u32,
    pub(crate) high: u32,
    pub(crate) low: u32,
    pub(crate) last: u32,
}

impl IndexDay {
    pub(crate) fn publish(&mut self, level: u32, in_session: bool) {
        self.last = level;
        if !in_session {
            return;
        }
        if self.open == 0 {
            *self = Self {
                open: level,
                high: level,
                low: level,
                last: level,
            };
        }
        self.high = self.high.max(level);
        self.low = self.low.min(level);
    }
}
