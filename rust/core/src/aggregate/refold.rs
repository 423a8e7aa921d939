//! Coarser bars over minutes that history changed, and how the clock's own work meets them (docs/bars.md §10).

use crate::bar::{Row, Said, Vwap, flags};
use crate::session::Span;
use crate::units::{DAY, Ns, ist_day};

use super::history::Limits;
use super::state::{EventKind, NO_TIME};
use super::{Book, NEVER};

/// Folds rows, oldest first, into one (R27). A vwap or its error that one of them lacks, the whole lacks.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "volumes are below 2^53, coverages below 2^16"
)]
pub(super) fn fold_rows(rows: &[Row], start: Ns, how: Vwap) -> Option<Row> {
    let mut sum = Row {
        time: start,
        volume: 0,
        vwap: f64::NAN,
        vwap_err: f32::NAN,
        rev: 0,
        ..*rows.first()?
    };
    // Unlike every other flag, these are true of the whole only while they are true of each part.
    let whole = flags::NO_OI | flags::NO_VOLUME;
    let (mut value, mut err, mut covered, mut ticks) = (0.0, 0.0, 0_u64, 0_u32);
    for row in rows {
        sum.high = sum.high.max(row.high);
        sum.low = sum.low.min(row.low);
        sum.close = row.close;
        sum.volume += row.volume;
        if row.volume > 0 {
            value += row.vwap * row.volume as f64;
            err += f64::from(row.vwap_err) * row.volume as f64;
        }
        if row.flags & flags::NO_OI == 0 {
            sum.oi = row.oi;
        }
        ticks = ticks.saturating_add(row.ticks);
        covered += u64::from(row.coverage);
        sum.flags = (sum.flags | row.flags) & !whole | (sum.flags & row.flags & whole);
        sum.origin = (sum.origin & 15).max(row.origin & 15) | (sum.origin | row.origin) & 0xf0;
    }
    if sum.volume > 0 {
        let volume = sum.volume as f64;
        sum.vwap = match how {
            Vwap::Hlc3 => ((sum.high + sum.low + sum.close) / 3.0)
                .max(sum.low)
                .min(sum.high),
            _ if value.is_nan() => f64::NAN,
            Vwap::Atp => value / volume,
            Vwap::Hybrid | Vwap::Ltp => (value / volume).max(sum.low).min(sum.high),
        };
        sum.vwap_err = (err / volume) as f32;
    }
    sum.ticks = ticks;
    sum.coverage = (covered / rows.len() as u64) as u16;
    Some(sum)
}

impl Book {
    /// The row of a bar of ticks, with `flags` besides what it says: history's, where history has the bar or a minute of it.
    #[inline]
    pub(super) fn row_of(&self, slot: usize, interval: usize, said: &Said, flags: u32) -> Row {
        let cold = &self.cold[slot];
        let mut row = said.row(cold.divisor, self.options.saying.vwap);
        row.flags |= flags;
        if said.start >= cold.joined.until && self.calendar.day != Some(interval) {
            return row;
        }
        self.row_made_again(slot, interval, said, row)
    }

    #[cold]
    fn row_made_again(&self, slot: usize, interval: usize, said: &Said, row: Row) -> Row {
        if self.calendar.day == Some(interval) {
            return self.day_row(slot, said, row);
        }
        let span = Span {
            start: said.start,
            end: said.end,
        };
        let made = if self.minute == Some(interval) {
            let held = self.rings[slot * self.rings_each() + interval].find(said.start);
            held.filter(|_| self.cold[slot].joined.has(said.start))
        } else if self.plans.iter().any(|plan| plan.interval == interval)
            && self.cold[slot].joined.any_in(span)
        {
            let rows = self.minutes_since(slot, span.start);
            self.fold_of(slot, interval, span, &rows)
        } else {
            None
        };
        made.unwrap_or(row)
    }

    /// The minutes from `from` on, those that still form included.
    fn minutes_since(&self, slot: usize, from: Ns) -> Vec<Row> {
        let Some(minute) = self.minute else {
            return Vec::new();
        };
        let mut rows = self.rings[slot * self.rings_each() + minute].since(from);
        let at = slot * self.bases.len();
        let mut said = Vec::new();
        self.say(slot, 0, &mut said);
        for (i, what) in said.iter().enumerate() {
            let bar = self.older[at].get(i).unwrap_or(&self.newest[at]);
            if !bar.sealed && what.start >= from {
                rows.push(what.row(self.cold[slot].divisor, self.options.saying.vwap));
            }
        }
        rows
    }

    /// A coarser bar made of the rows of its minutes.
    fn fold_of(&self, slot: usize, interval: usize, span: Span, rows: &[Row]) -> Option<Row> {
        let from = rows.partition_point(|row| row.time < span.start);
        let to = rows.partition_point(|row| row.time < span.end);
        let mut row = fold_rows(&rows[from..to], span.start, self.options.saying.vwap)?;
        let cold = &self.cold[slot];
        let join = cold.t_join;
        if span.start <= join && join < span.end && !cold.joined.reaches(span.start, join) {
            row.flags |= flags::PARTIAL;
        }
        let held = self.rings[slot * self.rings_each() + interval].find(span.start);
        row.flags |= held.map_or(0, |held| held.flags & flags::REPAIRED);
        Some(row)
    }

