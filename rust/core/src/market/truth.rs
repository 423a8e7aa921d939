//! Market, truth: the exact candles, folded from the trades themselves.

use super::config::{Instrument, at};
use super::trades::{Phase, Trade};
use crate::units::{Ns, SECOND};

/// One true bar, [start, end). A trade stamped exactly with the end of the session belongs to the last
/// bar (R3), bars start at the session's open (R6) and the last one may be short (R7).
///
/// Prices are in the segment's integer unit. An index has volume and value 0 and counts its publications.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TruthBar {
    pub start: Ns,
    pub end: Ns,
    pub open: u32,
    pub high: u32,
    pub low: u32,
    pub close: u32,
    pub volume: u64,
    /// Sum of price times quantity, in the segment's integer unit.
    pub value: u64,
    pub trades: u32,
}

impl TruthBar {
    /// The volume-weighted mean price in the segment's integer unit, or `None` without volume.
    #[must_use]
    pub fn vwap(&self) -> Option<f64> {
        (self.volume > 0).then(|| self.value as f64 / self.volume as f64)
    }

    pub(crate) const fn first(start: Ns, end: Ns, price: u32) -> Self {
        Self {
            start,
            end,
            open: price,
            high: price,
            low: price,
            close: price,
            volume: 0,
            value: 0,
            trades: 0,
        }
    }

    pub(crate) fn add(&mut self, price: u32, quantity: u32) {
        self.high = self.high.max(price);
        self.low = self.low.min(price);
        self.close = price;
        self.volume += u64::from(quantity);
        self.value += u64::from(price) * u64::from(quantity);
        self.trades += 1;
    }
}

/// What an auction, or the post-close session, traded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Print {
    /// The time of its last trade, 0 for none.
    pub time: Ns,
    pub price: u32,
    pub volume: u64,
    pub value: u64,
}

impl Print {
    fn add(&mut self, trade: &Trade) {
        self.time = trade.time;
        self.price = trade.price;
        self.volume += u64::from(trade.quantity);
        self.value += u64::from(trade.price) * u64::from(trade.quantity);
    }
}

/// One instrument's whole day: Σ bar volume + the three prints = `bar.volume`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TruthDay {
    /// The trading date, as days since 1970-01-01.
    pub day: i64,
    /// The day as one bar from midnight to midnight IST, auctions and post-close included.
    pub bar: TruthBar,
    pub auction_open: Print,
    pub auction_close: Print,
    pub post: Print,
}

/// Folds the trades of one day, in order, into bars and the day.
pub(crate) struct Fold {
    open: Ns,
    close: Ns,
    interval: Ns,
    pub(crate) bars: Vec<TruthBar>,
    pub(crate) days: Vec<TruthDay>,
}

impl Fold {
    pub(crate) fn new(interval_seconds: u32) -> Self {
        Self {
            open: 0,
            close: 0,
            interval: Ns::from(interval_seconds) * SECOND,
            bars: Vec::new(),
            days: Vec::new(),
        }
    }

    pub(crate) fn start_day(&mut self, instrument: &Instrument, day: i64) {
        self.open = at(day, instrument.hours.open);
        self.close = at(day, instrument.hours.close);
    }

    pub(crate) fn add(&mut self, day: i64, trade: &Trade) {
        let whole = match self.days.last_mut() {
            Some(last) if last.day == day => last,
            _ => {
                let bar = TruthBar::first(at(day, 0), at(day + 1, 0), trade.price);
                let none = Print::default();
                self.days.push(TruthDay {
                    day,
                    bar,
                    auction_open: none,
                    auction_close: none,
                    post: none,
                });
                self.days.last_mut().expect("a day was pushed just now")
            }
        };
        whole.bar.add(trade.price, trade.quantity);
        match trade.phase {
            Phase::OpeningAuction => whole.auction_open.add(trade),
            Phase::ClosingAuction => whole.auction_close.add(trade),
            Phase::PostClose => whole.post.add(trade),
            Phase::Continuous => self.add_to_bar(trade.time, trade.price, trade.quantity),
        }
    }

    pub(crate) fn add_to_bar(&mut self, time: Ns, price: u32, quantity: u32) {
        let inside = time.min(self.close - 1);
        let start = self.open + (inside - self.open) / self.interval * self.interval;
        if self.bars.last().is_none_or(|bar| bar.start != start) {
            let end = start.saturating_add(self.interval).min(self.close);
            self.bars.push(TruthBar::first(start, end, price));
        }
        if let Some(bar) = self.bars.last_mut() {
            bar.add(price, quantity);
        }
    }
}
