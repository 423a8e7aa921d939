//! Market, configuration: who trades, when, and what goes wrong on the way.

use core::fmt;

use super::faults::Faults;
use crate::session::calendar::weekday;
use crate::units::{Ns, SECOND, ist_midnight};

/// How often an instrument trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Liquidity {
    /// About 3 trades a second.
    Liquid,
    /// About 0.3 trades a second.
    Middling,
    /// One trade every few minutes.
    Thin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Equity,
    Future,
    Option,
    /// Computed from the first equities of the market; no volume, no depth (R29).
    Index,
}

impl Liquidity {
    /// The word for it, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Liquid => "liquid",
            Self::Middling => "middling",
            Self::Thin => "thin",
        }
    }
}

impl Kind {
    /// The word for it, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Equity => "equity",
            Self::Future => "future",
            Self::Option => "option",
            Self::Index => "index",
        }
    }
}

/// What a subscription streams (kite-protocol §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    Ltp,
    Quote,
    Full,
}

impl Mode {
    /// The protocol's word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ltp => "ltp",
            Self::Quote => "quote",
            Self::Full => "full",
        }
    }

    /// Reads the protocol's word.
    ///
    /// # Errors
    /// [`MarketError::BadMode`] for any other.
    pub fn parse(word: &str) -> Result<Self, MarketError> {
        let mut modes = [Self::Ltp, Self::Quote, Self::Full].into_iter();
        modes.find(|mode| mode.name() == word).ok_or(MarketError::BadMode)
    }
}

/// A span of the day, [from, to), in seconds since midnight IST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub from: u32,
    pub to: u32,
}

/// The phases of an instrument's day (R5), in seconds since midnight IST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    /// Indicative prices without volume, then one print somewhere in `Auction::print` (R8).
    pub opening_auction: Option<Auction>,
    pub open: u32,
    /// The end of continuous trading; a trade exactly here belongs to the last bar (R3).
    pub close: u32,
    /// The closing auction: quotes change from the close on, and one print falls in `print` (R9).
    pub closing_auction: Option<Auction>,
    /// Volume at the closing price (R9).
    pub postclose: Option<Span>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Auction {
    /// When orders start to change the book.
    pub from: u32,
    /// When the one print falls.
    pub print: Span,
}

impl Hours {
    /// Continuous trading only.
    #[must_use]
    pub const fn continuous(open: u32, close: u32) -> Self {
        Self {
            opening_auction: None,
            open,
            close,
            closing_auction: None,
            postclose: None,
        }
    }

    /// The first second in which the instrument may publish.
    pub(crate) fn first_second(&self) -> u32 {
        self.opening_auction
            .map_or(self.open.saturating_sub(5), |a| a.from)
    }

    /// The second after which nothing is published any more: a few seconds after the last phase.
    pub(crate) fn last_second(&self) -> u32 {
        let auction = self.closing_auction.map_or(0, |a| a.print.to);
        let post = self.postclose.map_or(0, |p| p.to);
        self.close.max(auction).max(post) + 6
    }

    fn ordered(&self) -> bool {
        let opening = self
            .opening_auction
            .is_none_or(|a| a.from <= a.print.from && a.print.from < a.print.to && a.print.to <= self.open);
        let closing = self
            .closing_auction
            .is_none_or(|a| self.close <= a.from && a.from <= a.print.from && a.print.from < a.print.to);
        let after = self.closing_auction.map_or(self.close, |a| a.print.to);
        let post = self.postclose.is_none_or(|p| after <= p.from && p.from < p.to);
        opening && closing && post && self.open < self.close && self.last_second() <= 86_400
    }
}

/// One name of the market.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instrument {
    /// `exchange_token << 8 | segment` (kite-protocol §5).
    pub token: u32,
    pub symbol: String,
    pub kind: Kind,
    pub liquidity: Liquidity,
    /// The price grid, in the segment's integer unit.
    pub tick_size: u32,
    /// Quantities are multiples of this.
    pub lot: u32,
    /// The close before the first day, in the segment's integer unit.
    pub base_price: u32,
    pub hours: Hours,
    pub mode: Mode,
}

impl Instrument {
    /// The segment id, the token's low byte.
    #[must_use]
    pub const fn segment(&self) -> u8 {
        self.token as u8
    }
}

/// Everything that shapes a market besides its seed.
#[derive(Clone, Debug, PartialEq)]
pub struct MarketConfig {
    pub instruments: Vec<Instrument>,
    /// The first trading date, as days since 1970-01-01.
    pub first_day: i64,
    /// How many trading dates in a row; Saturdays and Sundays after the first date are skipped.
    pub days: u32,
    /// Snapshots a second of a name whose book keeps changing; 0.3 or more, so that the last trade of a phase
    /// is shown before the name falls silent.
    pub rate: f64,
    /// The most packets one frame carries.
    pub packets_per_frame: u16,
    pub faults: Faults,
}

