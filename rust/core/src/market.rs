//! Market: a seeded exchange whose truth is known, speaking the broker's wire. It stands at the left end
//! of the pipeline, in place of the network.
//!
//! It makes trades first, keeps the true candles (they can be made again from the seed), and then takes
//! snapshots of them, once or twice a second for each instrument, which arrive late, grouped into
//! frames, and if asked for damaged in every way that feeds are known to fail. The trades never depend on the faults.
//! No clock and no randomness from outside: the same configuration and seed give the same bytes.
//!
//! ```
//! use tickloom_core::market::{Event, Market, Population};
//!
//! let config = Population { liquid: 3, indices: 1, ..Population::default() }.config(20_635, 1)?;
//! let mut market = Market::new(config, 7)?;
//! let frames = market.events().filter(|event| matches!(event, Event::Frame { .. })).take(100).count();
//! assert_eq!(frames, 100);
//! let token = market.instruments()[0].token;
//! assert!(market.truth(token, 60).is_some_and(|bars| bars.len() <= 375));
//! # Ok::<(), tickloom_core::market::MarketError>(())
//! ```

mod config;
mod delivery;
mod faults;
mod index;
mod live;
mod population;
mod rng;
mod run;
mod trades;
mod truth;

pub use config::{
    Auction, Hours, Instrument, Kind, Liquidity, MarketConfig, MarketError, Mode, Span, at as instant,
};
pub use delivery::{Delivered, Event};
pub use faults::Faults;
pub use population::Population;
pub use trades::{Phase, Trade};
pub use truth::{Print, TruthBar, TruthDay};

use crate::units::Ns;
use index::{Basket, Publications};
use run::{Plan, Run};
use trades::Tape;
use truth::Fold;

/// A market: its configuration, its truth, and one run through its days.
pub struct Market {
    plan: Plan,
    run: Run,
}

impl Market {
    /// A market that stands before its first event.
    ///
    /// # Errors
    /// [`MarketError`] when the configuration contradicts itself.
    pub fn new(config: MarketConfig, seed: u64) -> Result<Self, MarketError> {
        config.check()?;
        let hours = || config.instruments.iter().map(|instrument| &instrument.hours);
        let first_second = hours().map(Hours::first_second).min().unwrap_or(0);
        let last_second = hours().map(Hours::last_second).max().unwrap_or(0);
        let mut wraps = config.faults.wrap;
        let mut near_wrap = vec![false; config.instruments.len()];
        for (near, instrument) in near_wrap.iter_mut().zip(&config.instruments) {
            let fit = instrument.liquidity == Liquidity::Liquid && instrument.kind == Kind::Equity;
            if fit && wraps > 0 {
                *near = true;
                wraps -= 1;
            }
        }
        let days = config.trading_days();
        let plan = Plan {
            config,
            seed,
            days,
            near_wrap,
            first_second,
            last_second,
        };
        let run = Run::new(&plan);
        Ok(Self { plan, run })
    }

    /// The names, in their order.
    #[must_use]
    pub fn instruments(&self) -> &[Instrument] {
        &self.plan.config.instruments
    }

    /// The trading dates, as days since 1970-01-01.
    #[must_use]
    pub fn days(&self) -> &[i64] {
        &self.plan.days
    }

    // Running.

