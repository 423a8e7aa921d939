//! Coarser bars of an interval that is kept, made when they are read (R27): folds of its sealed bars.

use crate::bar::{Row, Said, flags, src};
use crate::session::Span;
use crate::units::{Ns, ist_day};

use super::Book;
use super::refold::fold_rows;

impl Book {
    /// The bars of length `ns` that the sealed bars of an interval make, oldest first, each with its end.
    ///
    /// `ns` is a multiple of the interval's own length, which is less than a day. A bar that is not over by `clock`
    /// is left out, as is the first one if some of its bars are no longer kept.
    pub fn resampled(&mut self, slot: usize, interval: usize, ns: Ns, clock: Ns) -> Vec<(Row, Ns)> {
        let ring = self.ring(slot, interval);
        let (rows, lost) = (ring.since(Ns::MIN), ring.lost_before());
        let over = self
            .clock_of(slot, clock, self.own_clock(slot))
            .saturating_sub(self.options.grace);
        let mut made = Vec::new();
        let mut at = 0;
        while let Some(first) = rows.get(at) {
            let day = self.schedule_of(slot, ist_day(first.time));
            let Some(span) = self.bucket_of(&day, ns, first.time) else {
                // An auction or the post-close has a bar of its own whatever the interval (R8, R9).
                made.push((*first, self.end_of(slot, interval, first.time)));
                at += 1;
                continue;
            };
            let parts = rows[at..].partition_point(|row| row.time < span.end);
            let bars = &rows[at..at + parts];
            at += parts;
            let whole = lost.is_none_or(|lost| lost <= span.start || first.time == span.start);
            let last = bars[parts - 1].time;
            let is_over =
                at < rows.len() || span.end <= over || self.end_of(slot, interval, last) >= span.end;
            if whole && is_over {
                made.extend(
                    self.fold_bars(slot, interval, span, bars)
                        .map(|row| (row, span.end)),
                );
            }
        }
        made
    }

    /// Bars of one bucket as one: by the integers that ticks made, or, where history has a part, by rows.
    fn fold_bars(&self, slot: usize, interval: usize, span: Span, bars: &[Row]) -> Option<Row> {
        let (cold, how) = (&self.cold[slot], self.options.saying.vwap);
        let mut row = if bars.iter().any(|row| row.origin >> 4 != src::LIVE) {
            fold_rows(bars, span.start, how)?
        } else {
            let mut sum = Said::empty(span.start, span.end);
            for row in bars {
                sum.absorb(&said_of(row, self.end_of(slot, interval, row.time), cold.divisor));
            }
            sum.row(cold.divisor, how)
        };
        // A minute in which nothing traded has no bar to say that the feed joined in it (R12).
        let mut joins = cold.joins.iter().chain([&cold.t_join]);
        if joins
            .any(|join| span.start <= *join && *join < span.end && !cold.joined.reaches(span.start, *join))
        {
            row.flags |= flags::PARTIAL;
        }
        Some(row)
    }
}

/// The integers that a row was made of. Of what a row rounds, the value comes back exactly below 2^52, the error's
/// bound to the seven digits of its column.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "prices are below 2^53; a value rounds as it did when the row was made"
)]
fn said_of(row: &Row, end: Ns, divisor: i64) -> Said {
    let units = |price: f64| (price * divisor as f64).round_ties_even() as i64;
    let unit2 = 2.0 * row.volume as f64 * divisor as f64;
    let length = end - row.time;
    let width = if row.volume == 0 {
        0
    } else if row.vwap_err.is_nan() {
        -1
    } else {
        (f64::from(row.vwap_err) * 2.0 * unit2).round_ties_even() as i128
    };
    Said {
        start: row.time,
        end,
        open: units(row.open),
        high: units(row.high),
        low: units(row.low),
        close: units(row.close),
        volume: row.volume,
        value2: if row.vwap.is_nan() {
            0
        } else {
            (row.vwap * unit2).round_ties_even() as i128
        },
        width,
        oi: row.oi,
        covered: i64::from(row.coverage) * length,
        length,
        ticks: row.ticks,
        flags: row.flags,
        source: row.origin & 15,
        src: row.origin >> 4,
        exists: true,
    }
}
