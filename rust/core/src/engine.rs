//! Stage 7, engine: frames in, bars out. The one place that knows every stage.
//!
//! `apply` walks a frame, finds each packet's instrument, and lets the [`Book`] do the rest; it keeps
//! the clocks of docs/bars.md §2 and the last packet of every instrument.

mod board;
mod drain;
mod history;
mod panel;
mod push;
mod snap;

use zerocopy::FromBytes;

use crate::aggregate::{Book, Clock, Options, SignedVolume, Snap, Tally};
use crate::error::DecodeError;
use crate::interval::Interval;
use crate::lookup::TokenMap;
use crate::session::{ClassId, SessionTable};
use crate::units::{Ns, SECOND};
use crate::wire::kite::packet::Full;
use crate::wire::kite::scale::segment;
use crate::wire::kite::{Census, Frame, Packet, ScaleTable, frame};

use board::Raw;
pub use history::{JoinError, RowFault};
pub use panel::{Fill, Panel};
pub use push::{PushError, Pushed};

/// How many packets are looked up before the first of them is applied.
const AHEAD: usize = 16;
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
    /// By slot: the highest time pushed to it as history.
    own: Vec<Ns>,
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
            own: Vec::new(),
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
        self.own.push(NO_TIME);
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

    /// Applies one frame received at `rx` (0 = unknown).
    ///
    /// # Errors
    /// [`DecodeError`] if not one whole packet could be read; what was aggregated before stays.
    #[inline]
    pub fn apply(&mut self, bytes: &[u8], rx: Ns) -> Result<Census, DecodeError> {
        let limit = if rx > 0 {
            rx.saturating_add(ODD_DELAY)
        } else {
            Ns::MAX
        };
        let limit_s = u32::try_from(limit / SECOND).unwrap_or(u32::MAX);
        let mut walk = frame(bytes);
        let mut applied = Census {
            is_heartbeat: walk.is_heartbeat(),
            ..Census::default()
        };
        let mut next: [(&[u8], u32); AHEAD] = [(&[], NO_SLOT); AHEAD];
        loop {
            let found = self.look_ahead(&mut walk, &mut next);
            for &(body, known) in &next[..found] {
                if let (Ok(full), true) = (Full::ref_from_bytes(body), known != NO_SLOT) {
                    applied.ticks += 1;
                    self.full(known as usize, full, rx, limit, limit_s);
                } else {
                    self.other(body, rx, limit, limit_s, &mut applied);
                }
            }
            if found < AHEAD {
                break;
            }
        }
        applied.error = walk.error();
        applied.rejected = walk.announced() - applied.ticks;
        self.counts.frames += 1;
        self.counts.heartbeats += u64::from(applied.is_heartbeat);
        self.counts.packets += walk.announced() as u64;
        self.counts.ticks += applied.ticks as u64;
        self.counts.rejected += applied.rejected as u64;
        match applied.error {
            Some(error) if walk.missing() == walk.announced() => {
                self.counts.bad_frames += 1;
                Err(error)
            }
            _ => Ok(applied),
        }
    }

    /// Finds the slots of the next packets and touches what they will need, so that the cache misses of many
    /// packets are waited for together. Gives how many packets there are, at most [`AHEAD`].
    #[inline(always)]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "there are fewer slots than u32 has values"
    )]
    fn look_ahead<'a>(&self, walk: &mut Frame<'a>, next: &mut [(&'a [u8], u32); AHEAD]) -> usize {
        let mut touched = 0;
        let mut found = 0;
        while found < AHEAD {
            let Some(body) = walk.next() else { break };
            let token = body.first_chunk::<4>().map(|token| u32::from_be_bytes(*token));
            let known = token.and_then(|token| self.tokens.get(token));
            if let Some(slot) = known {
                touched ^= self.book.touch(slot);
            }
            next[found] = (body, known.map_or(NO_SLOT, |slot| slot as u32));
            found += 1;
        }
        std::hint::black_box(touched);
        found
    }

    #[inline(always)]
    fn full(&mut self, slot: usize, full: &Full, rx: Ns, limit: Ns, limit_s: u32) {
        if self.book.quick(slot, full, limit_s) {
            let ets = Ns::from(full.exchange_timestamp.get()) * SECOND;
            if rx > 0 {
                self.sample(rx - ets);
            }
            if ets > self.watermark {
                self.tick_clock(ets, rx);
            }
        } else {
            self.long_way(slot, full, rx, limit);
        }
    }

    #[cold]
    #[inline(never)]
    fn long_way(&mut self, slot: usize, full: &Full, rx: Ns, limit: Ns) {
        let quoted = self.book.options.signed == SignedVolume::Quote;
        if quoted {
            let mid2 = self.mid_before(slot);
            self.book.set_mid(slot, mid2);
        }
        self.raws[slot].take_full(full);
        self.book.went_the_long_way(slot);
        let snap = self.snap_full(full, rx, limit);
        self.step(slot, &snap);
        if quoted {
            self.book.set_mid(slot, None);
        }
    }

    /// A packet of another length, or of a token that is new.
    #[cold]
    #[inline(never)]
    fn other(&mut self, body: &[u8], rx: Ns, limit: Ns, limit_s: u32, applied: &mut Census) {
        let packet = Packet::read(body);
        let Some(token) = packet.instrument_token() else {
            return;
        };
        applied.ticks += 1;
        applied.depth20 += usize::from(body.len() == 492);
        let Some(slot) = self.tokens.get(token).or_else(|| self.meet(token)) else {
            self.counts.untracked += 1;
            return;
        };
        if let Packet::Full(full) = packet {
            return self.full(slot, full, rx, limit, limit_s);
        }
        if body.len() <= 184 {
            self.catch_up(slot);
            self.raws[slot].renew(body);
        }
        if let Some(snap) = self.snap_other(&packet, rx, limit) {
            self.step(slot, &snap);
        } else if let Packet::Depth20(deep) = packet {
            let ets = self.valid(deep.exchange_timestamp.get(), limit);
            self.stamp(ets, rx);
            self.tick_clock(ets, rx);
        }
    }

    fn step(&mut self, slot: usize, snap: &Snap) {
        let clock = Clock {
            now: self.watermark.max(self.timer),
            watermark: self.watermark,
        };
        if snap.has_volume {
            self.book.tick(slot, snap, &clock);
        } else {
            self.book.price_tick(slot, snap, &clock);
        }
        self.tick_clock(snap.ets, snap.rx);
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
