//! Market, trades: what really happened, before anyone took a snapshot.
//!
//! An instrument's day of trades is a function of (seed, token, day, previous close) alone, so it is
//! made again whenever the truth is asked for instead of being kept.

use super::config::{Auction, Instrument, Kind, Liquidity, Span, at};
use super::rng::Rng;
use crate::units::{Ns, SECOND};

/// Which part of the day a trade belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    OpeningAuction,
    Continuous,
    ClosingAuction,
    PostClose,
}

/// One trade. Times are never out of order within a day; several trades may share a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trade {
    pub time: Ns,
    /// In the segment's integer unit.
    pub price: u32,
    pub quantity: u32,
    pub phase: Phase,
    /// The best bid right after the trade, in the segment's integer unit.
    pub bid: u32,
}

/// What makes a name liquid or thin.
struct Character {
    /// Trades a second, averaged over the session.
    rate: f64,
    /// Between bid and ask, in ticks.
    spread: u32,
    /// The chance, of 256, that the book moves before an order meets it.
    restless: u32,
    /// Whether an order meets several others at once, three on average, so that trades come in bursts.
    bursts: bool,
    /// Lots of an ordinary trade are below this.
    lots: u32,
}

const fn character(liquidity: Liquidity) -> Character {
    match liquidity {
        Liquidity::Liquid => Character {
            rate: 3.0,
            spread: 1,
            restless: 120,
            bursts: true,
            lots: 60,
        },
        Liquidity::Middling => Character {
            rate: 0.3,
            spread: 2,
            restless: 160,
            bursts: true,
            lots: 40,
        },
        Liquidity::Thin => Character {
            rate: 1.0 / 200.0,
            spread: 6,
            restless: 180,
            bursts: false,
            lots: 6,
        },
    }
}

/// The spread an instrument's book shows, in its integer unit.
pub(crate) const fn spread(instrument: &Instrument) -> u32 {
    character(instrument.liquidity).spread * instrument.tick_size
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    OpeningAuction,
    Continuous,
    AtClose,
    ClosingAuction,
    PostClose { left: u32 },
    Done,
}

/// The trades of one instrument on one day, in order of time.
#[derive(Clone, Debug)]
pub(crate) struct DayOfTrades {
    rng: Rng,
    day: i64,
    step: Step,
    time: Ns,
    /// The best bid, in ticks, and the band it is kept in.
    bid: u32,
    floor: u32,
    ceiling: u32,
    buying: bool,
    /// Trades that the current burst still has.
    burst: u32,
    /// The last traded price, in ticks: what post-close trades are made at.
    last: u32,
    /// The first trade is still to bring the volume near 2^32.
    near_wrap: bool,
}

const PURPOSE: u64 = 1;
/// The mean time between two trades of a burst, in ns.
const WITHIN_BURST: f64 = 15_000_000.0;

impl DayOfTrades {
    /// `near_wrap`: the first trade, the opening auction's if there is one, is so large that the day's
    /// volume passes 2^32.
    pub(crate) fn new(
        seed: u64,
        instrument: &Instrument,
        day: i64,
        previous_close: u32,
        near_wrap: bool,
    ) -> Self {
        let mut rng = Rng::new(seed, PURPOSE, instrument.token, day);
        let previous = previous_close / instrument.tick_size;
        // A band of 20 % about the previous close, as the exchanges keep; at least wide enough to move in.
        let floor = (previous - previous / 5).max(12);
        let ceiling = (previous + previous / 5).max(floor + 40);
        let gap = previous / 200;
        let opening = (previous + rng.below(gap + 1)).saturating_sub(gap / 2);
        let step = if instrument.hours.opening_auction.is_some() {
            Step::OpeningAuction
        } else {
            Step::Continuous
        };
        let time = at(day, instrument.hours.open);
        let bid = opening.clamp(floor, ceiling);
        Self {
            rng,
            day,
            step,
            time,
            bid,
            floor,
            ceiling,
            buying: true,
            burst: 0,
            last: previous,
            near_wrap,
        }
    }

