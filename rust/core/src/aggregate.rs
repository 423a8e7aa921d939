//! Stage 5, aggregate: one snapshot at a time into the bars of its instrument (docs/bars.md §3-§9).
//!
//! [`Book`] holds every instrument's state, slot by slot. The common ticks, an in-order trade inside the
//! newest bar and a repeat without a trade, are done in `quick`; every other case goes the long way:
//! `contact` (dates, first contact, gaps), `tick` (what kind of packet is it), `trade`, `late`, `price`
//! (instruments without volume), `spread` (a gap's volume), `extra` (an auction's own bar), `updates` and
//! `signed` (bars without time). `close` seals by the clock, `group` and `fold` make n-minute bars of minutes,
//! `revise` changes what is sealed and folds away what is final, `reading` answers readers, `history` and its
//! neighbours join a broker's bars, `daily` makes days.

mod brief;
mod close;
mod contact;
mod daily;
mod extra;
mod fold;
mod group;
mod history;
mod joined;
mod late;
mod options;
mod own;
mod price;
mod quick;
mod reading;
mod refold;
mod repair;
mod resample;
mod revise;
mod seat;
mod signed;
mod spread;
mod state;
mod tick;
mod trade;
mod turn;
mod updates;

pub use fold::FoldPlan;
pub use history::{Authority, Minute};
pub use joined::Difference;
pub use options::{
    BucketBy, CloseOn, EdgeSplit, GapVolume, OpenSource, Options, PostClose, PreOpen, VolumeKind,
};
pub use reading::Last;
pub use signed::SignedVolume;
pub use state::{Account, Auction, Booking, Clock, Event, EventKind, Gap, Snap, Tail, Tally};

use std::collections::VecDeque;

use crate::bar::{Bar, Row, Said};
use crate::interval::Interval;
use crate::ring::{Page, Ring};
use crate::session::{ClassId, Schedule, SessionTable};
use crate::units::{DAY, MINUTE, Ns};

use brief::Turn;
use daily::Calendar;
use fold::Fold;
use seat::Seat;
use state::{Cold, Hot};
use turn::Ends;

/// One chain of bars that ticks touch directly: a minute, or an interval that is no fold of minutes.
#[derive(Clone, Copy, Debug)]
pub struct Base {
    pub ns: Ns,
    /// Index of the interval whose rows this base's bars are; `None` if only its folds were asked for.
    pub interval: Option<usize>,
}

/// Every instrument's bars.
#[derive(Debug)]
pub struct Book {
    pub(crate) options: Options,
    pub(crate) sessions: SessionTable,
    pub(crate) intervals: Vec<Interval>,
    /// Bars without time, as `NonTime::parse` reads them; their series come after the intervals' (R38).
    nontime: Vec<String>,
    /// The ring of the minutes. Behind all series are those of minutes and days that only others are made of.
    minute: Option<usize>,
    calendar: Calendar,
    /// How many rings no reader sees.
    hidden: usize,
    pub(crate) capacity: usize,
    bases: Vec<Base>,
    plans: Vec<FoldPlan>,
    seats: Vec<Seat>,
    /// By slot; empty where the options leave no turn to the short way.
    turns: Vec<Turn>,
    hot: Vec<Hot>,
    cold: Vec<Cold>,
    /// By slot, then base.
    newest: Vec<Bar>,
    older: Vec<Vec<Bar>>,
    /// By slot, then plan.
    folds: Vec<Fold>,
    /// By slot, then interval.
    rings: Vec<Ring>,
    /// By slot: when something of it is due to be sealed.
    due: Vec<Ns>,
    next_due: Ns,
    pub(crate) events: VecDeque<Event>,
    /// The ends of the bars without time among the events, in their order; rows do not hold them.
    pub(crate) event_ends: VecDeque<Ns>,
    max_events: usize,
    pub(crate) tally: Tally,
    empty: Page,
    said: Vec<Said>,
    /// A sealed bar may say something else since the packet began.
    dirty: bool,
    /// Bases, by bit, of which the packet opened the newest bar.
    opened: u64,
    /// Start of the auction's or the post-close's own bar that the packet opened; [`state::NO_TIME`] for none.
    opened_extra: Ns,
    arrivals: i64,
    /// See `tune`.
    quick_bounded: bool,
    quick_trades: bool,
    quick_gap: u32,
    base_seconds: u32,
    ends: Ends,
    /// A turn was needed since this was looked at.
    pub(crate) turning: bool,
    /// Bars are counted from the leg's start and end with it: the common grid.
    plain: bool,
}

