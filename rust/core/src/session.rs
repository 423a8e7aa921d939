//! Stage 3, session: when an instrument trades, and the bars that a trading day is cut into.
//!
//! Hours are effective-dated data (R5), shipped as `data/sessions.txt` and overlaid by text in the same
//! format. A [`Schedule`] is one class's day as instants; it tells the phase of a stamp (R3, R8, R9) and
//! the bar that the stamp belongs to (R6, R7). Whether a date is a holiday is not decided here.

pub mod calendar;
mod grid;
mod parse;

pub use parse::{SessionError, SessionErrorKind};

use crate::units::{Ns, SECOND, ist_midnight};
use grid::Grid;

/// The most continuous legs a day can have.
pub const MAX_LEGS: usize = 4;

/// The classes of instruments, in the order of their [`ClassId`]s.
const CLASSES: [&str; 9] = [
    "cash",
    "cash_cas",
    "derivatives",
    "futures_near",
    "currency",
    "commodity",
    "commodity_agri",
    "commodity_cotton",
    "index",
];

const BUILTIN: &str = include_str!("../data/sessions.txt");

/// The shipped holidays, rows for [`SessionTable::overlay`]: a name stands behind each.
///
/// Not part of [`SessionTable::builtin`]: ticks decide whether an engine has bars, not a list.
pub const HOLIDAYS: &str = include_str!("../data/holidays.txt");

/// Half-open stretch of time, `[start, end)`, in UTC nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    pub start: Ns,
    pub end: Ns,
}

/// Where in the trading day a stamp lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Earlier than anything of this day.
    Before,
    /// From the pre-open's start until the first leg opens, match and buffer included (R8).
    PreOpen,
    /// In the continuous leg of this number, the first being 0.
    Continuous(u8),
    /// Between two parts of the day.
    Break,
    /// The closing auction with its match (R9).
    CloseAuction,
    /// Trading at the closing price (R9).
    PostClose,
    /// Later than anything of this day, and the whole of a closed day.
    After,
}

/// A class of instruments that share their hours. Only those that a table returns name a class.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ClassId(pub u8);

/// Where bars are counted from (R6).
///
/// Bars never reach outside their leg, so with the last three a leg may begin with a short bar.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Anchor {
    /// The start of each continuous leg.
    Leg,
    /// The start of the day's first leg.
    Day,
    /// 00:00 Indian time.
    Midnight,
    /// 1970-01-01T00:00Z, as tools that floor the stamp do.
    Epoch,
}

/// What becomes of a leg's last bar when it is shorter than the interval (R7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tail {
    /// It stays, and ends with the leg.
    Stub,
    /// It joins the bar before it, if the leg has one.
    Merge,
}

/// A span of a day in seconds after Indian midnight.
type Seconds = (u32, u32);

#[derive(Clone, Copy, Default, Debug)]
struct Hours {
    preopen: Option<Seconds>,
    legs: [Seconds; MAX_LEGS],
    leg_count: u8,
    close_auction: Option<Seconds>,
    post: Option<Seconds>,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    class: u8,
    from: i64,
    to: i64,
    summer: Hours,
    winter: Hours,
}

/// Who trades when: rows in force over ranges of dates, where a later row wins.
#[derive(Clone, Debug)]
pub struct SessionTable {
    rows: Vec<Row>,
}

impl SessionTable {
    /// The hours that the library ships, those of its half days included.
    ///
    /// A day that is closed by [`HOLIDAYS`] keeps its ordinary hours here: should ticks come after all, a date that
    /// is wrong must not cost their bars.
    ///
    /// # Panics
    /// Never: a test reads the same texts.
    #[must_use]
    pub fn builtin() -> Self {
        let mut rows = parse::parse_rows(BUILTIN).expect("the shipped session table is read by a test");
        let holidays = parse::parse_rows(HOLIDAYS).expect("the shipped holidays are read by a test");
        rows.extend(holidays.into_iter().filter(|row| row.summer.leg_count > 0));
        Self { rows }
    }

    /// Adds rows in the format of the shipped table; they win over all that is there.
    ///
    /// # Errors
    /// [`SessionError`] at the first line that cannot be read; the table is then unchanged.
    pub fn overlay(&mut self, text: &str) -> Result<(), SessionError> {
        self.rows.extend(parse::parse_rows(text)?);
        Ok(())
    }

    /// The class of this name.
    #[must_use]
    pub fn class(&self, name: &str) -> Option<ClassId> {
        CLASSES
            .iter()
            .position(|known| *known == name)
            .map(|index| ClassId(index as u8))
    }

    /// The name of a class; `"unknown"` for an id that no table gave out.
    #[must_use]
    pub fn class_name(class: ClassId) -> &'static str {
        CLASSES.get(usize::from(class.0)).copied().unwrap_or("unknown")
    }

    /// The names of all classes.
    #[must_use]
    pub const fn class_names() -> &'static [&'static str] {
        &CLASSES
    }

    /// The class that a segment's instruments have unless told otherwise (kite-protocol §5).
    #[must_use]
    pub fn class_of_segment(&self, segment: u8) -> ClassId {
        let name = match segment {
            2 | 5 => "derivatives",
            3 | 6 => "currency",
            7 | 8 | 12 => "commodity",
            9 => "index",
            _ => "cash",
        };
        self.class(name).unwrap_or(ClassId(0))
    }

    /// Whether the hours of this day come from a row for that very date, and not from ordinary hours.
    #[must_use]
    pub fn names(&self, class: ClassId, day: i64) -> bool {
        self.in_force(class, day).is_some_and(|row| row.from == row.to)
    }

    /// The day of a class, as instants. Days too far away for `i64` nanoseconds are closed.
    #[must_use]
    pub fn schedule(&self, class: ClassId, day: i64) -> Schedule {
        let known = (-calendar::MAX_DAY..=calendar::MAX_DAY).contains(&day);
        match self.in_force(class, day) {
            Some(row) if known => {
                let summer = calendar::us_daylight_saving(day);
                Schedule::new(day, if summer { &row.summer } else { &row.winter })
            }
            _ => Schedule::new(day, &Hours::default()),
        }
    }

    fn in_force(&self, class: ClassId, day: i64) -> Option<&Row> {
        let fits = |row: &&Row| row.class == class.0 && row.from <= day && day <= row.to;
        self.rows.iter().rev().find(fits)
    }
}