    /// Makes every coarser bar again that has a changed minute.
    pub(super) fn fold_again(&mut self, slot: usize, rows: &[Row], changed: &[Row], limits: Limits) {
        for plan in 0..self.plans.len() {
            let (ns, interval) = (self.plans[plan].ns, self.plans[plan].interval);
            if ns == DAY {
                continue;
            }
            let mut made = Vec::new();
            let mut end = NO_TIME;
            for row in changed {
                if row.time < end {
                    continue;
                }
                let day = self.schedule_of(slot, ist_day(row.time));
                let Some(span) = self.bucket_of(&day, ns, row.time) else {
                    continue;
                };
                end = span.end;
                made.extend(self.fold_span_again(slot, plan, interval, span, rows, limits));
            }
            self.publish(slot, interval, &made);
        }
    }

    fn fold_span_again(
        &mut self,
        slot: usize,
        plan: usize,
        interval: usize,
        span: Span,
        rows: &[Row],
        limits: Limits,
    ) -> Option<Row> {
        let held = self.ring(slot, interval).find(span.start);
        if held.is_none() && (span.end > limits.over || span.end > limits.open) {
            self.await_bar(slot, interval, span);
            return None;
        }
        let minutes = self
            .minute
            .and_then(|minute| self.ring(slot, minute).lost_before());
        if held.is_some() && minutes.is_some_and(|oldest| span.start < oldest) {
            // Some of its minutes are gone: the bar cannot be made again.
            return None;
        }
        let today = ist_day(span.start) == self.cold[slot].day;
        let mut row = if today && !self.cold[slot].joined.any_in(span) {
            self.fold_of_ticks(slot, plan, span)?
        } else {
            self.fold_of(slot, interval, span, rows)?
        };
        let Some(held) = held else {
            return Some(row);
        };
        row.flags |= flags::REPAIRED;
        row.rev = held.rev;
        if held.says_the_same(&row) || held.flags & flags::REPAIRED == 0 && unrepaired(&row, &held) {
            return None;
        }
        row.rev = held.rev.saturating_add(1);
        Some(row)
    }

    /// What the ticks say of a coarser bar; a corrected minute among them is still one of them.
    fn fold_of_ticks(&mut self, slot: usize, plan: usize, span: Span) -> Option<Row> {
        let mut said = Vec::new();
        self.say(slot, 0, &mut said);
        let mut found = None;
        self.fold_groups(slot, plan, &said, |book, bar| {
            if bar.start == span.start {
                let flags = book.joined(slot, bar);
                found = Some(book.row_of(slot, book.plans[plan].interval, bar, flags));
            }
        });
        found
    }

    /// A coarser bar that is not over yet may have minutes of history only: the clock closes it all the same.
    fn await_bar(&mut self, slot: usize, interval: usize, span: Span) {
        let awaited = &mut self.cold[slot].joined.awaited;
        if !awaited.contains(&(interval, span)) {
            awaited.push((interval, span));
        }
        self.expect(slot, span.end);
    }

    /// Seals awaited bars that end at or before `sealing` and that no tick brought to be.
    pub(super) fn close_awaited(&mut self, slot: usize, sealing: Ns) {
        if self.cold[slot].joined.awaited.is_empty() {
            return;
        }
        let mut awaited = std::mem::take(&mut self.cold[slot].joined.awaited);
        awaited.retain(|(interval, span)| {
            if span.end > sealing {
                return true;
            }
            let rows = self.minutes_since(slot, span.start);
            let made = self.fold_of(slot, *interval, *span, &rows);
            if let (None, Some(row)) = (self.ring(slot, *interval).find(span.start), made) {
                self.tally.bars_closed += u64::from(*interval < self.series());
                self.ring(slot, *interval).put(row);
                self.emit(slot, *interval, EventKind::Closed, row);
            }
            false
        });
        self.cold[slot].joined.awaited = awaited;
    }

    /// When the next awaited bar, week or month is due.
    pub(super) fn still_due(&self, slot: usize) -> Ns {
        let cold = &self.cold[slot];
        let periods = cold.daily.periods.iter().flatten();
        let awaited = cold.joined.awaited.iter().map(|(_, span)| span);
        let end = periods.chain(awaited).map(|span| span.end).min();
        end.map_or(NEVER, |end| end.saturating_add(self.options.grace))
    }

    /// The awaited bars of an interval that no tick shows, oldest first, with their ends.
    pub(super) fn awaited_rows(&self, slot: usize, interval: usize, shown: &[(Row, Ns)]) -> Vec<(Row, Ns)> {
        let awaited = self.cold[slot].joined.awaited.iter();
        awaited
            .filter(|(of, span)| *of == interval && shown.iter().all(|(row, _)| row.time != span.start))
            .filter_map(|(_, span)| {
                let rows = self.minutes_since(slot, span.start);
                Some((self.fold_of(slot, interval, *span, &rows)?, span.end))
            })
            .collect()
    }
}

/// Whether a row made again is the held one but for the mark of a repair.
fn unrepaired(row: &Row, held: &Row) -> bool {
    held.says_the_same(&Row {
        flags: row.flags & !flags::REPAIRED,
        ..*row
    })
}
