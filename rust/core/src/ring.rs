//! Stage 6, ring: sealed bars in column pages that readers see without a copy.
//!
//! A [`Page`] is ten columns of 64-bit words. Its one writer stores a row's words, then publishes the
//! new length with Release; a reader takes the length with Acquire and sees `[0..len)`, which never
//! changes and never moves. A correction makes a corrected copy of the page; views of the old one
//! stay as they were. The rows written last wait in a small tail and go to the columns a few at a
//! time, because ten columns are ten cache lines: one row at a time costs ten misses.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::ahead::ask;
use crate::bar::{Row, WORDS};
use crate::units::Ns;

/// Rows that wait before they are written to the columns.
const TAIL: usize = 8;

/// Cells before the first column: the first is the number of published rows, the others only keep the readers of that
/// number and of the columns on different cache lines.
const HEAD: usize = 8;

/// Fixed-capacity columns of sealed bars: one piece of memory, shared by the ring and its readers.
#[derive(Clone, Debug)]
pub struct Page {
    cells: Arc<[AtomicU64]>,
    rows: usize,
}

impl Page {
    /// A page for `rows` bars. Every word is written here, so the kernel has given the memory before the first tick needs it.
    #[must_use]
    pub fn new(rows: usize) -> Self {
        let cells = (0..HEAD + rows * WORDS).map(|_| AtomicU64::new(0)).collect();
        Self { cells, rows }
    }

    /// Whether both are the same memory.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.cells, &other.cells)
    }

    fn publish(&self, len: usize) {
        self.cells[0].store(len as u64, Ordering::Release);
    }

    /// Number of rows that are published.
    #[must_use]
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "it was a usize")]
    pub fn len(&self) -> usize {
        self.cells[0].load(Ordering::Acquire) as usize
    }

    /// True if no row is published.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of rows there is room for.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.rows
    }

    /// One column, all of its capacity; only `[0..len)` means anything.
    #[must_use]
    #[inline]
    pub fn column(&self, word: usize) -> &[AtomicU64] {
        &self.cells[HEAD + word * self.rows..][..self.rows]
    }

    fn columns(&self) -> impl Iterator<Item = &[AtomicU64]> {
        self.cells[HEAD..].chunks_exact(self.rows.max(1))
    }

    /// One published row.
    #[must_use]
    pub fn row(&self, at: usize) -> Row {
        assert!(at < self.len(), "row {at} is not published");
        let mut words = [0; WORDS];
        for (word, out) in words.iter_mut().enumerate() {
            *out = self.column(word)[at].load(Ordering::Relaxed);
        }
        Row::from_words(&words)
    }

    /// Writes rows behind the `at` that are there.
    fn append(&self, at: usize, rows: &[Row]) {
        if rows.is_empty() {
            return;
        }
        if let Ok(rows) = <&[Row; TAIL]>::try_from(rows) {
            // As many rows as a ring writes at once: no loop in the loop has to be counted.
            let words = rows.map(|row| row.words());
            for (word, column) in self.columns().enumerate() {
                let cells: &[AtomicU64; TAIL] = column[at..][..TAIL].as_array().expect("as many");
                for (cell, words) in cells.iter().zip(&words) {
                    cell.store(words[word], Ordering::Relaxed);
                }
            }
        } else {
            for (i, row) in rows.iter().enumerate() {
                for (column, word) in self.columns().zip(row.words()) {
                    column[at + i].store(word, Ordering::Relaxed);
                }
            }
        }
        self.publish(at + rows.len());
    }

    /// Copies `count` rows of `from`, starting at its row `first`, behind the rows already here.
    fn copy_from(&self, from: &Self, first: usize, count: usize) {
        let at = self.len();
        for word in 0..WORDS {
            let source = &from.column(word)[first..first + count];
            for (i, value) in source.iter().enumerate() {
                self.column(word)[at + i].store(value.load(Ordering::Relaxed), Ordering::Relaxed);
            }
        }
        self.publish(at + count);
    }
}

/// What a reader holds: a page and the part of it that is the ring's.
#[derive(Clone, Debug)]
pub struct View {
    pub page: Page,
    pub start: usize,
    pub end: usize,
}

impl View {
    /// Number of bars in the view.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.end - self.start
    }

    /// True if the view has no bar.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// One bar, oldest first.
    #[must_use]
    pub fn row(&self, at: usize) -> Row {
        self.page.row(self.start + at)
    }

    /// The view's part of one column.
    #[must_use]
    pub fn column(&self, word: usize) -> &[AtomicU64] {
        &self.page.column(word)[self.start..self.end]
    }
}

/// The sealed bars of one instrument and interval: at least the last `capacity` are kept.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Ring {
    page: Page,
    last: Ns,
    /// Rows in the page: its length, without a look at it.
    written: usize,
    waiting: u8,
    /// Some rows were let go of.
    lost: bool,
    capacity: usize,
    /// Rows that are not let go of: at least the capacity.
    kept: usize,
    tail: [Row; TAIL],
}

impl Ring {
    /// A ring that keeps the last `capacity` bars, without memory for any yet; `empty` is shared by all such.
    #[must_use]
    pub fn new(capacity: usize, empty: &Page) -> Self {
        Self::keeping(capacity, capacity, empty)
    }

    /// A ring that shows the last `capacity` bars and keeps `kept`, from which coarser bars can be made again.
    #[must_use]
    pub fn keeping(capacity: usize, kept: usize, empty: &Page) -> Self {
        Self {
            page: empty.clone(),
            last: Ns::MIN,
            written: 0,
            waiting: 0,
            lost: false,
            capacity: capacity.max(1),
            kept: kept.max(capacity).max(1),
            tail: [Row::BLANK; TAIL],
        }
    }

