//! What history proves about gaps: their volume goes where history found it (docs/bars.md §10; R13).

use crate::bar::{Bar, Row, Vwap, flags};
use crate::session::Span;
use crate::units::{MINUTE, Ns, ist_day};

use super::Book;
use super::history::Authority;
use super::joined::Entry;
use super::state::{Account, Booking, Gap, NO_DAY, NO_TIME};

const BOOKINGS: [Booking; 5] = [
    Booking::AuctionOpen,
    Booking::AuctionClose,
    Booking::Post,
    Booking::Unattributed,
    Booking::Dropped,
];

impl Book {
    /// Whether a gap of the date, the one that has not ended yet included, touches a bar.
    pub(super) fn in_gap(&self, slot: usize, span: Span) -> bool {
        let cold = &self.cold[slot];
        let touched = |from: Ns, to: Ns| from < span.end && to >= span.start;
        cold.gaps.iter().any(|gap| touched(gap.from, gap.to))
            || cold.gap_from.is_some_and(|from| touched(from, Ns::MAX))
    }

    /// Accounts for a row of the instrument's date, or of a later one: to a gap's volume if one covers it.
    pub(super) fn enter(
        &mut self,
        slot: usize,
        row: &Row,
        held: Option<Row>,
        authority: Authority,
        span: Span,
    ) {
        let cold = &mut self.cold[slot];
        let day = ist_day(row.time);
        if day < cold.day {
            return;
        }
        let mut entry = Entry {
            start: row.time,
            extra: row.volume - held.map_or(0, |held| held.volume),
            history: true,
            pinned: authority != Authority::Newest,
        };
        if day == cold.day && cold.day != NO_DAY {
            let touching = |gap: &&mut Gap| gap.from < span.end && gap.to >= span.start;
            let mut gaps: Vec<_> = cold.gaps.iter_mut().filter(touching).collect();
            // A gap that ends later holds the minute's volume; one that ends inside only touches it.
            let later = gaps.iter().position(|gap| gap.to >= span.end).unwrap_or(0);
            if let Some(gap) = gaps.get_mut(later) {
                gap.found += entry.extra;
                entry.extra = 0;
            }
            cold.account.history += entry.extra;
        }
        if let Some(known) = cold.joined.entry(row.time) {
            entry.extra += known.extra;
        }
        cold.joined.put(entry);
    }

    /// Takes what history found of each gap's volume off the bar that has it all (R13). Gives rows that changed.
    pub(super) fn settle_gaps(&mut self, slot: usize, rows: &mut [Row]) -> Vec<Row> {
        let mut changed = Vec::new();
        for at in 0..self.cold[slot].gaps.len() {
            let gap = &mut self.cold[slot].gaps[at];
            let found = std::mem::take(&mut gap.found);
            if found != 0 {
                changed.extend(self.settle_gap(slot, at, found, rows));
            }
        }
        changed
    }

    fn settle_gap(&mut self, slot: usize, at: usize, found: i64, rows: &mut [Row]) -> Option<Row> {
        let gap = self.cold[slot].gaps[at];
        // What it could not give before may have been another minute's share of it.
        let found = found + gap.over;
        let end = self.span_of(slot, MINUTE, gap.to);
        let by_history = end.is_some_and(|end| {
            let entry = self.cold[slot].joined.entry(end.start);
            entry.is_some_and(|entry| entry.history)
        });
        let left = if gap.held.is_none() && by_history {
            gap.left
        } else {
            gap.left.saturating_sub(found).clamp(0, gap.volume)
        };
        let part = gap.left - left;
        let over = found - part;
        self.tally.gap_mismatches += u64::from(over != 0 && gap.over == 0);
        let value2 = 2 * i128::from(gap.price) * i128::from(left);
        self.cold[slot].account.history += over - gap.over;
        let gap = &mut self.cold[slot].gaps[at];
        let fell = gap.value2 - value2;
        if part != 0 {
            gap.left = left;
            gap.value2 = value2;
        }
        gap.over = over;
        let held = gap.held;
        if part == 0 {
            return None;
        }
        if let Some(booking) = held {
            self.move_booked(slot, booking, part);
            return None;
        }
        self.shrink(slot, end?, part, fell, rows)
    }

    /// Volume of a gap that an auction or nobody had is the bars' after all.
    fn move_booked(&mut self, slot: usize, booking: Booking, part: i64) {
        let cold = &mut self.cold[slot];
        *cold.account.of(booking) -= part;
        cold.account.bars += part;
        if let Some((_, sum)) = cold.bookings.iter_mut().rev().find(|(of, _)| *of == booking) {
            *sum -= part;
        }
        let auction = match booking {
            Booking::AuctionOpen => &mut cold.auction_open,
            Booking::AuctionClose => &mut cold.auction_close,
            _ => return,
        };
        if let Some(print) = auction {
            print.volume -= part;
        }
    }