/// One class's trading day as instants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Schedule {
    /// The Indian calendar day, counted from 1970-01-01.
    pub day: i64,
    /// Order entry of the pre-open; its phase lasts until the first leg opens.
    pub preopen: Option<Span>,
    pub close_auction: Option<Span>,
    pub post: Option<Span>,
    legs: [Span; MAX_LEGS],
    leg_count: u8,
}

impl Schedule {
    fn new(day: i64, hours: &Hours) -> Self {
        let midnight = ist_midnight(day);
        let at = |second: u32| midnight.saturating_add(Ns::from(second) * SECOND);
        let span = |(start, end): Seconds| Span {
            start: at(start),
            end: at(end),
        };
        Self {
            day,
            preopen: hours.preopen.map(span),
            close_auction: hours.close_auction.map(span),
            post: hours.post.map(span),
            legs: hours.legs.map(span),
            leg_count: hours.leg_count,
        }
    }

    /// The continuous legs in order, none when the day is closed.
    #[must_use]
    pub fn legs(&self) -> &[Span] {
        &self.legs[..usize::from(self.leg_count)]
    }

    /// When the first leg opens.
    #[must_use]
    pub fn open(&self) -> Option<Ns> {
        self.legs().first().map(|leg| leg.start)
    }

    /// When the last leg closes.
    #[must_use]
    pub fn close(&self) -> Option<Ns> {
        self.legs().last().map(|leg| leg.end)
    }

    /// The phase of a stamp. A stamp that equals the end of a part still belongs to it (R3), unless the
    /// next leg, or after the last leg the post-close, begins there.
    #[must_use]
    pub fn phase(&self, t: Ns) -> Phase {
        let legs = self.legs();
        let Some(first) = legs.first() else {
            return Phase::After;
        };
        if t < first.start {
            return match self.preopen {
                Some(span) if t >= span.start => Phase::PreOpen,
                _ => Phase::Before,
            };
        }
        // The last leg that has begun.
        let index = legs.iter().rposition(|leg| leg.start <= t).unwrap_or(0);
        if t <= legs[index].end {
            return Phase::Continuous(index as u8);
        }
        if index + 1 < legs.len() {
            return Phase::Break;
        }
        let begun = |span: &Option<Span>| span.filter(|span| span.start <= t);
        if let Some(span) = begun(&self.post) {
            return if t <= span.end {
                Phase::PostClose
            } else {
                Phase::After
            };
        }
        match begun(&self.close_auction) {
            Some(span) if t <= span.end => Phase::CloseAuction,
            None if self.close_auction.is_some() => Phase::Break,
            _ if self.post.is_some() => Phase::Break,
            _ => Phase::After,
        }
    }

    /// The bar that a stamp belongs to, or None outside continuous trading (R3, R6, R7).
    ///
    /// An interval that is not positive has no bars.
    #[must_use]
    pub fn bucket(&self, t: Ns, interval_ns: Ns, anchor: Anchor, tail: Tail) -> Option<Span> {
        match self.phase(t) {
            Phase::Continuous(leg) => {
                let grid = self.grid(self.legs[usize::from(leg)], interval_ns, anchor, tail)?;
                Some(grid.bar_at(t))
            }
            _ => None,
        }
    }

    /// Every bar that the day can have, in order; together they are the legs, each instant once.
    pub fn bars(&self, interval_ns: Ns, anchor: Anchor, tail: Tail) -> impl Iterator<Item = Span> + use<> {
        let day = *self;
        (0..usize::from(day.leg_count)).flat_map(move |index| {
            let leg = day.legs[index];
            let grid = day.grid(leg, interval_ns, anchor, tail);
            let first = grid.map(|grid| grid.bar_at(leg.start));
            core::iter::successors(first, move |bar| {
                grid.filter(|_| bar.end < leg.end)
                    .map(|grid| grid.bar_at(bar.end))
            })
        })
    }

    /// How many bars [`Schedule::bars`] gives, without making them.
    #[must_use]
    pub fn expected(&self, interval_ns: Ns, anchor: Anchor, tail: Tail) -> usize {
        let grids = self
            .legs()
            .iter()
            .filter_map(|leg| self.grid(*leg, interval_ns, anchor, tail));
        grids.fold(0, |sum, grid| sum.saturating_add(grid.count()))
    }

    fn grid(&self, leg: Span, interval_ns: Ns, anchor: Anchor, tail: Tail) -> Option<Grid> {
        Grid::new(
            leg,
            interval_ns,
            anchor,
            tail,
            self.open()?,
            ist_midnight(self.day),
        )
    }
}
