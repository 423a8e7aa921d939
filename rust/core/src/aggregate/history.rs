//! Minutes from a broker's history: what they fill, what they replace, what they prove (docs/bars.md §10; R12,
//! R13, R32-R34).
//!
//! Only minutes that no tick can change any more are touched, so history and ticks never write the same bar
//! twice. A bar that history made stays as history says; coarser bars that contain one are made of rows, not of
//! what the ticks said.

use crate::bar::{FULL_COVERAGE, Row, Vwap, flags, src};
use crate::session::{Schedule, Span};
use crate::units::{MINUTE, Ns, SECOND, ist_day};

use super::Book;
use super::joined::Difference;
use super::state::{EventKind, NO_DAY, NO_TIME};

/// A broker's minute may still change this long after its end (R32).
const SETTLED: Ns = 15 * SECOND;
/// Differing bars remembered for an instrument.
const MAX_DIFFERENCES: usize = 1_000;
/// What a bar lacks that history may fill (R34).
const INCOMPLETE: u32 = flags::PARTIAL | flags::GAP | flags::MISSING;

/// One minute as a broker's history has it, prices in money.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Minute {
    pub time: Ns,
    pub open: f64,
    pub high: f64,
    pub low: f64,
    pub close: f64,
    /// `None` for an instrument without volume.
    pub volume: Option<i64>,
    pub oi: Option<i64>,
}

/// Who is right about a complete live bar (R34).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authority {
    /// The live bar is.
    Live,
    /// History is, also about a bar that a gap's last tick makes later.
    Broker,
    /// The one that was made last.
    Newest,
}

impl Minute {
    fn says(&self, row: &Row) -> bool {
        (self.open, self.high, self.low, self.close) == (row.open, row.high, row.low, row.close)
            && self.volume.is_none_or(|volume| volume == row.volume)
    }

    /// The row of this minute, in place of `held`. It has no vwap: the broker sends none, and none can be had from
    /// four prices.
    fn row(&self, held: Option<&Row>, how: Vwap) -> Row {
        let volume = self.volume.unwrap_or(0);
        let known = held
            .filter(|held| held.flags & flags::NO_OI == 0)
            .map(|held| held.oi);
        let oi = self.oi.or(known);
        let mut bits = 0;
        bits |= if self.volume.is_none() {
            flags::NO_VOLUME
        } else {
            0
        };
        bits |= if oi.is_none() { flags::NO_OI } else { 0 };
        bits |= if held.is_some() { flags::REPAIRED } else { 0 };
        let chart = how == Vwap::Hlc3 && volume > 0;
        Row {
            time: self.time,
            open: self.open,
            high: self.high,
            low: self.low,
            close: self.close,
            volume,
            vwap: if chart {
                ((self.high + self.low + self.close) / 3.0)
                    .max(self.low)
                    .min(self.high)
            } else {
                f64::NAN
            },
            oi: oi.unwrap_or(0),
            ticks: 0,
            flags: bits,
            vwap_err: f32::NAN,
            coverage: FULL_COVERAGE as u16,
            rev: held.map_or(0, |held| held.rev.saturating_add(1)),
            origin: src::HISTORY << 4,
        }
    }
}

/// What one call knows before it looks at its rows.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// No minute that ends later is taken.
    pub end: Ns,
    /// No coarser bar that ends later is made by history alone; the clock makes it.
    pub over: Ns,
    /// No minute from here on is taken: it is not sealed (R33).
    pub open: Ns,
}

impl Book {
    /// Whether history can be joined: some interval is a whole number of minutes.
    #[must_use]
    pub fn has_minutes(&self) -> bool {
        self.minute.is_some()
    }

    /// The differing bars that are remembered, oldest first (R40).
    pub fn differences(&self, slot: usize) -> impl Iterator<Item = &Difference> {
        self.cold[slot].joined.differences.iter()
    }

    /// Joins minutes, ascending and distinct, that were read at `now`; `clock` is the engine's or [`NO_TIME`].
    /// Gives how many bars of all intervals it made or changed.
    pub fn join_history(
        &mut self,
        slot: usize,
        minutes: &[Minute],
        now: Ns,
        clock: Ns,
        authority: Authority,
    ) -> usize {
        let (Some(minute), Some(first)) = (self.minute, minutes.first()) else {
            return 0;
        };
        self.spill(slot);
        let limits = self.limits(slot, now, clock);
        let from = self.start_of_longest(slot, first.time);
        let mut rows = self.ring(slot, minute).since(from);
        let before = self.tally.bars_reconciled;
        let mut changed = self.take_minutes(slot, minutes, authority, limits, &mut rows);
        changed.extend(self.settle_gaps(slot, &mut rows));
        changed.sort_by_key(|row| row.time);
        changed.dedup_by(|later, earlier| {
            let same = later.time == earlier.time;
            if same {
                *earlier = *later;
            }
            same
        });
        self.publish(slot, minute, &changed);
        self.fold_again(slot, &rows, &changed, limits);
        let cold = &mut self.cold[slot];
        cold.joined.forget(cold.day);
        self.refresh(slot);
        (self.tally.bars_reconciled - before) as usize
    }

