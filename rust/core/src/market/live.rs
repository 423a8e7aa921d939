//! Market, live: what the exchange shows of one instrument at an instant, as a Kite packet.

use zerocopy::IntoBytes;

use super::config::{Instrument, Liquidity, Mode, at};
use super::index::{Basket, IndexDay, Publications};
use super::rng::Rng;
use super::trades::{Tape, Trade, has_oi, spread};
use crate::units::{Ns, SECOND};
use crate::wire::kite::packet::{Full, IndexFull, IndexQuote, Level, Ltp, Quote};

const QUOTES: u64 = 3;
const FAULTS: u64 = 4;

/// The day's figures of an instrument, as far as its trades have gone.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    /// Cumulative, not wrapped.
    pub(crate) volume: u64,
    value: u64,
    open: u32,
    high: u32,
    low: u32,
    last_price: u32,
    last_quantity: u32,
    /// 0 until anything was ever traded.
    pub(crate) last_trade: Ns,
    bid: u32,
    previous_close: u32,
}

impl Figures {
    /// The figures at the start of a date that follows this one: the close is carried, and so is the time
    /// of the last trade, as the real feed does.
    const fn next_day(&self) -> Self {
        Self {
            volume: 0,
            value: 0,
            open: 0,
            high: 0,
            low: 0,
            last_quantity: 0,
            previous_close: self.last_price,
            ..*self
        }
    }

    /// An invented date before the first: what a stale cached tick shows then.
    fn before_the_first(instrument: &Instrument, day: i64) -> Self {
        let price = instrument.base_price;
        let volume = u64::from(instrument.lot) * 10_000;
        Self {
            volume,
            value: volume * u64::from(price),
            open: price - instrument.tick_size,
            high: price + instrument.tick_size,
            low: price - 2 * instrument.tick_size,
            last_price: price,
            last_quantity: instrument.lot,
            last_trade: at(day, instrument.hours.close) - SECOND,
            bid: price,
            previous_close: price - instrument.tick_size,
        }
    }

    fn apply(&mut self, trade: &Trade) {
        if self.volume == 0 {
            (self.open, self.high, self.low) = (trade.price, trade.price, trade.price);
        }
        self.high = self.high.max(trade.price);
        self.low = self.low.min(trade.price);
        self.volume += u64::from(trade.quantity);
        self.value += u64::from(trade.price) * u64::from(trade.quantity);
        self.last_price = trade.price;
        self.last_quantity = trade.quantity;
        self.last_trade = trade.time;
        self.bid = trade.bid;
    }

    /// The day's mean price, rounded to the integer unit; 0 before the first trade.
    fn average(&self) -> u32 {
        (self.value + self.volume / 2)
            .checked_div(self.volume)
            .map_or(0, |mean| mean as u32)
    }
}

/// One traded instrument while the market runs.
pub(crate) struct Live {
    pub(crate) tape: Tape,
    pub(crate) today: Figures,
    pub(crate) yesterday: Figures,
    oi: u32,
    oi_high: u32,
    oi_low: u32,
    pub(crate) quotes: Rng,
    pub(crate) faults: Rng,
    /// Arrivals of one instrument are in order: a connection is.
    pub(crate) last_arrival: Ns,
    /// Traded since the last snapshot.
    pub(crate) traded: bool,
    /// The instant of the last snapshot of the day, 0 before it, and what it showed.
    pub(crate) published: Ns,
    pub(crate) shown: Figures,
    pub(crate) volume_faults: VolumeFaults,
}

/// How far the volume on the wire stays below the true one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct VolumeFaults {
    /// Snapshots for which the rollback still lasts, and by how much.
    pub(crate) rolled_back_for: u32,
    pub(crate) rolled_back: u64,
    /// When trades get cancelled, 0 for never, and the volume of those that were.
    pub(crate) cancel_at: Ns,
    pub(crate) cancelled: u64,
}

