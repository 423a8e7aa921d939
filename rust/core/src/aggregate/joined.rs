//! What an instrument remembers of the history that was joined (docs/bars.md §10).

use std::collections::VecDeque;

use crate::bar::Row;
use crate::session::Span;
use crate::units::{MINUTE, Ns, ist_day};

use super::state::{NO_DAY, NO_TIME};

/// A complete live bar and what history says of the same minute (R40).
#[derive(Clone, Copy, Debug)]
pub struct Difference {
    pub live: Row,
    pub history: Row,
}

/// A minute whose row is not what its ticks said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub start: Ns,
    /// Volume of the row beyond that of the ticks, as far as no gap accounts for it.
    pub extra: i64,
    /// The row is history's, not a live one that was corrected.
    pub history: bool,
    /// A live bar that is made later does not replace it.
    pub pinned: bool,
}

/// What an instrument knows of its history.
#[derive(Clone, Debug)]
pub struct Joined {
    /// No minute from here on has an entry.
    pub until: Ns,
    /// History was asked for from the start of its first row to the end of its last.
    pub(super) covered: Option<Span>,
    /// Coarser bars that are not over and may have no minute of ticks: interval and span.
    pub(super) awaited: Vec<(usize, Span)>,
    /// By start; the instrument's date and later.
    entries: Vec<Entry>,
    pub(super) differences: VecDeque<Difference>,
}

impl Joined {
    pub const fn new() -> Self {
        Self {
            until: NO_TIME,
            covered: None,
            awaited: Vec::new(),
            entries: Vec::new(),
            differences: VecDeque::new(),
        }
    }

    /// Another date begins: what history already has of it beyond its ticks.
    pub fn begin(&mut self, day: i64) -> i64 {
        self.entries.retain(|entry| ist_day(entry.start) >= day);
        let today = self.entries.iter().filter(|entry| ist_day(entry.start) == day);
        today.map(|entry| entry.extra).sum()
    }

    pub(super) fn entry(&mut self, start: Ns) -> Option<&mut Entry> {
        let at = self.entries.binary_search_by_key(&start, |entry| entry.start);
        at.ok().map(|at| &mut self.entries[at])
    }

    pub fn has(&self, start: Ns) -> bool {
        self.entries
            .binary_search_by_key(&start, |entry| entry.start)
            .is_ok()
    }

    pub fn any_in(&self, span: Span) -> bool {
        let at = self.entries.partition_point(|entry| entry.start < span.start);
        self.entries.get(at).is_some_and(|entry| entry.start < span.end)
    }

    /// Keeps the entries that a date can still need: without one, those of the newest date.
    pub(super) fn forget(&mut self, day: i64) {
        let newest = self.entries.last().map_or(NO_DAY, |entry| ist_day(entry.start));
        let least = if day == NO_DAY { newest } else { day };
        self.entries.retain(|entry| ist_day(entry.start) >= least);
    }

    /// Whether history was read from `start` on, over the minute of `t`.
    pub fn reaches(&self, start: Ns, t: Ns) -> bool {
        self.covered
            .is_some_and(|seen| seen.start <= start && t < seen.end)
    }

    /// A gap's last tick made a bar where history may have one. Gives the volume by which history says less now;
    /// a row that is not pinned gives way.
    pub fn shadowed(&mut self, start: Ns, delta: i64) -> Option<i64> {
        let at = self
            .entries
            .binary_search_by_key(&start, |entry| entry.start)
            .ok()?;
        if self.entries[at].pinned {
            self.entries[at].extra -= delta;
            return Some(delta);
        }
        Some(self.entries.remove(at).extra)
    }

    /// Takes the volume of the minutes that a gap touches, for which the gap accounts from now on.
    pub fn take_extra(&mut self, from: Ns, to: Ns) -> i64 {
        let touched = self
            .entries
            .iter_mut()
            .filter(|entry| from < entry.start + MINUTE && to >= entry.start);
        touched.map(|entry| std::mem::take(&mut entry.extra)).sum()
    }

    pub(super) fn put(&mut self, entry: Entry) {
        match self
            .entries
            .binary_search_by_key(&entry.start, |known| known.start)
        {
            Ok(at) => self.entries[at] = entry,
            Err(at) => self.entries.insert(at, entry),
        }
        self.until = self.until.max(entry.start.saturating_add(MINUTE));
    }
}