    /// Takes volume off the bar in which a gap ended; gives its row if it is sealed.
    #[expect(clippy::cast_precision_loss, reason = "volumes are below 2^53")]
    fn shrink(&mut self, slot: usize, span: Span, part: i64, value2: i128, rows: &mut [Row]) -> Option<Row> {
        let at = slot * self.bases.len();
        let row = rows.iter_mut().find(|row| row.time == span.start);
        let its = |bar: &Bar| bar.exists && bar.start == span.start;
        let older = self.older[at].iter().position(its);
        if older.is_some() || its(&self.newest[at]) {
            let bar = match older {
                Some(i) => &mut self.older[at][i],
                None => &mut self.newest[at],
            };
            // The rest of the delta begins at a higher level; the average's bounds spoke of all of it.
            bar.floor.v += part;
            bar.value2 -= value2;
            bar.clamp = false;
            bar.flags |= flags::REPAIRED;
            let sealed = bar.sealed;
            // What the bars of the chain no longer say was traded in the minutes of history.
            self.cold[slot].account.bars += part;
            let row = row.filter(|_| sealed)?;
            let mut said = Vec::new();
            self.say(slot, 0, &mut said);
            let said = said.iter().find(|said| said.start == span.start)?;
            *row = Row {
                rev: row.rev.saturating_add(1),
                ..said.row(self.cold[slot].divisor, self.options.saying.vwap)
            };
            return Some(*row);
        }
        let Some(row) = row else {
            self.cold[slot].account.history += part;
            return None;
        };
        let left = row.volume - part;
        let money = value2 as f64 / (2.0 * self.cold[slot].divisor as f64);
        row.vwap = if left > 0 && self.options.saying.vwap != Vwap::Hlc3 {
            ((row.vwap * row.volume as f64 - money) / left as f64)
                .max(row.low)
                .min(row.high)
        } else if left > 0 {
            row.vwap
        } else {
            f64::NAN
        };
        row.volume = left;
        row.vwap_err = f32::NAN;
        row.flags |= flags::REPAIRED;
        row.rev = row.rev.saturating_add(1);
        self.cold[slot].joined.put(Entry {
            start: span.start,
            extra: 0,
            history: false,
            pinned: true,
        });
        Some(*row)
    }

    /// A gap's last tick went into its minute: what history has of the gap's minutes already comes off it (R13).
    /// `whole` is all that it brought, of which `delta` went there.
    pub(super) fn gap_taken(
        &mut self,
        slot: usize,
        span: Span,
        whole: i64,
        delta: i64,
        price: i64,
        value2: i128,
    ) {
        let cold = &mut self.cold[slot];
        let Some(at) = cold.gaps.len().checked_sub(1) else {
            return;
        };
        let gap = &mut cold.gaps[at];
        (gap.volume, gap.left, gap.price, gap.value2) = (whole, delta, price, value2);
        if let Some(extra) = cold.joined.shadowed(span.start, delta) {
            cold.account.history -= extra;
        }
        self.find_of_gap(slot, at);
    }

    /// A gap's last tick was no minute's; `before` tells where it was booked.
    pub(super) fn gap_booked(&mut self, slot: usize, delta: i64, mut before: Account) {
        let cold = &mut self.cold[slot];
        let Some(at) = cold.gaps.len().checked_sub(1) else {
            return;
        };
        let mut now = cold.account;
        let mut booked = |booking: &Booking| *now.of(*booking) == *before.of(*booking) + delta;
        let held = BOOKINGS.iter().copied().find(&mut booked);
        if cold.gaps[at].volume != 0 || held.is_none() {
            return;
        }
        let gap = &mut cold.gaps[at];
        (gap.volume, gap.left, gap.held) = (delta, delta, held);
        self.find_of_gap(slot, at);
    }

    fn find_of_gap(&mut self, slot: usize, at: usize) {
        let cold = &mut self.cold[slot];
        if cold.joined.until == NO_TIME || cold.day == NO_DAY {
            return;
        }
        let gap = &mut cold.gaps[at];
        let found = cold.joined.take_extra(gap.from, gap.to);
        gap.found += found;
        cold.account.history -= found;
        let Some(minute) = self.minute else {
            return;
        };
        let from = self.cold[slot].gaps[at].from.saturating_sub(MINUTE);
        let mut rows = self.ring(slot, minute).since(from);
        let changed = self.settle_gaps(slot, &mut rows);
        self.publish(slot, minute, &changed);
    }
}