    /// The next trade of the day.
    pub(crate) fn next(&mut self, instrument: &Instrument) -> Option<Trade> {
        loop {
            match self.step {
                Step::OpeningAuction => {
                    self.step = Step::Continuous;
                    if let Some(auction) = instrument.hours.opening_auction {
                        return Some(self.opening_print(instrument, auction));
                    }
                }
                Step::Continuous => {
                    self.time += self.gap(instrument);
                    if self.time < at(self.day, instrument.hours.close) {
                        return Some(self.continuous(instrument));
                    }
                    self.step = Step::AtClose;
                }
                Step::AtClose => {
                    self.step = Step::ClosingAuction;
                    self.time = at(self.day, instrument.hours.close);
                    // Stamped exactly with the end of the session: the last bar's, not a new one's (R3).
                    if instrument.liquidity != Liquidity::Thin && self.rng.chance(0.5) {
                        return Some(self.continuous(instrument));
                    }
                }
                Step::ClosingAuction => {
                    self.step = Step::PostClose {
                        left: self.rng.below(40),
                    };
                    if let Some(auction) = instrument.hours.closing_auction {
                        return Some(self.closing_print(instrument, auction));
                    }
                }
                Step::PostClose { left } => match instrument.hours.postclose {
                    Some(span) if left > 0 => {
                        self.step = Step::PostClose { left: left - 1 };
                        return Some(self.post(instrument, span, left));
                    }
                    _ => self.step = Step::Done,
                },
                Step::Done => return None,
            }
        }
    }

    /// Trading is busiest at both ends of the session: 1.8 times the mean there, 0.6 times at its middle.
    fn gap(&mut self, instrument: &Instrument) -> Ns {
        if self.burst > 0 {
            return (self.rng.exponential() * WITHIN_BURST) as Ns;
        }
        let open = at(self.day, instrument.hours.open);
        let span = (instrument.hours.close - instrument.hours.open) as f64 * SECOND as f64;
        let x = 2.0 * (self.time - open) as f64 / span - 1.0;
        let character = character(instrument.liquidity);
        // A burst is one trade and two more on average.
        let orders = if character.bursts { 1.0 / 3.0 } else { 1.0 };
        let rate = character.rate * orders * (0.6 + 1.2 * x * x);
        (self.rng.exponential() / rate * SECOND as f64) as Ns
    }

    fn continuous(&mut self, instrument: &Instrument) -> Trade {
        let character = character(instrument.liquidity);
        if self.burst > 0 {
            self.burst -= 1;
            if self.rng.below(16) == 0 {
                self.walk_book();
            }
        } else {
            self.burst = if character.bursts { self.rng.geometric() } else { 0 };
            if self.rng.below(256) < character.restless {
                self.move_book();
            }
            // Orders come in runs, so the last price bounces between bid and ask instead of flipping each time.
            if self.rng.below(5) < 2 {
                self.buying = !self.buying;
            }
        }
        let lots = self.lots(character.lots);
        let price = if self.buying {
            self.bid + character.spread
        } else {
            self.bid
        };
        self.trade(instrument, price, lots, Phase::Continuous)
    }

    fn trade(&mut self, instrument: &Instrument, ticks: u32, lots: u32, phase: Phase) -> Trade {
        let tick = instrument.tick_size;
        self.last = ticks;
        let quantity = if core::mem::take(&mut self.near_wrap) {
            // Low enough that the wrap comes in the continuous session, high enough that it does come.
            let session = instrument.hours.close - instrument.hours.open;
            let expected = f64::from(session) * character(instrument.liquidity).rate * 100.0;
            u32::MAX - (expected as u32).max(1_000)
        } else {
            lots * instrument.lot
        };
        Trade {
            time: self.time,
            price: ticks * tick,
            quantity,
            phase,
            bid: self.bid * tick,
        }
    }

    /// One tick further in the order's own direction: it has emptied a level.
    fn walk_book(&mut self) {
        self.bid = if self.buying { self.bid + 1 } else { self.bid - 1 };
        self.bid = self.bid.clamp(self.floor, self.ceiling);
    }