impl Live {
    pub(crate) fn new(seed: u64, instrument: &Instrument, day: i64, before: i64, near_wrap: bool) -> Self {
        let yesterday = Figures::before_the_first(instrument, before);
        let mut today = yesterday.next_day();
        if instrument.liquidity == Liquidity::Thin {
            // Some names have no last trade at all to show before their first.
            today.last_trade = 0;
        }
        let oi = if has_oi(instrument.kind) {
            instrument.lot.saturating_mul(20_000)
        } else {
            0
        };
        Self {
            tape: Tape::new(seed, instrument, day, near_wrap),
            today,
            yesterday,
            oi,
            oi_high: oi,
            oi_low: oi,
            quotes: Rng::new(seed, QUOTES, instrument.token, day),
            faults: Rng::new(seed, FAULTS, instrument.token, day),
            last_arrival: 0,
            traded: false,
            published: 0,
            shown: today,
            volume_faults: VolumeFaults::default(),
        }
    }

    /// Goes on to another date, once this one is drained.
    pub(crate) fn start_day(&mut self, instrument: &Instrument, day: i64) {
        self.tape.start_day(instrument, day);
        self.yesterday = self.today;
        self.today = self.yesterday.next_day();
        (self.oi_high, self.oi_low) = (self.oi, self.oi);
        self.published = 0;
        self.volume_faults = VolumeFaults::default();
    }

    /// Takes in every trade before `limit`.
    #[inline]
    pub(crate) fn trade_until(&mut self, instrument: &Instrument, limit: Ns) {
        while let Some(trade) = self.tape.next_before(instrument, limit) {
            self.today.apply(&trade);
            self.traded = true;
            // Four trades in ten open or close positions; the others pass them on.
            if has_oi(instrument.kind) && self.quotes.below(10) < 4 {
                self.move_oi(trade.quantity);
            }
        }
    }

    /// Open interest is also restated without a trade.
    pub(crate) fn restate_oi(&mut self, instrument: &Instrument) {
        if has_oi(instrument.kind) && self.quotes.below(100) == 0 {
            self.move_oi(instrument.lot.saturating_mul(25));
        }
    }

    fn move_oi(&mut self, by: u32) {
        let up = self.quotes.below(2) == 0;
        self.oi = if up {
            self.oi.saturating_add(by)
        } else {
            self.oi.saturating_sub(by)
        };
        self.oi_high = self.oi_high.max(self.oi);
        self.oi_low = self.oi_low.min(self.oi);
    }

    /// Appends the packet that shows `figures` at the stamp `ets` (whole seconds) with this cumulative volume.
    pub(crate) fn encode(
        &mut self,
        instrument: &Instrument,
        figures: &Figures,
        ets: u32,
        volume: u64,
        into: &mut Vec<u8>,
    ) {
        if instrument.mode == Mode::Ltp {
            let packet = Ltp {
                instrument_token: instrument.token.into(),
                last_price: figures.last_price.into(),
            };
            into.extend_from_slice(packet.as_bytes());
            return;
        }
        let tick = instrument.tick_size;
        let (bids, bid_quantity) = self.side(instrument, |level| figures.bid.saturating_sub(level * tick));
        let ask = figures.bid + spread(instrument);
        let (asks, ask_quantity) = self.side(instrument, |level| ask + level * tick);
        // The wire carries the low 32 bits: a bigger volume wraps (R14).
        let quote = Quote {
            instrument_token: instrument.token.into(),
            last_price: figures.last_price.into(),
            last_traded_quantity: figures.last_quantity.into(),
            average_traded_price: figures.average().into(),
            volume_traded: (volume as u32).into(),
            total_buy_quantity: bid_quantity.saturating_mul(7).into(),
            total_sell_quantity: ask_quantity.saturating_mul(7).into(),
            open: figures.open.into(),
            high: figures.high.into(),
            low: figures.low.into(),
            close: figures.previous_close.into(),
        };
        if instrument.mode == Mode::Quote {
            into.extend_from_slice(quote.as_bytes());
            return;
        }
        let full = Full {
            instrument_token: quote.instrument_token,
            last_price: quote.last_price,
            last_traded_quantity: quote.last_traded_quantity,
            average_traded_price: quote.average_traded_price,
            volume_traded: quote.volume_traded,
            total_buy_quantity: quote.total_buy_quantity,
            total_sell_quantity: quote.total_sell_quantity,
            open: quote.open,
            high: quote.high,
            low: quote.low,
            close: quote.close,
            last_trade_time: seconds(figures.last_trade).into(),
            oi: self.oi.into(),
            oi_day_high: self.oi_high.into(),
            oi_day_low: self.oi_low.into(),
            exchange_timestamp: ets.into(),
            bids,
            asks,
        };
        into.extend_from_slice(full.as_bytes());
    }

