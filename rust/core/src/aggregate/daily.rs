//! Day, week and month bars (docs/bars.md §11; R28, R9, R23).
//!
//! A day is a fold of its minutes whose numbers the broker's own day fields replace where there are any.
//! Weeks and months are made of the rows of days.

use crate::bar::{NO_HIGH, NO_LOW, Row, Said, flags};
use crate::interval::Interval;
use crate::session::calendar::{civil, day_of, month_start, week_start, weekday};
use crate::session::{Schedule, Span};
use crate::units::{DAY, Ns, ist_day, ist_midnight};

use super::Book;
use super::refold::fold_rows;
use super::state::{EventKind, Snap};

/// What a day bar with the broker's own numbers no longer suffers from.
const HEALED: u32 = flags::PARTIAL | flags::GAP | flags::MISSING | flags::H_AMBIG | flags::L_AMBIG;

/// The calendar intervals, by their index; a day is there wherever a week or a month is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Calendar {
    pub day: Option<usize>,
    /// Week, month.
    pub periods: [Option<usize>; 2],
}

impl Calendar {
    pub fn new(intervals: &[Interval], day: Option<usize>) -> Self {
        let at = |wanted| intervals.iter().position(|known| *known == wanted);
        Self {
            day,
            periods: [at(Interval::Week), at(Interval::Month)],
        }
    }
}

/// What an instrument's day, week and month bars need beside its minutes.
#[derive(Clone, Copy, Debug)]
pub struct Daily {
    /// The date's open and the day's close before it, as the broker says them; 0 for none.
    open: i64,
    close_before: i64,
    /// The week and the month that are not sealed, once they have a sealed day.
    pub periods: [Option<Span>; 2],
}

impl Daily {
    pub const NEW: Self = Self {
        open: 0,
        close_before: 0,
        periods: [None; 2],
    };

    /// Another date begins.
    pub const fn begin(&mut self) {
        self.open = 0;
        self.close_before = 0;
    }
}

/// A trading date: from Indian midnight to the end of its last phase, the post-close included.
fn day_of_schedule(schedule: &Schedule) -> Option<Span> {
    let ends = [schedule.close_auction, schedule.post];
    let last = ends.into_iter().flatten().map(|span| span.end);
    Some(Span {
        start: ist_midnight(schedule.day),
        end: last.fold(schedule.close()?, Ns::max),
    })
}

impl Book {
    pub(super) fn day_span(&self, slot: usize) -> Option<Span> {
        day_of_schedule(&self.cold[slot].schedule)
    }

    /// The week (0) or month (1) that a day's label lies in.
    fn period(&self, which: usize, label: Ns) -> Span {
        let day = ist_day(label);
        let (first, next) = if which == 0 {
            let sunday = i64::from(self.options.week_starts_sunday);
            let first = week_start(day.saturating_add(sunday)) - sunday;
            (first, first + 7)
        } else {
            let first = month_start(day);
            let (year, month, _) = civil(first);
            let next = day_of(year + month / 12, month % 12 + 1, 1);
            (first, next.unwrap_or(first + 31))
        };
        Span {
            start: ist_midnight(first),
            end: ist_midnight(next),
        }
    }

    /// The end of the day, week or month bar that starts at `start`.
    pub(super) fn calendar_end(&self, slot: usize, interval: usize, start: Ns) -> Ns {
        match self.intervals.get(interval) {
            None | Some(Interval::Seconds(_)) => start,
            Some(Interval::Week) => self.period(0, start).end,
            Some(Interval::Month) => self.period(1, start).end,
            Some(Interval::Day) => {
                let schedule = self.schedule_of(slot, ist_day(start));
                day_of_schedule(&schedule).map_or(start + DAY, |span| span.end)
            }
        }
    }

    /// Takes the broker's day fields from a packet of the date; a day that is sealed may say something else now.
    pub(super) fn note_day(&mut self, slot: usize, s: &Snap) {
        if self.calendar.day.is_none() {
            return;
        }
        let cold = &mut self.cold[slot];
        let of_the_date = |t: Ns| ist_day(t) == cold.day;
        if !of_the_date(s.stamp) || (s.ltt != 0 && !of_the_date(s.ltt)) {
            return;
        }
        if s.day_open != 0 {
            cold.daily.open = s.day_open;
        }
        let start = ist_midnight(cold.day);
        if s.close != 0 && s.close != cold.daily.close_before {
            cold.daily.close_before = s.close;
            self.close_officially(slot, start, s.close);
        }
        self.dirty |= self.day_is_sealed(slot);
    }

    /// Whether the bar of the instrument's date is sealed already.
    pub(super) fn day_is_sealed(&self, slot: usize) -> bool {
        let day = slot * self.plans.len() + self.plans.len() - 1;
        self.folds[day].sealed == ist_midnight(self.cold[slot].day)
    }

    /// The next date's first packet says how the day before closed (R28). A price that this day never saw belongs to
    /// another day, or to a corporate action, and is left alone.
    #[expect(clippy::cast_precision_loss, reason = "prices are below 2^53")]
    fn close_officially(&mut self, slot: usize, today: Ns, close: i64) {
        let Some(interval) = self.calendar.day else {
            return;
        };
        let close = close as f64 / self.cold[slot].divisor as f64;
        let ring = self.ring(slot, interval);
        let Some(held) = ring.newest_first().find(|row| row.time < today) else {
            return;
        };
        if held.close == close || close < held.low || close > held.high {
            return;
        }
        let row = Row {
            close,
            rev: held.rev.saturating_add(1),
            ..held
        };
        ring.put(row);
        self.tally.bars_revised += u64::from(interval < self.series());
        self.emit(slot, interval, EventKind::Revised, row);
        self.after_day(slot, interval, row.time);
    }