    /// A step of a few ticks, now and then eight times as far, turned back at the band's edges.
    fn move_book(&mut self) {
        let r = self.rng.below(1024);
        let far = if r < 4 { 8 } else { 1 };
        let step = self.rng.geometric() * far;
        self.bid = if r & 8 == 0 {
            self.bid + step
        } else {
            self.bid.saturating_sub(step)
        };
        self.bid = self.bid.clamp(self.floor, self.ceiling);
    }

    /// Mostly small, sometimes a thousand times as large.
    fn lots(&mut self, ordinary: u32) -> u32 {
        let scale = self.rng.geometric().min(10) - 1;
        1 + self.rng.below(ordinary << scale)
    }

    fn opening_print(&mut self, instrument: &Instrument, auction: Auction) -> Trade {
        let resume = self.time;
        self.time = self.within(auction.print);
        let lots = self.auction_lots(instrument);
        let print = self.trade(instrument, self.bid, lots, Phase::OpeningAuction);
        self.time = resume;
        print
    }

    fn closing_print(&mut self, instrument: &Instrument, auction: Auction) -> Trade {
        self.time = self.within(auction.print);
        self.move_book();
        let lots = self.auction_lots(instrument);
        self.trade(instrument, self.bid, lots, Phase::ClosingAuction)
    }

    fn auction_lots(&mut self, instrument: &Instrument) -> u32 {
        let lots = character(instrument.liquidity).lots;
        50 * lots + self.rng.below(500 * lots)
    }

    /// Post-close trades are spread over their span in order, all at the day's last price.
    fn post(&mut self, instrument: &Instrument, span: Span, left: u32) -> Trade {
        let (from, to) = (at(self.day, span.from).max(self.time), at(self.day, span.to));
        self.time = from + self.rng.below_wide(((to - from) / i64::from(left)) as u64) as Ns;
        let lots = self.lots(character(instrument.liquidity).lots);
        self.trade(instrument, self.last, lots, Phase::PostClose)
    }

    fn within(&mut self, span: Span) -> Ns {
        at(self.day, span.from)
            + self
                .rng
                .below_wide(u64::from(span.to - span.from) * SECOND as u64) as Ns
    }
}

/// An instrument's trades over all dates, the close carried from one to the next.
#[derive(Clone, Debug)]
pub(crate) struct Tape {
    seed: u64,
    near_wrap: bool,
    trades: DayOfTrades,
    pending: Option<Trade>,
    /// The last traded price, or the base price before the first trade.
    pub(crate) last_price: u32,
}

impl Tape {
    /// A tape that stands before the first trade of `day`.
    pub(crate) fn new(seed: u64, instrument: &Instrument, day: i64, near_wrap: bool) -> Self {
        let last_price = instrument.base_price;
        let mut trades = DayOfTrades::new(seed, instrument, day, last_price, near_wrap);
        let pending = trades.next(instrument);
        Self {
            seed,
            near_wrap,
            trades,
            pending,
            last_price,
        }
    }

    /// The next trade if it is before `limit`.
    #[inline]
    pub(crate) fn next_before(&mut self, instrument: &Instrument, limit: Ns) -> Option<Trade> {
        let trade = self.pending.filter(|trade| trade.time < limit)?;
        self.pending = self.trades.next(instrument);
        self.last_price = trade.price;
        Some(trade)
    }

    /// Whether there is a trade before `limit`.
    #[inline]
    pub(crate) fn has_before(&self, limit: Ns) -> bool {
        self.pending.is_some_and(|trade| trade.time < limit)
    }

    /// Goes on to another date. What is left of this one is skipped, so the caller drains it first.
    pub(crate) fn start_day(&mut self, instrument: &Instrument, day: i64) {
        self.trades = DayOfTrades::new(self.seed, instrument, day, self.last_price, self.near_wrap);
        self.pending = self.trades.next(instrument);
    }
}

/// True for what has open interest.
pub(crate) const fn has_oi(kind: Kind) -> bool {
    matches!(kind, Kind::Future | Kind::Option)
}