    /// Largest page: room beyond the capacity, so that moving the last bars to a new page is rare.
    fn largest(&self) -> usize {
        self.kept + (self.kept / 4).max(2 * TAIL)
    }

    /// Makes room for `rows` bars now, so that no tick pays for it later.
    pub fn reserve(&mut self, rows: usize) {
        let rows = rows.min(self.largest());
        if self.page.capacity() < rows {
            self.move_to(rows);
        }
    }

    /// Start of the newest bar; `Ns::MIN` if there is none.
    #[must_use]
    #[inline]
    pub const fn last_time(&self) -> Ns {
        self.last
    }

    fn waiting(&self) -> &[Row] {
        &self.tail[..usize::from(self.waiting)]
    }

    /// Asks for the line that tells where the next push will write.
    #[inline]
    pub(crate) fn ask(&self) {
        ask(self);
    }

    /// Asks for the lines that the next push will write.
    #[inline]
    pub(crate) fn ask_for_row(&self) {
        if let Some(row) = self.tail.get(usize::from(self.waiting)) {
            ask(&row.time);
            ask(&row.flags);
        } else {
            ask(&self.tail[0].flags);
            for column in self.page.columns() {
                if let Some(word) = column.get(self.written) {
                    ask(word);
                }
            }
        }
    }

    /// Adds the newest bar.
    #[inline(always)]
    pub fn push(&mut self, row: Row) {
        if usize::from(self.waiting) == TAIL {
            self.flush();
        }
        self.tail[usize::from(self.waiting)] = row;
        self.waiting += 1;
        self.last = row.time;
    }

    fn move_to(&mut self, rows: usize) {
        let keep = self.written.min(self.kept);
        self.lost |= self.written > keep;
        let page = Page::new(rows.max(keep));
        page.copy_from(&self.page, self.written - keep, keep);
        self.page = page;
        self.written = keep;
    }

    /// Writes what waits in the tail to the columns.
    pub fn flush(&mut self) {
        if self.waiting == 0 {
            return;
        }
        let needed = self.written + usize::from(self.waiting);
        if needed > self.page.capacity() {
            let grown = (self.page.capacity() * 2).max(4 * TAIL).min(self.largest());
            self.move_to(if needed <= grown { grown } else { self.largest() });
        }
        self.page.append(self.written, self.waiting());
        self.written += usize::from(self.waiting);
        self.waiting = 0;
    }

    /// The last `capacity` bars, contiguous.
    pub fn view(&mut self) -> View {
        self.flush();
        let end = self.written;
        View {
            page: self.page.clone(),
            start: end.saturating_sub(self.capacity),
            end,
        }
    }

    /// Number of bars a view would show.
    #[must_use]
    pub fn len(&self) -> usize {
        (self.written + usize::from(self.waiting)).min(self.capacity)
    }

    /// True if no bar was sealed yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Start of the oldest bar still kept; `None` if every bar there was is kept.
    #[must_use]
    pub fn lost_before(&self) -> Option<Ns> {
        let oldest = (self.written > 0).then(|| self.page.row(0).time);
        oldest.filter(|_| self.lost)
    }

    /// The bars from `from` on, oldest first.
    #[must_use]
    pub fn since(&self, from: Ns) -> Vec<Row> {
        let mut rows: Vec<Row> = self.newest_first().take_while(|row| row.time >= from).collect();
        rows.reverse();
        rows
    }

    /// The newest bars first; the tail is not written for it.
    pub fn newest_first(&self) -> impl Iterator<Item = Row> + '_ {
        let tail = self.waiting().iter().rev().copied();
        tail.chain((0..self.written).rev().map(|at| self.page.row(at)))
    }

    /// The bar that starts at `time`, if it is still kept.
    #[must_use]
    pub fn find(&self, time: Ns) -> Option<Row> {
        self.newest_first()
            .take_while(|row| row.time >= time)
            .find(|row| row.time == time)
    }

    /// Replaces the bar that starts at `row.time`, or puts a new one where it belongs in time.
    /// A bar that readers may have seen is not touched: they keep their page, the ring gets a corrected copy.
    #[inline(always)]
    pub fn put(&mut self, row: Row) {
        if row.time > self.last {
            self.push(row);
        } else {
            self.put_back(row);
        }
    }

    #[cold]
    fn put_back(&mut self, row: Row) {
        if let Some(held) = self.tail[..usize::from(self.waiting)]
            .iter_mut()
            .find(|held| held.time == row.time)
        {
            *held = row;
            return;
        }
        self.rewrite(&[row]);
    }

    /// Merges `rows` (ascending) into a corrected copy; a row with the start of a kept one replaces it.
    pub fn rewrite(&mut self, rows: &[Row]) {
        self.flush();
        let old = &self.page;
        let mut merged: Vec<Row> = Vec::with_capacity(old.len() + rows.len());
        let (mut i, mut j) = (0, 0);
        while i < old.len() || j < rows.len() {
            let kept = (i < old.len()).then(|| old.row(i));
            match (kept, rows.get(j)) {
                (Some(kept), Some(new)) if kept.time < new.time => {
                    merged.push(kept);
                    i += 1;
                }
                (kept, Some(new)) => {
                    i += usize::from(kept.is_some_and(|kept| kept.time == new.time));
                    merged.push(*new);
                    j += 1;
                }
                (Some(kept), None) => {
                    merged.push(kept);
                    i += 1;
                }
                (None, None) => break,
            }
        }
        let skip = merged.len().saturating_sub(self.largest());
        let page = Page::new(self.page.capacity().max(merged.len() - skip));
        page.append(0, &merged[skip..]);
        self.written = merged.len() - skip;
        self.lost |= skip > 0;
        self.last = merged.last().map_or(Ns::MIN, |row| row.time);
        self.page = page;
    }
}
