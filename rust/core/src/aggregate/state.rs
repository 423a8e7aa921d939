//! What is kept for each instrument beside its bars.

use std::collections::VecDeque;

use crate::bar::{Bar, Interest, Level, NO_HIGH, NO_LOW, Row};
use crate::nontime::NonTime;
use crate::session::{ClassId, Schedule, Span};
use crate::units::Ns;

use super::daily::Daily;
use super::joined::Joined;
use super::signed::Signing;
use super::tick::Trade;

/// No trading date yet.
pub const NO_DAY: i64 = i64::MIN;
/// No instant.
pub const NO_TIME: Ns = Ns::MIN;

/// One snapshot, as the aggregator wants it: validated stamps, prices in units.
#[derive(Clone, Copy, Debug)]
pub struct Snap {
    pub price: i64,
    /// Cumulative volume as the broker says it.
    pub volume: i64,
    pub average: i64,
    /// [`NO_HIGH`] and [`NO_LOW`] for none.
    pub high: i64,
    pub low: i64,
    pub day_open: i64,
    pub close: i64,
    /// 0 for none.
    pub ltt: Ns,
    pub ets: Ns,
    /// Receive time; 0 for unknown.
    pub rx: Ns,
    /// The best guess at the exchange's time of this packet; [`NO_TIME`] for none at all.
    pub stamp: Ns,
    pub oi: i64,
    pub has_oi: bool,
    pub has_volume: bool,
    /// The stamp is the trade's own, given by a caller of `push`.
    pub given: bool,
    /// Its volume is what a caller of `push` added to the day's, no broker's word.
    pub added: bool,
}

/// The engine's clock as it was before the packet ([`NO_TIME`] for none).
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    pub now: Ns,
    pub watermark: Ns,
}

/// Where a trading date's volume went (R11): all but `baseline`, `last` and `rebased` add up to `last − baseline`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    pub baseline: i64,
    pub last: i64,
    pub bars: i64,
    pub auction_open: i64,
    pub auction_close: i64,
    pub post: i64,
    pub unattributed: i64,
    pub dropped: i64,
    /// What volume rollbacks took off the counter (R14).
    pub rebased: i64,
    /// Volume that the date's minutes have from history beyond `bars` (docs/bars.md §10).
    pub history: i64,
}

/// An auction's print (R8, R9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Auction {
    pub price: i64,
    pub volume: i64,
    pub time: Ns,
}

/// Where volume that is no bar's is booked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Booking {
    AuctionOpen,
    AuctionClose,
    Post,
    Unattributed,
    Dropped,
}

impl Account {
    pub fn of(&mut self, booking: Booking) -> &mut i64 {
        match booking {
            Booking::AuctionOpen => &mut self.auction_open,
            Booking::AuctionClose => &mut self.auction_close,
            Booking::Post => &mut self.post,
            Booking::Unattributed => &mut self.unattributed,
            Booking::Dropped => &mut self.dropped,
        }
    }

    /// Adds another date's account, field by field.
    pub fn add(&mut self, other: &Self) {
        self.baseline += other.baseline;
        self.last += other.last;
        self.bars += other.bars;
        self.auction_open += other.auction_open;
        self.auction_close += other.auction_close;
        self.post += other.post;
        self.unattributed += other.unattributed;
        self.dropped += other.dropped;
        self.rebased += other.rebased;
        self.history += other.history;
    }
}

/// A stretch without data (R13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    pub from: Ns,
    pub to: Ns,
    /// ΔV of the tick that ended it.
    pub volume: i64,
    /// The part of it that history has not placed elsewhere yet.
    pub left: i64,
    /// Price of that tick, and Σ 2·price·volume that `left` stands for in its bar.
    pub price: i64,
    pub value2: i128,
    /// What history found of the gap's volume and nobody took off yet.
    pub found: i64,
    /// What history found beyond it: other minutes of the gap may still be too high by that.
    pub over: i64,
    /// Where `left` is booked; `None`: in the bar of `to`.
    pub held: Option<Booking>,
}

/// What happened to a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    Closed,
    Revised,
    Reconciled,
}

/// A sealed bar's history, in order.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    pub slot: u32,
    /// Index of the series: the intervals, then the bars without time.
    pub interval: u16,
    pub kind: EventKind,
    pub row: Row,
}

/// Counters of what ticks turned out to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub trades: u64,
    pub duplicates: u64,
    pub quotes: u64,
    pub late: u64,
    pub late_dropped: u64,
    pub stale: u64,
    pub untimed: u64,
    pub bad_stamps: u64,
    pub price_rejected: u64,
    pub rollbacks: u64,
    pub rebases: u64,
    pub outside: u64,
    pub without_volume: u64,
    pub gaps: u64,
    pub contacts: u64,
    pub bars_closed: u64,
    pub bars_revised: u64,
    pub events_dropped: u64,
    /// Rows of history that were looked at, too young (R32, R33), and outside of continuous trading.
    pub history_rows: u64,
    pub history_early: u64,
    pub history_outside: u64,
    /// Bars that history made or changed.
    pub bars_reconciled: u64,
    /// Complete live bars that history says otherwise (R34, R40).
    pub differences: u64,
    /// Gaps whose volume is not what history says of their minutes (R13).
    pub gap_mismatches: u64,
}