    /// A day's row: the fold of its minutes, with the broker's own numbers where there are any.
    #[expect(clippy::cast_precision_loss, reason = "prices are below 2^53")]
    pub(super) fn day_row(&self, slot: usize, said: &Said, fold: Row) -> Row {
        let (hot, cold) = (&self.hot[slot], &self.cold[slot]);
        debug_assert_eq!(said.start, ist_midnight(cold.day));
        let money = |units: i64| units as f64 / cold.divisor as f64;
        let mut row = fold;
        let mut include = |price: f64| {
            row.high = row.high.max(price);
            row.low = row.low.min(price);
        };
        if hot.h_star != NO_HIGH {
            include(money(hot.h_star));
        }
        if hot.l_star != NO_LOW {
            include(money(hot.l_star));
        }
        if cold.daily.open != 0 {
            include(money(cold.daily.open));
        }
        if let Some(auction) = cold.auction_close {
            include(money(auction.price));
            row.close = money(auction.price);
        }
        if cold.daily.open != 0 {
            row.open = money(cold.daily.open);
            row.flags &= !HEALED;
        }
        if hot.has_volume {
            row.volume = hot.v_star;
        }
        if hot.has_volume && hot.a_star != 0 {
            row.vwap = money(hot.a_star);
            row.vwap_err = f32::NAN;
        }
        if hot.oi_star_t >= hot.day_start {
            row.oi = hot.oi_star;
            row.flags &= !flags::NO_OI;
        }
        row
    }

    /// A day's row was made or revised: its week and month follow.
    #[inline]
    pub(super) fn after_day(&mut self, slot: usize, interval: usize, label: Ns) {
        if self.calendar.day == Some(interval) {
            self.follow_day(slot, label);
        }
    }

    #[cold]
    fn follow_day(&mut self, slot: usize, label: Ns) {
        for which in 0..2 {
            let Some(index) = self.calendar.periods[which] else {
                continue;
            };
            let span = self.period(which, label);
            if self.cold[slot].daily.periods[which].is_some_and(|open| open.start < span.start) {
                self.seal_period(slot, which);
            }
            if let Some(held) = self.ring(slot, index).find(span.start) {
                self.revise_period(slot, which, span, &held);
            } else {
                self.cold[slot].daily.periods[which] = Some(span);
                self.expect(slot, span.end);
            }
        }
    }

    /// The row of a week or month, of its sealed days and of `forming`.
    fn period_row(&mut self, slot: usize, span: Span, forming: Option<Row>) -> Option<Row> {
        let ring = self.ring(slot, self.calendar.day?);
        let mut days: Vec<Row> = ring.newest_first().collect();
        days.reverse();
        days.extend(forming);
        // The first date ever seen: what the period had before it is not known.
        let first = ist_day(days.first()?.time);
        let missed = (ist_day(span.start)..first).any(|day| weekday(day) < 5);
        days.retain(|day| span.start <= day.time && day.time < span.end);
        let mut row = fold_rows(&days, span.start, self.options.saying.vwap)?;
        row.flags |= if missed { flags::PARTIAL } else { 0 };
        Some(row)
    }

    fn seal_period(&mut self, slot: usize, which: usize) {
        let open = self.cold[slot].daily.periods[which].take();
        let made = open.and_then(|span| self.period_row(slot, span, None));
        if let (Some(row), Some(interval)) = (made, self.calendar.periods[which]) {
            self.tally.bars_closed += 1;
            self.ring(slot, interval).put(row);
            self.emit(slot, interval, EventKind::Closed, row);
        }
    }

    fn revise_period(&mut self, slot: usize, which: usize, span: Span, held: &Row) {
        let Some(row) = self.period_row(slot, span, None) else {
            return;
        };
        if let (false, Some(interval)) = (held.says_the_same(&row), self.calendar.periods[which]) {
            let rev = held.rev.saturating_add(1);
            let row = Row { rev, ..row };
            self.tally.bars_revised += 1;
            self.ring(slot, interval).put(row);
            self.emit(slot, interval, EventKind::Revised, row);
        }
    }

    /// Seals the weeks and months that end at or before `sealing`.
    pub(super) fn close_periods(&mut self, slot: usize, sealing: Ns) {
        for which in 0..2 {
            let open = self.cold[slot].daily.periods[which];
            if open.is_some_and(|span| span.end <= sealing) {
                self.seal_period(slot, which);
            }
        }
    }

    /// The week or month that is not sealed, with its end; the day that forms is part of it.
    pub(super) fn open_period(&mut self, slot: usize, interval: usize) -> Option<(Row, Ns)> {
        let which = self
            .calendar
            .periods
            .iter()
            .position(|at| *at == Some(interval))?;
        let day = self.unsealed(slot, self.calendar.day?).pop().map(|(row, _)| row);
        let open = self.cold[slot].daily.periods[which];
        let span = match day {
            Some(day) => self.period(which, day.time),
            None => open?,
        };
        self.period_row(slot, span, day).map(|row| (row, span.end))
    }
}