impl MarketConfig {
    /// The trading dates, as days since 1970-01-01.
    #[must_use]
    pub fn trading_days(&self) -> Vec<i64> {
        let later = (self.first_day + 1..).filter(|&day| weekday(day) < 5);
        core::iter::once(self.first_day)
            .chain(later)
            .take(self.days as usize)
            .collect()
    }

    /// Subscribes one instrument in another mode than the rest.
    ///
    /// # Errors
    /// [`MarketError::UnknownToken`] when the market has no such instrument.
    pub fn set_mode(&mut self, token: u32, mode: Mode) -> Result<(), MarketError> {
        let instrument = self
            .instruments
            .iter_mut()
            .find(|instrument| instrument.token == token);
        instrument.ok_or(MarketError::UnknownToken(token))?.mode = mode;
        Ok(())
    }

    pub(crate) fn check(&self) -> Result<(), MarketError> {
        if self.instruments.is_empty() {
            return Err(MarketError::NoInstruments);
        }
        let mut tokens: Vec<u32> = self.instruments.iter().map(|i| i.token).collect();
        tokens.sort_unstable();
        if let Some(pair) = tokens.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(MarketError::DuplicateToken(pair[0]));
        }
        for instrument in &self.instruments {
            if !instrument.hours.ordered() {
                return Err(MarketError::BadHours(instrument.token));
            }
            let room = instrument.tick_size.saturating_mul(20);
            if instrument.tick_size == 0
                || instrument.base_price < room
                || instrument.base_price > 2_000_000_000
            {
                return Err(MarketError::BadPrice(instrument.token));
            }
            if instrument.lot == 0 || instrument.lot > 100_000 {
                return Err(MarketError::BadLot(instrument.token));
            }
        }
        if self.days == 0 || self.days > 1_000 {
            return Err(MarketError::BadDays(self.days));
        }
        if !(self.rate >= 0.3 && self.rate <= 20.0) {
            return Err(MarketError::BadRate);
        }
        if self.packets_per_frame == 0 {
            return Err(MarketError::BadFrameSize);
        }
        self.faults.check()
    }
}

/// The instant of a second of an IST day.
#[must_use]
pub const fn at(day: i64, second: u32) -> Ns {
    ist_midnight(day) + second as Ns * SECOND
}

/// A configuration that makes no market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MarketError {
    NoInstruments,
    /// More than 100,000 names of a kind.
    TooManyInstruments(u32),
    DuplicateToken(u32),
    UnknownToken(u32),
    /// Neither ltp nor quote nor full.
    BadMode,
    /// Phases out of order, or past midnight.
    BadHours(u32),
    /// A price grid of 0, or a base price under 20 ticks or over 2,000,000,000 units.
    BadPrice(u32),
    /// A lot outside 1 to 100,000.
    BadLot(u32),
    /// Days outside 1 to 1,000.
    BadDays(u32),
    /// Snapshots a second outside 0.3 to 20.
    BadRate,
    BadFrameSize,
    /// A fault's probability outside 0 to 1; the fault's name.
    BadProbability(&'static str),
    /// Disconnections that are empty, overlap or go back in time.
    BadDisconnection,
    /// The closing auction needs a session longer than its fifteen minutes.
    TooShortForClosingAuction,
}

impl fmt::Display for MarketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoInstruments => f.write_str("a market needs at least one instrument"),
            Self::TooManyInstruments(count) => write!(f, "more than 100000 instruments of a kind: {count}"),
            Self::DuplicateToken(token) => write!(f, "two instruments share one token: {token}"),
            Self::UnknownToken(token) => write!(f, "no such instrument in the market: {token}"),
            Self::BadMode => f.write_str("not a mode, which are ltp, quote and full"),
            Self::BadHours(token) => write!(f, "phases of the day out of order for token: {token}"),
            Self::BadPrice(token) => write!(f, "base price or tick size out of range for token: {token}"),
            Self::BadLot(token) => write!(f, "lot outside 1 to 100000 for token: {token}"),
            Self::BadDays(days) => write!(f, "days outside 1 to 1000: {days}"),
            Self::BadRate => f.write_str("rate outside 0.3 to 20 snapshots a second"),
            Self::BadFrameSize => f.write_str("packets per frame outside 1 to 65535"),
            Self::BadProbability(name) => write!(f, "fault probability outside 0 to 1: {name}"),
            Self::BadDisconnection => f.write_str("disconnections must be non-empty, in order and apart"),
            Self::TooShortForClosingAuction => {
                f.write_str("a closing auction needs a session of more than 15 minutes")
            }
        }
    }
}

impl core::error::Error for MarketError {}
