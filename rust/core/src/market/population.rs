//! Market, population: a plausible crowd of made-up names from a few counts.

use super::config::{Auction, Hours, Instrument, Kind, Liquidity, MarketConfig, MarketError, Mode, Span};
use super::faults::Faults;

const MINUTE: u32 = 60;
const EQUITY_DAY: Span = Span {
    from: 33_300,
    to: 55_800,
};
const COMMODITY_DAY: Span = Span {
    from: 32_400,
    to: 84_600,
};
const CURRENCY_DAY: Span = Span {
    from: 32_400,
    to: 61_200,
};
/// More names than any broker lists; each block of tokens has room for as many.
const MOST_NAMES: u32 = 100_000;

/// How many names of each kind, and their common day. Liquid and middling names are NSE equities with an
/// NFO future in every fifth place; thin ones are NFO options.
#[derive(Clone, Debug, PartialEq)]
pub struct Population {
    pub liquid: u32,
    pub middling: u32,
    pub thin: u32,
    pub indices: u32,
    /// MCX futures, middling: 09:00 to 23:30, unless `start` or `end` are not the default.
    pub commodities: u32,
    /// CDS futures, middling, priced in ten-millionths: 09:00 to 17:00, unless `start` or `end` are not the default.
    pub currencies: u32,
    /// Continuous trading, in seconds since midnight IST; 09:15 to 15:30 by default.
    pub start: u32,
    pub end: u32,
    /// An opening auction for equities and futures: book from 15 minutes before the start, print in the eighth (R8).
    pub auction: bool,
    /// The day as it is since 2026-08-03 (R5): liquid equities stop 15 minutes before `end` and have a
    /// closing auction with its print within the 5 minutes after `end`; derivatives go on 10 minutes longer.
    pub cas: bool,
    /// Equities trade at the closing price from 10 (with `cas` 20) to 30 minutes after `end` (R9).
    pub postclose: bool,
    pub mode: Mode,
    pub rate: f64,
    pub packets_per_frame: u16,
    pub faults: Faults,
}

impl Default for Population {
    fn default() -> Self {
        Self {
            liquid: 0,
            middling: 0,
            thin: 0,
            indices: 0,
            commodities: 0,
            currencies: 0,
            start: EQUITY_DAY.from,
            end: EQUITY_DAY.to,
            auction: true,
            cas: false,
            postclose: false,
            mode: Mode::Full,
            rate: 1.5,
            packets_per_frame: 200,
            faults: Faults::default(),
        }
    }
}

impl Population {
    /// The configuration for so many trading dates from `first_day` (days since 1970-01-01) on.
    ///
    /// # Errors
    /// [`MarketError::TooShortForClosingAuction`] when `cas` leaves no continuous session,
    /// [`MarketError::TooManyInstruments`] for more than 100,000 of a kind.
    pub fn config(self, first_day: i64, days: u32) -> Result<MarketConfig, MarketError> {
        if self.cas && self.end <= self.start.saturating_add(15 * MINUTE) {
            return Err(MarketError::TooShortForClosingAuction);
        }
        let counts = [
            self.liquid,
            self.middling,
            self.thin,
            self.indices,
            self.commodities,
            self.currencies,
        ];
        if let Some(&count) = counts.iter().find(|&&count| count > MOST_NAMES) {
            return Err(MarketError::TooManyInstruments(count));
        }
        let mut instruments = Vec::new();
        for nth in 0..self.indices {
            instruments.push(self.index(nth));
        }
        let tradable = [
            (Liquidity::Liquid, self.liquid),
            (Liquidity::Middling, self.middling),
            (Liquidity::Thin, self.thin),
        ];
        for (liquidity, count) in tradable {
            for nth in 0..count {
                instruments.push(self.tradable(liquidity, nth));
            }
        }
        instruments.extend((0..self.commodities).map(|nth| self.commodity(nth)));
        instruments.extend((0..self.currencies).map(|nth| self.currency(nth)));
        let (rate, packets_per_frame, faults) = (self.rate, self.packets_per_frame, self.faults);
        Ok(MarketConfig {
            instruments,
            first_day,
            days,
            rate,
            packets_per_frame,
            faults,
        })
    }