/// A plain trading day, to size pages by before the first date is known: 2026-07-01.
const TYPICAL_DAY: i64 = 20_635;
/// Minutes of the longest trading day, and days of the longest month.
const LONGEST_DAY: usize = 900;
const LONGEST_MONTH: usize = 31;
/// Nothing is due.
pub(crate) const NEVER: Ns = Ns::MAX;

impl Book {
    /// A book without instruments. `intervals` are distinct.
    #[must_use]
    pub fn new(
        intervals: Vec<Interval>,
        nontime: Vec<String>,
        capacity: usize,
        options: Options,
        sessions: SessionTable,
        max_events: usize,
    ) -> Self {
        let made = fold::plan(&intervals, intervals.len() + nontime.len());
        let mut book = Self {
            options,
            sessions,
            minute: made.minute,
            calendar: Calendar::new(&intervals, made.day),
            intervals,
            nontime,
            capacity,
            hidden: made.hidden,
            bases: made.bases,
            plans: made.plans,
            seats: Vec::new(),
            turns: Vec::new(),
            hot: Vec::new(),
            cold: Vec::new(),
            newest: Vec::new(),
            older: Vec::new(),
            folds: Vec::new(),
            rings: Vec::new(),
            due: Vec::new(),
            next_due: NEVER,
            events: VecDeque::new(),
            event_ends: VecDeque::new(),
            max_events: max_events.max(1),
            tally: Tally::default(),
            empty: Page::new(0),
            said: Vec::new(),
            dirty: false,
            opened: 0,
            opened_extra: state::NO_TIME,
            arrivals: 0,
            quick_bounded: false,
            quick_trades: false,
            quick_gap: 0,
            base_seconds: 0,
            ends: Ends::default(),
            turning: false,
            plain: false,
        };
        book.tune();
        book
    }

    /// Adds an instrument and gives its slot. `divisor` turns its units into money, `tick` is its tick size in units.
    pub fn add(&mut self, class: ClassId, divisor: i64, tick: i64, baseline: Option<i64>) -> usize {
        let slot = self.hot.len();
        self.seats.push(Seat::EMPTY);
        if self.may_turn() {
            self.turns.push(Turn::NONE);
        }
        self.hot.push(Hot::new(tick));
        let closed = self.sessions.schedule(class, state::NO_DAY);
        self.cold.push(Cold::new(class, closed, divisor, baseline));
        self.newest
            .extend(std::iter::repeat_n(Bar::NONE, self.bases.len()));
        self.older
            .extend(std::iter::repeat_with(Vec::new).take(self.bases.len()));
        self.folds
            .extend(std::iter::repeat_n(Fold::NEW, self.plans.len()));
        for interval in 0..self.rings_each() {
            let (shown, kept) = self.rows_kept(interval);
            self.rings.push(Ring::keeping(shown, kept, &self.empty));
        }
        self.due.push(NEVER);
        slot
    }

    /// The instrument's prices may be below 0.
    pub fn allow_negative(&mut self, slot: usize) {
        self.hot[slot].signed = true;
    }

    /// Whether the instrument's prices may be below 0.
    #[must_use]
    pub fn is_signed(&self, slot: usize) -> bool {
        self.hot[slot].signed
    }

    /// How many rows of an interval readers see, and how many are kept: coarser bars are made of them again.
    fn rows_kept(&self, interval: usize) -> (usize, usize) {
        let hidden = interval >= self.series();
        let least = if hidden { 1 } else { self.capacity };
        let longest = self
            .plans
            .iter()
            .filter(|plan| plan.ns < DAY)
            .map(|plan| plan.ns / MINUTE)
            .max();
        let kept = if Some(interval) == self.minute {
            let whole_day = if hidden { LONGEST_DAY } else { 0 };
            longest.map_or(0, |minutes| minutes as usize).max(whole_day)
        } else if Some(interval) == self.calendar.day {
            LONGEST_MONTH
        } else {
            0
        };
        (least, kept)
    }