    fn limits(&self, slot: usize, now: Ns, clock: Ns) -> Limits {
        let mut end = now.saturating_sub(SETTLED);
        let mut over = end;
        if clock != NO_TIME {
            // Ticks of history alone are judged by their own clock, however far the engine's is.
            let judged = self.final_at(slot, clock);
            end = end.min(judged.saturating_sub(self.options.final_after()) - 1);
            over = clock.saturating_sub(self.options.grace);
        }
        let at = slot * self.bases.len();
        let chain = self.older[at].iter().chain([&self.newest[at]]);
        let open = chain
            .filter(|bar| bar.exists && !bar.sealed)
            .map(|bar| bar.start)
            .min();
        Limits {
            end,
            over,
            open: open.unwrap_or(Ns::MAX),
        }
    }

    /// The earliest start of a bar of any interval that contains the minute at `t`.
    fn start_of_longest(&self, slot: usize, t: Ns) -> Ns {
        let day = self.schedule_of(slot, ist_day(t));
        let spans = self
            .plans
            .iter()
            .filter_map(|plan| self.bucket_of(&day, plan.ns, t));
        spans.map(|span| span.start).fold(t, Ns::min)
    }

    pub(super) fn bucket_of(&self, day: &Schedule, ns: Ns, t: Ns) -> Option<Span> {
        day.bucket(t, ns, self.options.anchor, self.options.tail)
    }

    /// Takes what is final and wanted into `rows`; gives the rows that are new or another.
    fn take_minutes(
        &mut self,
        slot: usize,
        minutes: &[Minute],
        authority: Authority,
        limits: Limits,
        rows: &mut Vec<Row>,
    ) -> Vec<Row> {
        let mut changed = Vec::new();
        let mut day = self.schedule_of(slot, ist_day(minutes[0].time));
        let mut fresh = Vec::new();
        for minute in minutes {
            self.tally.history_rows += 1;
            if day.day != ist_day(minute.time) {
                day = self.schedule_of(slot, ist_day(minute.time));
            }
            let bucket = self.bucket_of(&day, MINUTE, minute.time);
            let Some(span) = bucket.filter(|span| span.start == minute.time) else {
                self.tally.history_outside += 1;
                continue;
            };
            if span.end > limits.end || span.start >= limits.open {
                self.tally.history_early += 1;
                continue;
            }
            let joined = &mut self.cold[slot].joined;
            let seen = joined.covered.get_or_insert(span);
            *seen = Span {
                start: seen.start.min(span.start),
                end: seen.end.max(span.end),
            };
            let at = rows.binary_search_by_key(&span.start, |row| row.time);
            let held = at.ok().map(|at| rows[at]);
            let Some(row) = self.judge(slot, minute, held, authority, span) else {
                continue;
            };
            self.enter(slot, &row, held, authority, span);
            match at {
                Ok(at) => rows[at] = row,
                Err(_) => fresh.push(row),
            }
            changed.push(row);
        }
        // Merged in one go: a morning of minutes before a day's rows would otherwise move them all each time.
        rows.extend(fresh);
        rows.sort_by_key(|row| row.time);
        changed
    }

    /// The row that history puts in place of `held`; `None` if that stays (R34).
    fn judge(
        &mut self,
        slot: usize,
        minute: &Minute,
        held: Option<Row>,
        authority: Authority,
        span: Span,
    ) -> Option<Row> {
        let row = minute.row(held.as_ref(), self.options.saying.vwap);
        let Some(held) = held else {
            return Some(row);
        };
        if held.origin >> 4 == src::HISTORY {
            let same =
                minute.says(&held) && row.oi == held.oi && (row.flags ^ held.flags) & !flags::REPAIRED == 0;
            return (!same).then_some(row);
        }
        if held.flags & INCOMPLETE != 0 || self.in_gap(slot, span) {
            return Some(row);
        }
        if minute.says(&held) {
            return None;
        }
        self.tally.differences += 1;
        let differences = &mut self.cold[slot].joined.differences;
        if differences.len() == MAX_DIFFERENCES {
            differences.pop_front();
        }
        differences.push_back(Difference {
            live: held,
            history: row,
        });
        (authority != Authority::Live).then_some(row)
    }

    /// Puts rows into a ring, at once if any of them is not the newest, and tells of them.
    pub(super) fn publish(&mut self, slot: usize, interval: usize, rows: &[Row]) {
        let Some(first) = rows.first() else {
            return;
        };
        let ring = self.ring(slot, interval);
        if first.time > ring.last_time() {
            rows.iter().for_each(|row| ring.push(*row));
        } else {
            ring.rewrite(rows);
        }
        let oldest = ring.lost_before().unwrap_or(NO_TIME);
        let today = self.cold[slot].day;
        for row in rows.iter().filter(|row| row.time >= oldest) {
            self.tally.bars_reconciled += u64::from(interval < self.series());
            // Warming up is no news: nobody was told otherwise.
            if row.rev > 0 || (today != NO_DAY && ist_day(row.time) == today) {
                self.emit(slot, interval, EventKind::Reconciled, *row);
            }
        }
    }
}
