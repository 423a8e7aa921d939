//! Stage 7, engine: frames in, bars out. The one place that knows every stage.
//!
//! `apply` walks a frame, finds each packet's instrument, and lets the [`Book`] do the rest; it keeps
//! the clocks of docs/bars.md §2 and the last packet of every instrument.

mod apply;
mod board;
mod drain;
mod history;
mod panel;
mod push;
mod recorded;
mod snap;
mod upstox;

use crate::aggregate::{Book, Options, Tally};
use crate::interval::Interval;
use crate::lookup::TokenMap;
use crate::session::{ClassId, SessionTable};
use crate::units::{Ns, SECOND};
use crate::wire::kite::ScaleTable;
use crate::wire::kite::scale::segment;

use board::Raw;
pub use history::{JoinError, RowFault};
pub use panel::{Fill, Panel};
pub use push::{PushError, Pushed};
pub use upstox::Applied;

/// A token that is not tracked yet, or a packet without one.
const NO_SLOT: u32 = u32::MAX;
/// No instant.
const NO_TIME: Ns = Ns::MIN;
/// The typical delay before one was measured (R2).
const FIRST_DELAY: Ns = 900_000_000;
/// How far the typical delay moves for one packet.
const DELAY_STEP: Ns = 1_000_000;
/// A delay beyond this says nothing about the line: a cached tick, or a wrong clock.
const ODD_DELAY: Ns = 60 * SECOND;

/// What the engine is made with.
#[derive(Clone, Debug)]
pub struct Config {
    pub intervals: Vec<Interval>,
    /// Bars that close by what was traded, as `NonTime::parse` reads them (R38).
    pub nontime: Vec<String>,
    /// Bars kept for each instrument and interval, at least.
    pub capacity: usize,
    pub options: Options,
    pub sessions: SessionTable,
    pub scales: ScaleTable,
    /// Tokens beyond this are counted as `untracked`, so that a hostile frame cannot take all memory.
    pub max_instruments: usize,
    /// Closed and revised bars kept for `drain`; beyond it the oldest go and are counted.
    pub max_events: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            intervals: vec![Interval::Seconds(60)],
            nontime: Vec::new(),
            capacity: 500,
            options: Options::default(),
            sessions: SessionTable::builtin(),
            scales: ScaleTable::kite(),
            max_instruments: 20_000,
            max_events: 131_072,
        }
    }
}

/// Who a slot is.
#[derive(Clone, Debug)]
pub struct Instrument {
    pub token: u32,
    pub symbol: Option<String>,
}

/// Counters. `packets = ticks + rejected`, always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub frames: u64,
    pub heartbeats: u64,
    pub bad_frames: u64,
    pub packets: u64,
    pub ticks: u64,
    pub rejected: u64,
    pub untracked: u64,
    pub pushed: u64,
}

/// Frames in, bars out.
#[derive(Debug)]
pub struct Engine {
    scales: ScaleTable,
    max_instruments: usize,
    tokens: TokenMap,
    instruments: Vec<Instrument>,
    raws: Vec<Raw>,
    book: Book,
    watermark: Ns,
    timer: Ns,
    skew: Ns,
    delay: Ns,
    has_exchange_time: bool,
    counts: Counts,
}

impl Engine {
    #[must_use]
    pub fn new(config: Config) -> Self {
        let book = Book::new(
            config.intervals,
            config.nontime,
            config.capacity,
            config.options,
            config.sessions,
            config.max_events,
        );
        Self {
            scales: config.scales,
            max_instruments: config.max_instruments,
            tokens: TokenMap::new(),
            instruments: Vec::new(),
            raws: Vec::new(),
            book,
            watermark: NO_TIME,
            timer: NO_TIME,
            skew: Ns::MAX,
            delay: FIRST_DELAY,
            has_exchange_time: false,
            counts: Counts::default(),
        }
    }

    /// The slot of a token that is tracked.
    #[must_use]
    pub fn slot(&self, token: u32) -> Option<usize> {
        self.tokens.get(token)
    }

    #[must_use]
    pub fn instruments(&self) -> &[Instrument] {
        &self.instruments
    }

    #[must_use]
    pub const fn scales(&self) -> &ScaleTable {
        &self.scales
    }

    #[must_use]
    pub const fn book(&self) -> &Book {
        &self.book
    }

    pub const fn book_mut(&mut self) -> &mut Book {
        &mut self.book
    }

    #[must_use]
    pub const fn counts(&self) -> (Counts, Tally) {
        (self.counts, self.book.tally)
    }

    /// The engine's clock: the later of the watermark and the timer (R25).
    #[must_use]
    pub fn now(&self) -> Option<Ns> {
        let now = self.watermark.max(self.timer);
        (now != NO_TIME).then_some(now)
    }

    /// Adds an instrument. `None`: there are `max_instruments` already.
    pub fn add(
        &mut self,
        token: u32,
        class: ClassId,
        divisor: i64,
        tick: i64,
        baseline: Option<i64>,
    ) -> Option<usize> {
        if self.instruments.len() >= self.max_instruments {
            return None;
        }
        let slot = self.tokens.insert(token);
        self.instruments.push(Instrument { token, symbol: None });
        self.raws.push(Raw::NONE);
        let added = self.book.add(class, divisor, tick, baseline);
        debug_assert_eq!(slot, added);
        if self.scales.of(token).is_signed() {
            self.book.allow_negative(slot);
        }
        Some(slot)
    }

    /// Names an instrument.
    pub fn name(&mut self, slot: usize, symbol: String) {
        self.instruments[slot].symbol = Some(symbol);
    }

    #[cold]
    #[inline(never)]
    fn meet(&mut self, token: u32) -> Option<usize> {
        let divisor = i64::from(self.scales.of(token).divisor());
        let class = self.book.sessions.class_of_segment(segment(token));
        self.add(token, class, divisor, default_tick(token, divisor), None)
    }

    /// Moves the watermark, and seals what is due (docs/bars.md §2).
    #[inline]
    fn tick_clock(&mut self, ets: Ns, rx: Ns) {
        if ets != 0 {
            self.has_exchange_time = true;
            self.watermark = self.watermark.max(ets);
        } else if rx > 0 && !self.has_exchange_time {
            self.watermark = self.watermark.max(rx.saturating_sub(self.delay));
        }
        let now = self.watermark.max(self.timer);
        if now >= self.book.next_due() {
            self.book.sweep(now);
        }
    }

    /// Tells the engine the time: seals what the clock closes though nothing arrives (R25). Gives how many bars.
    pub fn advance(&mut self, now: Ns) -> u64 {
        let skew = if self.skew == Ns::MAX { 0 } else { self.skew };
        self.timer = self.timer.max(now.saturating_sub(skew));
        let before = self.book.tally.bars_closed;
        let now = self.watermark.max(self.timer);
        if now >= self.book.next_due() {
            self.book.sweep(now);
        }
        self.book.tally.bars_closed - before
    }

    /// The feed is gone since `at` (R13).
    pub fn disconnected(&mut self, at: Ns) {
        self.book.disconnected(at);
    }
}

/// A tick size when none is given: 0.05, for currencies 0.0025, at least one unit (R21).
#[must_use]
pub fn default_tick(token: u32, divisor: i64) -> i64 {
    let (numerator, denominator) = if matches!(segment(token), 3 | 6) {
        (25, 10_000)
    } else {
        (5, 100)
    };
    ((divisor * numerator + denominator - 1) / denominator).max(1)
}