    fn side(&mut self, instrument: &Instrument, price: impl Fn(u32) -> u32) -> ([Level; 5], u32) {
        let mut levels = [Level::default(); 5];
        let mut total = 0_u32;
        for (level, place) in levels.iter_mut().zip(0..) {
            let r = self.quotes.next();
            let quantity = (1 + (r as u32 & 0x3ff)) * instrument.lot;
            total = total.saturating_add(quantity);
            level.quantity = quantity.into();
            level.price = price(place).into();
            level.orders = (1 + (r >> 60) as u16).into();
        }
        (levels, total)
    }
}

/// One index while the market runs.
pub(crate) struct LiveIndex {
    pub(crate) basket: Basket,
    pub(crate) publications: Publications,
    pub(crate) today: IndexDay,
    pub(crate) previous_close: u32,
    pub(crate) quotes: Rng,
    pub(crate) faults: Rng,
    pub(crate) last_arrival: Ns,
    pub(crate) published: Ns,
}

impl LiveIndex {
    pub(crate) fn new(seed: u64, instrument: &Instrument, market: &[Instrument], day: i64) -> Self {
        Self {
            basket: Basket::new(instrument, market),
            publications: Publications::new(seed, instrument, day),
            today: IndexDay {
                last: instrument.base_price,
                ..IndexDay::default()
            },
            previous_close: instrument.base_price,
            quotes: Rng::new(seed, QUOTES, instrument.token, day),
            faults: Rng::new(seed, FAULTS, instrument.token, day),
            last_arrival: 0,
            published: 0,
        }
    }

    pub(crate) fn start_day(&mut self, seed: u64, instrument: &Instrument, day: i64) {
        self.publications = Publications::new(seed, instrument, day);
        self.previous_close = self.today.last;
        self.today = IndexDay {
            last: self.previous_close,
            ..IndexDay::default()
        };
        self.published = 0;
    }

    /// Appends the packet that shows the index at the stamp `ets` (whole seconds).
    pub(crate) fn encode(&self, instrument: &Instrument, ets: u32, into: &mut Vec<u8>) {
        let day = self.today;
        let full = IndexFull {
            instrument_token: instrument.token.into(),
            last_price: day.last.into(),
            high: day.high.into(),
            low: day.low.into(),
            open: day.open.into(),
            close: self.previous_close.into(),
            change: (day.last.wrapping_sub(self.previous_close) as i32).into(),
            exchange_timestamp: ets.into(),
        };
        let quote_bytes = size_of::<IndexQuote>();
        let ltp_bytes = size_of::<Ltp>();
        // The shorter packets are the longer one's head.
        into.extend_from_slice(match instrument.mode {
            Mode::Full => full.as_bytes(),
            Mode::Quote => &full.as_bytes()[..quote_bytes],
            Mode::Ltp => &full.as_bytes()[..ltp_bytes],
        });
    }
}

/// A stamp of the wire: whole seconds, the fraction cut off.
pub(crate) const fn seconds(time: Ns) -> u32 {
    time.div_euclid(SECOND) as u32
}

/// The chance that something besides trades changed since the last snapshot, by the time of day.
pub(crate) fn quote_chance(instrument: &Instrument, second: u32) -> f64 {
    let hours = &instrument.hours;
    let auction_until = hours.closing_auction.map_or(0, |a| a.print.to);
    if second < hours.open {
        0.25
    } else if second < hours.close {
        match instrument.liquidity {
            Liquidity::Liquid => 0.95,
            Liquidity::Middling => 0.7,
            Liquidity::Thin => 0.15,
        }
    } else if second < auction_until {
        0.25
    } else {
        0.02
    }
}