    /// Makes room for one day's bars of an instrument now, so that no tick pays for it later.
    pub fn reserve(&mut self, slot: usize, day: i64) {
        let schedule = self.sessions.schedule(self.cold[slot].class, day);
        self.cold[slot].reserved = true;
        for older in &mut self.older[slot * self.bases.len()..(slot + 1) * self.bases.len()] {
            older.reserve(2);
        }
        self.reserve_events();
        for (index, interval) in self.intervals.iter().enumerate() {
            let rows = interval.ns().map_or(8, |ns| self.bars_a_day(&schedule, ns));
            let rings = self.rings_each();
            self.rings[slot * rings + index].reserve(rows);
        }
    }

    /// Room for one closing second's events of all instruments, written once so that the kernel has given it.
    fn reserve_events(&mut self) {
        let wanted = (self.hot.len() * self.series())
            .next_power_of_two()
            .min(self.max_events);
        if self.events.capacity() < wanted {
            let blank = Event {
                slot: 0,
                interval: 0,
                kind: EventKind::Closed,
                row: Row::BLANK,
            };
            let mut room: VecDeque<Event> = vec![blank; wanted].into();
            room.clear();
            room.extend(self.events.drain(..));
            self.events = room;
        }
    }

    /// [`Book::reserve`] for a usual day of the instrument's class.
    pub fn reserve_typical(&mut self, slot: usize) {
        self.reserve(slot, TYPICAL_DAY);
    }

    #[must_use]
    pub const fn sessions(&self) -> &SessionTable {
        &self.sessions
    }

    fn bars_a_day(&self, schedule: &Schedule, ns: Ns) -> usize {
        schedule.expected(ns, self.options.anchor, self.options.tail)
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.hot.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hot.is_empty()
    }

    /// When the next sweep has something to do.
    #[must_use]
    #[inline]
    pub const fn next_due(&self) -> Ns {
        self.next_due
    }

    /// How many series of bars an instrument has.
    #[must_use]
    pub const fn series(&self) -> usize {
        self.intervals.len() + self.nontime.len()
    }

    /// The ring of one instrument and interval.
    pub fn ring(&mut self, slot: usize, interval: usize) -> &mut Ring {
        let rings = self.rings_each();
        &mut self.rings[slot * rings + interval]
    }

    const fn rings_each(&self) -> usize {
        self.series() + self.hidden
    }

    #[must_use]
    pub fn auctions(&self, slot: usize) -> [Option<Auction>; 2] {
        [self.cold[slot].auction_open, self.cold[slot].auction_close]
    }

    #[must_use]
    pub fn gaps(&self, slot: usize) -> &[Gap] {
        &self.cold[slot].gaps
    }

    #[must_use]
    pub fn divisor(&self, slot: usize) -> i64 {
        self.cold[slot].divisor
    }

    #[must_use]
    pub fn class(&self, slot: usize) -> ClassId {
        self.cold[slot].class
    }

    /// The instrument's trading date, if it has one yet.
    #[must_use]
    pub fn day(&self, slot: usize) -> Option<i64> {
        (self.cold[slot].day != state::NO_DAY).then_some(self.cold[slot].day)
    }

    pub(crate) fn schedule_of(&self, slot: usize, day: i64) -> Schedule {
        self.sessions.schedule(self.cold[slot].class, day)
    }

    #[inline(always)]
    fn emit(&mut self, slot: usize, interval: usize, kind: EventKind, row: Row) {
        if interval >= self.series() {
            return;
        }
        if self.events.len() == self.max_events {
            let oldest = self.events.pop_front();
            if oldest.is_some_and(|event| usize::from(event.interval) >= self.intervals.len()) {
                self.event_ends.pop_front();
            }
            self.tally.events_dropped += 1;
        }
        #[expect(clippy::cast_possible_truncation, reason = "far fewer than the types hold")]
        let (slot, interval) = (slot as u32, interval as u16);
        self.events.push_back(Event {
            slot,
            interval,
            kind,
            row,
        });
    }
}
