//! Reading bars on a calendar (R24): one instrument filled, or many instruments aligned.
//!
//! Rows are stored only for bars that exist. Here they are laid on the ordinals that the sessions expect,
//! and what lies between them is left out, or filled with the close before it where nothing traded.

use crate::bar::{FULL_COVERAGE, Row, flags, src};
use crate::session::Schedule;
use crate::units::{Ns, ist_day};

use super::Engine;

/// What stands where no bar is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Nothing.
    None,
    /// The close before it with no volume, where the market was open and the feed was there.
    Forward,
}

/// Many instruments' bars on one axis.
#[derive(Clone, Debug)]
pub struct Panel {
    /// Starts of the bars, ascending.
    pub times: Vec<Ns>,
    /// By instrument, then time; `None` where there is no bar.
    pub cells: Vec<Option<Row>>,
}

impl Engine {
    /// All instruments' sealed bars of one interval, by slot (docs/bars.md §10).
    #[must_use]
    pub fn panel(&mut self, interval: usize, fill: Fill) -> Panel {
        let slots: Vec<usize> = (0..self.instruments.len()).collect();
        let times = self.axis(&slots, interval);
        let cells = slots
            .iter()
            .flat_map(|slot| self.lay(*slot, interval, &times, fill))
            .collect();
        Panel { times, cells }
    }

    /// One instrument's sealed bars of an interval on its own calendar.
    #[must_use]
    pub fn filled(&mut self, slot: usize, interval: usize, fill: Fill) -> Panel {
        let times = self.axis(&[slot], interval);
        let cells = self.lay(slot, interval, &times, fill);
        Panel { times, cells }
    }

    /// One instrument's bars of length `ns`, folds of the sealed ones of an interval, each with its end.
    #[must_use]
    pub fn resampled(&mut self, slot: usize, interval: usize, ns: Ns) -> Vec<(Row, Ns)> {
        let clock = self.watermark.max(self.timer);
        self.book.resampled(slot, interval, ns, clock)
    }

    /// The bar starts that the sessions expect between the first and the last bar, and those of bars beside them.
    fn axis(&mut self, slots: &[usize], interval: usize) -> Vec<Ns> {
        let mut times: Vec<Ns> = Vec::new();
        let mut days = Vec::new();
        for &slot in slots {
            let class = self.book.class(slot);
            let view = self.book.ring(slot, interval).view();
            for at in 0..view.len() {
                let time = view.row(at).time;
                times.push(time);
                if days.last() != Some(&(class, ist_day(time))) {
                    days.push((class, ist_day(time)));
                }
            }
        }
        times.sort_unstable();
        times.dedup();
        days.sort_unstable_by_key(|(class, day)| (class.0, *day));
        days.dedup();
        let (Some(&first), Some(&last)) = (times.first(), times.last()) else {
            return times;
        };
        if let Some(ns) = self.book.intervals[interval].ns() {
            for (class, day) in days {
                let schedule = self.book.sessions.schedule(class, day);
                let expected = schedule.bars(ns, self.book.options.anchor, self.book.options.tail);
                times.extend(
                    expected
                        .map(|span| span.start)
                        .filter(|t| (first..=last).contains(t)),
                );
            }
            times.sort_unstable();
            times.dedup();
        }
        times
    }

    fn lay(&mut self, slot: usize, interval: usize, times: &[Ns], fill: Fill) -> Vec<Option<Row>> {
        let view = self.book.ring(slot, interval).view();
        let gaps = self.book.gaps(slot).to_vec();
        let ns = self.book.intervals[interval].ns();
        let mut day: Option<Schedule> = None;
        let mut before: Option<Row> = None;
        let mut next = 0;
        let mut cells = Vec::with_capacity(times.len());
        for &time in times {
            while next < view.len() && view.row(next).time < time {
                next += 1;
            }
            let row = (next < view.len())
                .then(|| view.row(next))
                .filter(|row| row.time == time);
            if row.is_some() {
                before = row;
                cells.push(row);
                continue;
            }
            if day.is_none_or(|day| day.day != ist_day(time)) {
                day = Some(self.book.schedule_of(slot, ist_day(time)));
            }
            let leg =
                |t: Ns| day.and_then(|day| day.legs().iter().position(|leg| leg.start <= t && t < leg.end));
            let span = day
                .zip(ns)
                .and_then(|(day, ns)| day.bucket(time, ns, self.book.options.anchor, self.book.options.tail));
            // Missing is not the same as nothing traded: in a gap, and across legs, nobody knows.
            let missing =
                span.is_none_or(|span| gaps.iter().any(|gap| gap.from < span.end && span.start < gap.to));
            let known = before.filter(|row| leg(row.time).is_some() && leg(row.time) == leg(time));
            let filled = known
                .filter(|_| fill == Fill::Forward && !missing)
                .map(|row| row.repeated(time));
            cells.push(filled);
        }
        cells
    }
}

impl Row {
    /// A bar in which nothing traded after this one.
    fn repeated(&self, time: Ns) -> Self {
        let close = self.close;
        let kept = self.flags & (flags::NO_OI | flags::NO_VOLUME);
        Self {
            time,
            open: close,
            high: close,
            low: close,
            volume: 0,
            vwap: f64::NAN,
            ticks: 0,
            flags: kept | flags::FILLED,
            vwap_err: f32::NAN,
            coverage: FULL_COVERAGE as u16,
            rev: 0,
            origin: src::LIVE << 4,
            ..*self
        }
    }
}