/// What every tick that goes the long way needs first.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Hot {
    /// High-water cumulative volume of the date, its average price and its trade time.
    pub v_star: i64,
    pub a_star: i64,
    pub ltt_star: Ns,
    /// Highest stamp of any packet of the date.
    pub ets_star: Ns,
    pub h_star: i64,
    pub l_star: i64,
    pub oi_star: i64,
    /// What is added to the broker's volume: counter wraps and rebases (R14).
    pub offset: i64,
    pub day_start: Ns,
    pub last_p: i64,
    /// Key of `oi_star` (R30).
    pub oi_star_t: Ns,
    pub oi_star_v: i64,
    /// The trade time that the packet which set `v_star` said, whatever placed it: what a repeat says too (R15).
    pub ltt_said: Ns,
    /// Tick size in units: the tolerance of R21.
    pub tick: i32,
    pub lows: u8,
    /// False sends every tick the long way: no date yet, or a gap is pending.
    pub open: bool,
    /// The average can bound values: no rebase on this date (R14, R22).
    pub clamps: bool,
    /// The instrument has had volume on this date.
    pub has_volume: bool,
    /// Prices may be below 0.
    pub signed: bool,
}

impl Hot {
    pub fn new(tick: i64) -> Self {
        Self {
            v_star: 0,
            a_star: 0,
            ltt_star: NO_TIME,
            ets_star: NO_TIME,
            h_star: NO_HIGH,
            l_star: NO_LOW,
            oi_star: 0,
            offset: 0,
            day_start: 0,
            last_p: 0,
            oi_star_t: NO_TIME,
            oi_star_v: i64::MIN,
            ltt_said: NO_TIME,
            tick: i32::try_from(tick.max(1)).unwrap_or(i32::MAX),
            lows: 0,
            open: false,
            clamps: true,
            has_volume: false,
            signed: false,
        }
    }

    /// Remembers what a repeat of the packet that set the volume says.
    pub fn note_said(&mut self, s: &Snap) {
        self.ltt_said = if s.ltt == 0 { NO_TIME } else { s.ltt };
        self.last_p = s.price;
    }

    /// The level that the date has reached.
    #[inline]
    pub fn level(&self) -> Level {
        Level {
            v: self.v_star,
            a: self.a_star,
            h: self.h_star,
            l: self.l_star,
        }
    }
}

/// What a row of a bar without time has no room for (R38).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    pub end: Ns,
    /// Volume bought less volume sold, and the sum of it over all bars so far.
    pub delta: i64,
    pub cvd: i64,
}

/// What only the long way needs.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub struct Cold {
    // What opening and sealing a bar needs comes first: four cache lines.
    pub day: i64,
    pub divisor: i64,
    pub t_join: Ns,
    /// The highest time pushed as history, and whether a live packet has come as well: until one does, only
    /// history's own clock makes bars final.
    pub own: Ns,
    pub live: bool,
    /// The day's first continuous leg; empty if there is none.
    pub leg: Span,
    pub gap_from: Option<Ns>,
    /// Bases, by bit, whose next bar says that the volume was rebased.
    pub rebase_due: u64,
    /// A continuous bar was opened on this date, by base bit.
    pub opened: u64,
    pub class: ClassId,
    pub complete: bool,
    pub reserved: bool,
    /// A packet without volume made a price on this date.
    pub priced: bool,
    /// Auction and post-close bars that are not final (`preopen="bar"`, `postclose="bar"`): none, or one a base.
    pub extra: [Vec<Bar>; 2],
    pub schedule: Schedule,
    pub account: Account,
    /// The opening auction's prints, kept for `preopen="fold"`: each with the level before it.
    pub prints: Vec<(Snap, Trade, Level)>,
    /// Whether the date has had its auction's and its post-close's bar.
    pub had_extra: [bool; 2],
    /// What the auction's bar said of the open interest when it became final.
    pub auction_interest: Interest,
    /// `baseline_volume` of `track`: replaces first contact.
    pub preset: Option<i64>,
    pub low_since: Ns,
    pub gaps: Vec<Gap>,
    pub auction_open: Option<Auction>,
    pub auction_close: Option<Auction>,
    /// The stamp of the tick before the first print.
    pub before_prints: Ns,
    /// Volume that is no bar's, in the order it was booked.
    pub bookings: Vec<(Booking, i64)>,
    /// Sum of the accounts of the dates before.
    pub past: Account,
    /// By kind; `None` where the instrument's unit is too coarse for the size.
    pub nontime: Vec<Option<NonTime>>,
    /// By kind: what the ring's rows do not hold.
    pub nontime_tails: Vec<VecDeque<Tail>>,
    pub signing: Signing,
    pub joined: Joined,
    pub daily: Daily,
    /// `t_join` of the dates before, for bars that are made of theirs when they are read.
    pub joins: VecDeque<Ns>,
}

impl Cold {
    pub fn new(class: ClassId, schedule: Schedule, divisor: i64, preset: Option<i64>) -> Self {
        Self {
            class,
            divisor,
            day: NO_DAY,
            schedule,
            preset,
            account: Account::default(),
            complete: true,
            t_join: NO_TIME,
            own: NO_TIME,
            live: false,
            leg: Span { start: 0, end: 0 },
            low_since: NO_TIME,
            rebase_due: 0,
            gap_from: None,
            gaps: Vec::new(),
            auction_open: None,
            auction_close: None,
            prints: Vec::new(),
            before_prints: NO_TIME,
            bookings: Vec::new(),
            past: Account::default(),
            priced: false,
            extra: [Vec::new(), Vec::new()],
            had_extra: [false; 2],
            auction_interest: Bar::NONE.interest(),
            opened: 0,
            reserved: false,
            nontime: Vec::new(),
            nontime_tails: Vec::new(),
            signing: Signing::NEW,
            joined: Joined::new(),
            daily: Daily::NEW,
            joins: VecDeque::new(),
        }
    }
}