    /// All events from the first one on. They are made a second at a time, as they are asked for.
    pub fn events(&mut self) -> impl Iterator<Item = Event> + '_ {
        self.rewind();
        core::iter::from_fn(|| self.next_event())
    }

    /// The next event, or `None` when the last date is over.
    pub fn next_event(&mut self) -> Option<Event> {
        self.run.next_event(&self.plan)
    }

    /// Goes back before the first event.
    pub fn rewind(&mut self) {
        self.run = Run::new(&self.plan);
    }

    /// What of an instrument the frames so far have carried, one entry a date begun; `None` for an
    /// unknown token.
    #[must_use]
    pub fn delivered(&self, token: u32) -> Option<Vec<Delivered>> {
        Some(self.run.delivered(&self.plan, self.place(token)?))
    }

    /// The highest cumulative volume that the frames of the current date have carried, rolled-back and
    /// stale packets left out, not wrapped at 2^32; `None` for an unknown token.
    #[must_use]
    pub fn delivered_volume(&self, token: u32) -> Option<u64> {
        Some(self.delivered(token)?.last()?.highest_volume)
    }

    // The truth. It is made again from the seed at each call, whatever has run so far.

    /// The true bars of all dates; `None` for an unknown token or an interval of 0. An index's are those
    /// of its publications, each at its whole second.
    #[must_use]
    pub fn truth(&self, token: u32, interval_seconds: u32) -> Option<Vec<TruthBar>> {
        let place = self.place(token).filter(|_| interval_seconds > 0)?;
        let instrument = &self.instruments()[place];
        let mut fold = Fold::new(interval_seconds);
        if instrument.kind == Kind::Index {
            self.each_publication(instrument, |day, time, level| {
                fold.start_day(instrument, day);
                fold.add_to_bar(time, level, 0);
            });
        } else {
            self.each_trade(place, |day, trade| {
                fold.start_day(instrument, day);
                fold.add(day, trade);
            });
        }
        Some(fold.bars)
    }

    /// The true days with their auctions; `None` for an unknown token, none for an index.
    #[must_use]
    pub fn truth_days(&self, token: u32) -> Option<Vec<TruthDay>> {
        let place = self.place(token)?;
        let instrument = &self.instruments()[place];
        let mut fold = Fold::new(86_400);
        self.each_trade(place, |day, trade| {
            fold.start_day(instrument, day);
            fold.add(day, trade);
        });
        Some(fold.days)
    }

    /// Every trade of an instrument in order; `None` for an unknown token, none for an index.
    #[must_use]
    pub fn trades(&self, token: u32) -> Option<Vec<Trade>> {
        let place = self.place(token)?;
        let mut trades = Vec::new();
        self.each_trade(place, |_, trade| trades.push(*trade));
        Some(trades)
    }

    fn place(&self, token: u32) -> Option<usize> {
        self.instruments()
            .iter()
            .position(|instrument| instrument.token == token)
    }

    fn tape(&self, place: usize) -> Tape {
        Tape::new(
            self.plan.seed,
            &self.instruments()[place],
            self.plan.days[0],
            self.plan.near_wrap[place],
        )
    }

    fn each_trade(&self, place: usize, mut visit: impl FnMut(i64, &Trade)) {
        let instrument = &self.instruments()[place];
        if instrument.kind == Kind::Index {
            return;
        }
        let mut tape = self.tape(place);
        for (nth, &day) in self.plan.days.iter().enumerate() {
            if nth > 0 {
                tape.start_day(instrument, day);
            }
            while let Some(trade) = tape.next_before(instrument, Ns::MAX) {
                visit(day, &trade);
            }
        }
    }

    fn each_publication(&self, index: &Instrument, mut visit: impl FnMut(i64, Ns, u32)) {
        let market = self.instruments();
        let basket = Basket::new(index, market);
        let mut tapes: Vec<Tape> = basket.components.iter().map(|&place| self.tape(place)).collect();
        let mut prices: Vec<u32> = market.iter().map(|instrument| instrument.base_price).collect();
        for (nth, &day) in self.plan.days.iter().enumerate() {
            let mut publications = Publications::new(self.plan.seed, index, day);
            if nth > 0 {
                for (tape, &place) in tapes.iter_mut().zip(&basket.components) {
                    tape.start_day(&market[place], day);
                }
            }
            for second in index.hours.first_second()..=86_400 {
                let now = config::at(day, second);
                // The last round takes in what is traded after the index has ended.
                for (tape, &place) in tapes.iter_mut().zip(&basket.components) {
                    while tape.next_before(&market[place], now).is_some() {}
                    prices[place] = tape.last_price;
                }
                let publishes = second < index.hours.last_second();
                let published = publishes && publications.within(day, second).is_some();
                if published && index.hours.open <= second && second <= index.hours.close {
                    visit(day, now, basket.level(|place| prices[place]));
                }
            }
        }
    }
}