    fn index(&self, nth: u32) -> Instrument {
        let mut hours = Hours::continuous(self.start, self.end);
        hours.opening_auction = self.opening_auction();
        Instrument {
            token: (60_001 + nth) << 8 | 9,
            symbol: format!("SIM INDEX {}", nth + 1),
            kind: Kind::Index,
            liquidity: Liquidity::Liquid,
            tick_size: 5,
            lot: 1,
            base_price: 2_500_000 + nth % 100 * 1_400_000,
            hours,
            mode: self.mode,
        }
    }

    fn tradable(&self, liquidity: Liquidity, nth: u32) -> Instrument {
        let kind = match liquidity {
            Liquidity::Thin => Kind::Option,
            _ if nth % 5 == 4 => Kind::Future,
            _ => Kind::Equity,
        };
        let (name, block) = match liquidity {
            Liquidity::Liquid => ("LIQ", 1_000_000),
            Liquidity::Middling => ("MID", 2_000_000),
            Liquidity::Thin => ("THN", 3_000_000),
        };
        let (suffix, segment, lot) = match kind {
            Kind::Future => ("FUT", 2, 75),
            Kind::Option => ("CE", 2, 50),
            _ => ("", 1, 1),
        };
        // From 20 rupees (an option) or 600 (the others) upwards.
        let step = nth.wrapping_mul(2_654_435_761) >> 8;
        let base_price = if kind == Kind::Option {
            2_000 + step % 30_000
        } else {
            60_000 + step % 240_000
        };
        Instrument {
            // Exchange tokens of real instruments are not evenly spaced either.
            token: (block + nth * 7 + nth % 3) << 8 | segment,
            symbol: format!("SIM{name}{:04}{suffix}", nth + 1),
            kind,
            liquidity,
            tick_size: 5,
            lot,
            base_price: base_price / 5 * 5,
            hours: self.hours(liquidity, kind),
            mode: self.mode,
        }
    }

    fn commodity(&self, nth: u32) -> Instrument {
        Instrument {
            token: (4_000_000 + nth * 3) << 8 | 7,
            symbol: format!("SIMMCX{:04}FUT", nth + 1),
            kind: Kind::Future,
            liquidity: Liquidity::Middling,
            tick_size: 100,
            lot: 1,
            base_price: 600_000 + nth % 100 * 130_000,
            hours: self.others(COMMODITY_DAY),
            mode: self.mode,
        }
    }

    fn currency(&self, nth: u32) -> Instrument {
        Instrument {
            token: (5_000_000 + nth * 3) << 8 | 3,
            symbol: format!("SIMCDS{:04}FUT", nth + 1),
            kind: Kind::Future,
            liquidity: Liquidity::Middling,
            // 0.0025 rupees.
            tick_size: 25_000,
            lot: 1,
            base_price: 840_000_000 + nth % 10 * 30_000_000,
            hours: self.others(CURRENCY_DAY),
            mode: self.mode,
        }
    }

    /// The day of another exchange, or the shared one where that was chosen.
    fn others(&self, theirs: Span) -> Hours {
        let shared = Span {
            from: self.start,
            to: self.end,
        };
        let day = if shared == EQUITY_DAY { theirs } else { shared };
        Hours::continuous(day.from, day.to)
    }

    fn hours(&self, liquidity: Liquidity, kind: Kind) -> Hours {
        let mut hours = Hours::continuous(self.start, self.end);
        if kind != Kind::Option {
            hours.opening_auction = self.opening_auction();
        }
        let equity = kind == Kind::Equity;
        if self.cas && !equity {
            hours.close = self.end + 10 * MINUTE;
        } else if self.cas && liquidity == Liquidity::Liquid {
            hours.close = self.end - 15 * MINUTE;
            let print = Span {
                from: self.end,
                to: self.end + 5 * MINUTE,
            };
            hours.closing_auction = Some(Auction {
                from: hours.close,
                print,
            });
        }
        if self.postclose && equity {
            let from = self.end + if self.cas { 20 } else { 10 } * MINUTE;
            hours.postclose = Some(Span {
                from,
                to: self.end + 30 * MINUTE,
            });
        }
        hours
    }

    /// 09:00 to 09:15 for a session from 09:15, the print between 09:07 and 09:08.
    fn opening_auction(&self) -> Option<Auction> {
        let from = self.start.saturating_sub(15 * MINUTE);
        let print = Span {
            from: from + 7 * MINUTE,
            to: from + 8 * MINUTE,
        };
        (self.auction && print.to <= self.start).then_some(Auction { from, print })
    }
}
